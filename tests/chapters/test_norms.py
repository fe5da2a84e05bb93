"""Tests of lowrank.norms, generated from book/matrix_sign/norms.ipynb; edit the chapter."""

from lowrank.norms import nuclear_norm, nuclear_norm_grad, spectral_norm, spectral_norm_grad


# %% book/matrix_sign/norms.ipynb: test_norms_and_gradients_on_ties_and_zeros
def test_norms_and_gradients_on_ties_and_zeros():
    import numpy as np

    rng = np.random.default_rng(4)
    U, V = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (7, 5))
    for s, k, r in (([5, 4, 3, 2, 1], 1, 5), ([2, 2, 2, 1, 0], 3, 4), ([1] * 5, 5, 5)):
        A = U[:, :5] * np.array(s, float) @ V.T
        G, S = spectral_norm_grad(A), nuclear_norm_grad(A)
        assert np.allclose(G, U[:, :k] @ V[:, :k].T / k, atol=1e-14)
        assert np.allclose(S, U[:, :r] @ V[:, :r].T, atol=1e-14)
        assert np.isclose(np.vdot(G, A), spectral_norm(A), rtol=1e-14)
        assert np.isclose(np.vdot(S, A), nuclear_norm(A), rtol=1e-14)
        assert np.isclose(nuclear_norm(G), 1, rtol=1e-14)
    for shape in ((3, 2), (0, 4), (2, 3, 0), (0, 3, 3)):
        zero = np.zeros(shape)
        assert not spectral_norm(zero).any() and spectral_norm(zero).shape == shape[:-2]
        assert not spectral_norm_grad(zero).any() and not nuclear_norm_grad(zero).any()
        assert not nuclear_norm(zero).any()
