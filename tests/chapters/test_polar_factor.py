"""Tests of lowrank.polar_factor, generated from book/matrix_sign/polar_factor.ipynb; edit the
chapter."""

from lowrank.polar_factor import msign


# %% book/matrix_sign/polar_factor.ipynb: test_msign_on_everything
def test_msign_on_everything():
    import numpy as np
    import pytest

    rng = np.random.default_rng(0)
    for shape in ((6, 6), (9, 4), (4, 9), (2, 3, 5), (0, 3, 4), (3, 0), (1, 1)):
        for dtype in (np.float32, np.float64, np.complex64, np.complex128):
            A = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
            A = (A if np.issubdtype(dtype, np.complexfloating) else A.real).astype(dtype)
            expected, tol = msign(A, method="svd"), 300 * np.finfo(dtype).eps
            for method, degree in (("polynomial", 5), ("polynomial", 9), ("qdwh", 5)):
                X, info = msign(A, method=method, degree=degree, return_info=True)
                assert X.dtype == dtype and X.shape == shape and np.all(info.converged)
                assert np.allclose(X, expected, rtol=0, atol=100 * tol)
    for method in ("svd", "polynomial", "qdwh"):
        assert not np.any(msign(np.zeros((2, 3)), method=method))
    for options, message in [
        ({"method": "newton"}, "method is 'newton'"), ({"tol": 2}, "tol is 2"),
        ({"method": "qdwh", "steps": 3}, "steps is 3; method='qdwh' does not take it"),
        ({"method": "polynomial", "rtol": 0.1}, "rtol is 0.1"), ({"rtol": -1}, "rtol is -1"),
        ({"method": "gram"}, "schedule and steps are both None"),
        ({"steps": -1}, "steps is -1"), ({"steps": 3, "degree": 4}, "degree is 4"),
        ({"schedule": [(1.5, -0.5)], "lower": 0.1}, "lower is 0.1; a given schedule does not"),
        ({"steps": 3, "lower": 2.0}, "lower is 2.0"), ({"lower": 0}, "lower is 0"),
        ({"method": "qdwh", "lower": 2.0}, "lower is 2.0"), ({"degree": 4}, "degree is 4"),
        ({"normalize": "trace"}, "normalize is 'trace'"),
    ]:
        with pytest.raises(ValueError, match=message):
            msign(np.eye(2), **options)
