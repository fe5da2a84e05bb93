"""Tests of lowrank.clipping, generated from book/matrix_sign/clipping.ipynb; edit the chapter."""

import pytest

from lowrank.clipping import mclip, mstep, svfun, svfun_jvp, svfun_vjp


# %% book/matrix_sign/clipping.ipynb: test_svfun_knows_other_functions
def test_svfun_knows_other_functions():
    import numpy as np

    from lowrank.pseudo_inverse import pinv
    from lowrank.polar_factor import msign

    rng = np.random.default_rng(1)
    for dtype in (float, complex):
        A = (rng.standard_normal((2, 6, 3)) @ rng.standard_normal((3, 5))).astype(dtype)
        A = A * (1 + 0.5j) if dtype is complex else A
        assert np.allclose(svfun(A, np.ones_like), msign(A), atol=1e-13)
        assert np.allclose(svfun(A, lambda s: s), A, atol=1e-13)
        for X, Y in zip(A, svfun(A, lambda s: 1 / s)):
            assert np.allclose(Y.conj().T, pinv(X), atol=1e-12)
    assert np.array_equal(svfun(np.zeros((3, 2)), lambda s: 1 / s), np.zeros((3, 2)))
    assert svfun(np.zeros((4, 0, 3)), np.exp).shape == (4, 0, 3)


# %% book/matrix_sign/clipping.ipynb: test_clip_and_step_by_every_method
def test_clip_and_step_by_every_method():
    import numpy as np

    from lowrank.polar_express import optimal_msign_schedule

    rng = np.random.default_rng(3)
    s = np.array([5, 3, 3, 0.7, 0.2])
    schedule = optimal_msign_schedule(tol=1e-14, lower=1e-3, cushion=0.1)
    for m, n in ((8, 5), (5, 9), (5, 5)):
        U, V = (np.linalg.qr(rng.standard_normal((2, k, 5)))[0] for k in (m, n))
        A, rebuilt = U * s @ V.mT, lambda values: U * values @ V.mT
        for options in ({}, {"method": "msign"}, {"method": "block"}, {"schedule": schedule},
                        {"method": "block", "schedule": schedule}, {"tol": 1e-13}):
            for lo, hi in ((0, 1), (0.5, 2), (1, np.inf), (4, 4), (0, 0), (0, 1e9)):
                found = mclip(A, lo, hi, **options)
                assert np.allclose(found, rebuilt(np.clip(s, lo, hi)), atol=1e-11)
            for t in (1e-4, 0.5, 1, 4, 100):
                assert np.allclose(mstep(A, t, **options), rebuilt(s > t), atol=1e-10)
    assert np.allclose(mclip(1e-150 * A, 0, 1e-150), 1e-150 * mclip(A), rtol=1e-12, atol=0)


# %% book/matrix_sign/clipping.ipynb: test_clipping_refuses
def test_clipping_refuses():
    import numpy as np

    A = np.arange(12.0).reshape(3, 4)
    cases = [
        (lambda: mclip(A, 2, 1), ValueError, "lo is 2.0 and hi is 1.0; allowed is lo <= hi"),
        (lambda: mclip(A, -1, 1), ValueError, "lo is -1"),
        (lambda: mclip(A, 0, np.nan), ValueError, "hi is nan"),
        (lambda: mclip(A, np.inf, np.inf), ValueError, "lo finite"),
        (lambda: mclip(A, "a"), TypeError, "lo is 'a'"),
        (lambda: mclip(np.full((2, 2), np.nan)), ValueError, "A contains 4 NaN and 0 Inf"),
        (lambda: mclip([1.0, 2.0]), ValueError, "A has shape"),
        (lambda: mclip(A, method="qr"), ValueError, "method is 'qr'"),
        (lambda: mclip(A, method="svd", schedule=3), ValueError, "schedule is 3; method='svd'"),
        (lambda: mclip(A, rtol=0.1, schedule=3), ValueError, "rtol is 0.1; method='msign' does"),
        (lambda: mclip(A, tol=0.1, schedule=3), ValueError, "tol is 0.1; a given schedule does"),
        (lambda: mclip(A, rtol=2), ValueError, "rtol is 2"),
        (lambda: mstep(A, -1), ValueError, "threshold is -1"),
        (lambda: mstep(A, None), TypeError, "threshold is None"),
        (lambda: svfun(A, np.sum), ValueError, "allowed is a function that acts on every"),
        (lambda: svfun(A, lambda s: 1j * s), TypeError, "f has values of dtype complex128"),
        (lambda: svfun(A, lambda s: np.inf * s), ValueError, "f of the singular values"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()


# %% book/matrix_sign/clipping.ipynb: test_derivative_against_differences
def test_derivative_against_differences():
    import numpy as np

    from lowrank.polar_factor import msign_jvp

    rng = np.random.default_rng(5)
    functions = {"tanh": (np.tanh, lambda s: 1 / np.cosh(s)**2),
                 "cube": (lambda s: s**3, lambda s: 3 * s**2),
                 "clip": (lambda s: np.minimum(s, 1), lambda s: s < 1),
                 "one": (np.ones_like, np.zeros_like)}
    for shape in ((5, 5), (7, 4), (3, 6)):
        k = min(shape)
        for unit in (0, 1j):
            draw = lambda: rng.standard_normal(shape) + unit * rng.standard_normal(shape)
            U, _, Vh = np.linalg.svd(draw(), full_matrices=False)
            equal = [1.5] * (k - 1)
            for s in (np.linspace(0.3, 2, k), np.array([*equal, 0.5]), np.array([*equal, 0.0])):
                A, dA, G = U * s @ Vh, draw(), draw()
                for name, (f, df) in functions.items():
                    if name == "one" and s[-1] == 0:
                        continue
                    at = lambda h: svfun(A + h * dA, f, rtol=0)
                    expected = (8 * (at(1e-3) - at(-1e-3)) - at(2e-3) + at(-2e-3)) / 12e-3
                    found, back = svfun_jvp(A, dA, f, df), svfun_vjp(A, G, f, df)
                    assert np.allclose(found, expected, atol=1e-6), (shape, unit, name, s)
                    assert np.isclose(np.vdot(G, found).real, np.vdot(back, dA).real)
                    if name == "one":
                        assert np.allclose(found, msign_jvp(A, dA), atol=1e-12)
    with pytest.raises(ValueError, match=r"f\(0\) is not 0; svfun is not differentiable there"):
        svfun_jvp(np.ones((2, 2)), np.eye(2), np.exp, np.exp)
