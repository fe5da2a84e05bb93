"""Tests of lowrank.vector_quantization, generated from book/rotations/vector_quantization.ipynb; edit
the chapter."""

from lowrank.unit_rotation import rotate
from lowrank.vector_quantization import (
    codebook_usage,
    pass_through,
    rotation_trick,
    simvq_step,
    vq_assign,
    vq_gradient,
)


# %% book/rotations/vector_quantization.ipynb: test_assigned_to_the_nearest
def test_assigned_to_the_nearest():
    import numpy as np

    rng = np.random.default_rng(0)
    for dtype, offset, scale in ((np.float32, 0, 1), (np.float32, 1e4, 1), (np.float64, 1e9, 1),
                                 (np.float64, 0, 1e-150), (np.float32, 0, 1e36)):
        Z, C = ((scale * (rng.standard_normal((n, 9)) + offset)).astype(dtype) for n in (700, 90))
        lengths = np.linalg.norm((Z[:, None].astype(float) - C) / scale, axis=2)
        for block in (None, 1, 64):
            assert np.array_equal(vq_assign(Z, C, block=block), lengths.argmin(axis=1))
    grid = rng.integers(-2, 3, (300, 3)).astype(np.float32)     # many ties: the first one
    codes = rng.integers(-2, 3, (40, 3)).astype(np.float32)
    squares = ((grid[:, None] - codes)**2).sum(axis=2)
    assert np.array_equal(vq_assign(grid, codes), squares.argmin(axis=1))


# %% book/rotations/vector_quantization.ipynb: test_the_gradient_is_that_of_the_matrix
def test_the_gradient_is_that_of_the_matrix():
    import numpy as np

    rng = np.random.default_rng(1)
    for d in (2, 3, 40):
        z, q, u = rng.standard_normal((3, 50, d))
        q[:9] = -z[:9] + np.geomspace(1e-3, 1, 9)[:, None] * q[:9]     # nearly opposite
        q[9] = -2 * z[9]
        M = np.stack([np.linalg.norm(y) / np.linalg.norm(x) * rotate(np.eye(d), x, y).T
                      for x, y in zip(z, q)])
        expected = (M.mT @ u[..., None])[..., 0]
        assert np.allclose(rotation_trick(z, q, u), expected, rtol=0, atol=1e-11 * abs(M).max())
        turned = rotation_trick(z, q, u, rescale=False)
        assert np.allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(u, axis=1))
    assert np.array_equal(rotation_trick(0 * z, q, u), u)
    assert np.array_equal(pass_through(z, q), q)


# %% book/rotations/vector_quantization.ipynb: test_steps_are_those_of_the_formulas
def test_steps_are_those_of_the_formulas():
    import numpy as np

    rng = np.random.default_rng(2)
    Z, C, i = rng.standard_normal((90, 3)), rng.standard_normal((8, 3)), rng.integers(0, 7, 90)
    loss = lambda C: np.mean(((Z - C[i])**2).sum(axis=1))
    H = rng.standard_normal(C.shape)
    slope = (loss(C + 1e-6 * H) - loss(C - 1e-6 * H)) / 2e-6
    assert np.isclose((vq_gradient(Z, C, i) * H).sum(), slope)
    assert not vq_gradient(Z, C, i)[7].any()
    E, W, G = C, rng.standard_normal((3, 4)), rng.standard_normal((8, 4))
    same, V = simvq_step(E, W, G, lr=0.3)
    assert same is E and np.allclose(V, W - 0.3 * E.T @ G)
    F, V = simvq_step(E, W, G, lr=0.3, train_codes=True)
    assert np.allclose(F, E - 0.3 * G @ W.T) and np.allclose(V, W - 0.3 * E.T @ G)
    assert codebook_usage(i, 9).used == len(set(i.tolist()))
