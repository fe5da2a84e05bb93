"""Tests of lowrank.polar_factor, generated from book/matrix_sign/polar_factor.ipynb; edit the
chapter."""

from lowrank.polar_express import optimal_msign_schedule
from lowrank.polar_factor import msign


# %% book/matrix_sign/polar_factor.ipynb: test_msign_on_everything
def test_msign_on_everything():
    import numpy as np
    import pytest

    rng = np.random.default_rng(0)
    nines = optimal_msign_schedule(degree=9, lower=1e-4, tol=1e-15, cushion=0.1, safety=1e-4)
    for shape in ((6, 6), (9, 4), (4, 9), (2, 3, 5), (0, 3, 4), (3, 0), (1, 1)):
        for dtype in (np.float32, np.float64, np.complex64, np.complex128):
            A = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
            A = (A if np.issubdtype(dtype, np.complexfloating) else A.real).astype(dtype)
            expected, tol = msign(A, method="svd"), 300 * np.finfo(dtype).eps
            for method, schedule in (("polynomial", None), ("polynomial", nines), ("qdwh", None)):
                X, info = msign(A, method=method, schedule=schedule, return_info=True)
                assert X.dtype == dtype and X.shape == shape and np.all(info.converged)
                assert np.allclose(X, expected, rtol=0, atol=100 * tol)
    for method in ("svd", "polynomial", "qdwh"):
        assert not np.any(msign(np.zeros((2, 3)), method=method))
    for options, message in [
        ({"method": "newton"}, "method is 'newton'"), ({"tol": 2}, "tol is 2"),
        ({"method": "qdwh", "schedule": 3}, "schedule is 3; method='qdwh' does not take it"),
        ({"method": "svd", "normalize": False}, "normalize is False; method='svd' does not"),
        ({"method": "polynomial", "rtol": 0.1}, "rtol is 0.1"), ({"rtol": -1}, "rtol is -1"),
        ({"rtol": 0.1, "schedule": 3}, "schedule is 3; method='svd' does not take it"),
        ({"method": "gram"}, "schedule is None; method='gram'"),
        ({"schedule": -1}, "schedule is -1; allowed is an integer from 0, or a sequence of steps"),
        ({"schedule": [()]}, "step 0 of schedule is"), ({"schedule": "ab"}, "schedule is 'ab'"),
        ({"normalize": "trace"}, "normalize is 'trace'"),
    ]:
        with pytest.raises(ValueError, match=message):
            msign(np.eye(2), **options)
