"""The inequality: both sums and the gap against mpmath, ends of the interval, dtypes, large j, refusals."""

import math

import mpmath
import numpy as np
import pytest

from lowrank.inequality import geometric_vs_poisson
from tests.properties.libraries import needs


def test_reference_values():
    for p, j, geometric, poisson in ((0.3, 2, 1.39, 1.4202834517556), (0.9, 5, 4.68559, 9.6988508186346), (0.99, 10, 10.466174574128, 99.216253469241)):
        found = geometric_vs_poisson(p, j)
        assert tuple(found) == (found.geometric, found.poisson) == pytest.approx((geometric, poisson), rel=1e-12)
    assert geometric_vs_poisson(1e-3, 2).gap * (1 - 1e-3) == pytest.approx(8.3320824e-10, rel=1e-8)


@mpmath.workdps(620)
def exact(p, j):
    p = mpmath.mpf(float(p))
    L = -mpmath.log1p(-p)
    geometric, poisson = (sum(f(i) for i in range(j + 1)) for f in (lambda i: p**i, lambda i: L**i / mpmath.factorial(i)))
    return float(geometric), float(poisson), float(poisson - geometric)


@pytest.mark.parametrize("j", (0, 1, 2, 7, 40))
def test_to_all_digits(j):
    p = np.concatenate([10.0 ** np.arange(-12, 0), np.linspace(0.2, 0.95, 8), 1 - 10.0 ** -np.arange(2, 15)])
    found = geometric_vs_poisson(p, j)
    expected = np.array([exact(x, j) for x in p]).T
    for values, right in zip((found.geometric, found.poisson, found.gap), expected):
        there = right > 1e-290
        np.testing.assert_allclose(values[there], right[there], rtol=2e-12)
    assert np.all(found.geometric <= found.poisson * (1 + 1e-13)) and np.all(found.poisson <= (1 + 1e-13) / (1 - p)) and np.all(found.gap >= 0)


def test_ends_and_sizes():
    zero = geometric_vs_poisson(0, 3)
    assert (*zero, zero.gap) == (1, 1, 0)
    far = geometric_vs_poisson([0.5, 0.999], 10**6)
    np.testing.assert_allclose([*far], [[2, 1000], [2, 1000]], rtol=1e-12)
    found = geometric_vs_poisson(np.float32([[0.3, 0.9]]), np.int64(2))
    assert found.gap.dtype == found.poisson.dtype == found.geometric.dtype == np.float32 and found.gap.shape == (1, 2)
    np.testing.assert_allclose(found.gap, [[exact(np.float32(x), 2)[2] for x in (0.3, 0.9)]], rtol=1e-5)
    assert geometric_vs_poisson(np.zeros((0, 2)), 1).gap.shape == (0, 2)
    p = np.array([0.1, 0.2])
    geometric_vs_poisson(p, 2)
    assert p.tolist() == [0.1, 0.2]
    with np.errstate(all="raise"):
        assert geometric_vs_poisson([0, 1e-300, 1 - 2**-53], 5).gap[1] == 0


@pytest.mark.parametrize("p, j, kind, words", [
    (1.0, 2, ValueError, "p has the entry 1; allowed are numbers with 0 <= p < 1"),
    ([0.5, -0.1], 2, ValueError, "p has the entry -0.1"),
    (math.nan, 2, ValueError, "p contains 1 NaN"),
    (0.5, -1, ValueError, "j is -1; allowed is an integer from 0"),
    (0.5, 1.5, TypeError, "j is 1.5"),
    (0.5j, 1, TypeError, "p is a ndarray of complex128; allowed are real numbers"),
])
def test_refusals(p, j, kind, words):
    with pytest.raises(kind, match=words):
        geometric_vs_poisson(p, j)


@needs("torch")
def test_other_libraries_are_refused():
    import torch
    with pytest.raises(TypeError, match="p is a Tensor of torch.float32; allowed are real numbers of NumPy"):
        geometric_vs_poisson(torch.tensor(0.5), 1)
