"""Tests of lowrank.s4, generated from book/structure/s4.ipynb; edit the chapter."""

from lowrank.s4 import s4_discretize, s4_kernel, s4d_frequencies


# %% book/structure/s4.ipynb: test_all_forms_of_the_kernel
def test_all_forms_of_the_kernel():
    import numpy as np

    rng = np.random.default_rng(4)
    closed = lambda x: np.concatenate([x, x[..., ::-1].conj()], axis=-1)
    P, Q, B, C = closed(rng.standard_normal((4, 6, 2)) @ [1, 1j])
    Lam = closed(-0.5 - rng.random(6) + 5j * np.sort(rng.standard_normal(6)))
    P, Q = 0.4 * P, 0.4 * Q
    for L in (1, 2, 7, 63, 300, 1001):
        Ab, x = s4_discretize(Lam, P, Q, B, 0.2)
        last = C @ np.linalg.matrix_power(Ab, L)
        expected = []
        for _ in range(L):
            expected.append(C @ x)
            x = Ab @ x
        expected = np.array(expected)
        assert abs(expected.imag).max() < 1e-13 * abs(expected).max()
        for method in ("auto", "series", "krylov", "cauchy"):
            K = s4_kernel(Lam, P, Q, B, C, L, 0.2, method=method)
            assert abs(K - expected.real).max() < 1e-13 * abs(expected).max()
        K = s4_kernel(Lam, P, Q, B, C - last, L, 0.2, filtered=True)
        assert abs(K - expected.real).max() < 1e-13 * abs(expected).max()
    assert abs(s4_kernel(Lam, P, P, B, C, 9, 0.2) - expected[:9]).max() > 1e-3 * abs(K).max()


# %% book/structure/s4.ipynb: test_frequencies
def test_frequencies():
    import numpy as np

    for N in (1, 2, 9, 64):
        for kind in ("legs", "inv", "lin"):
            w = s4d_frequencies(N, kind)
            assert w.shape == (N,) and np.array_equal(w, -w[::-1]) and np.all(np.diff(w) >= 0)
    legs, inverse = (s4d_frequencies(64, kind)[::-1][:3] for kind in ("legs", "inv"))
    assert np.allclose(legs, [1303.273842981, 433, 258], rtol=3e-3)
    assert np.allclose(inverse, [1283.4, 414.2, 240.4], rtol=1e-3)
    assert np.allclose(s4d_frequencies(5, "lin"), np.pi * np.arange(-2, 3))
