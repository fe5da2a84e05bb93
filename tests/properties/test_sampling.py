"""Draws of k: how many, what is certain, the laws, the limits, and what is refused."""

import math

import numpy as np
import pytest

from lowrank.sampling import sample_topk
from lowrank.topk import soft_topk

every_law = pytest.mark.parametrize("law", ("subset", "gumbel"))


def scores(seed, shape=(6, 40), scale=2.0):
    return np.random.default_rng(seed).standard_normal(shape) * scale


@every_law
def test_as_many_as_asked_for_along_any_axis(law):
    x, k = scores(0, (3, 40, 5)), np.array([[0, 1, 2, 39, 40]] * 3)
    before = x.copy()
    mask = sample_topk(x, k, axis=1, law=law, rng=1)
    assert mask.dtype == bool and mask.shape == x.shape and np.array_equal(x, before)
    assert np.array_equal(mask.sum(axis=1), k)
    assert sample_topk(x[0, :, 0].tolist(), 7, law=law, rng=1).sum() == 7


@every_law
def test_the_same_seed_draws_the_same(law):
    x = scores(1)
    first, second = (sample_topk(x, 9, law=law, rng=5) for _ in range(2))
    assert np.array_equal(first, second) and not np.array_equal(first, sample_topk(x, 9, law=law, rng=6))
    rng = np.random.default_rng(5)
    assert not np.array_equal(sample_topk(x, 9, law=law, rng=rng), sample_topk(x, 9, law=law, rng=rng))


@every_law
def test_masks_and_what_is_certain(law):
    x = np.tile([math.inf, 0.0, -math.inf, 1.0, math.inf, 2.0], (200, 1))
    for k in (2, 3, 5):
        mask = sample_topk(x, k, law=law, rng=k)
        assert mask[:, [0, 4]].all() and not mask[:, 2].any() and np.all(mask.sum(axis=1) == k)
    with pytest.raises(ValueError, match="entries"):
        sample_topk(x, 1, law=law)


@every_law
def test_temperature(law):
    x = scores(2, (50, 300))
    cold = sample_topk(x, 30, law=law, temperature=1e-9, rng=0)
    assert np.array_equal(cold, x >= np.sort(x)[:, [-30]])
    hot = sample_topk(x, 30, law=law, temperature=1e9, rng=0).mean(axis=0)
    assert abs(hot.std() - math.sqrt(0.09 / 50)) < 0.01 and hot.mean() == pytest.approx(0.1)
    far = np.array([1e300, 0.0, -1e300, 5e-324])
    assert np.array_equal(sample_topk(far, 1, law=law, temperature=5e-324, rng=0), [True, False, False, False])


@pytest.mark.parametrize("n, k", ((7, 3), (200, 100), (600, 540), (300, 5)))
def test_frequencies_of_the_subset_law(n, k):
    x, trials = scores(3, n), 300
    x = np.sort(x)                                          # one half is all but certain
    p = soft_topk(x, k, method="subset")
    draws = sample_topk(np.broadcast_to(x, (trials, n)), k, rng=4)
    off = (draws.mean(axis=0) - p) / np.sqrt((p * (1 - p) + 1 / trials) / trials)
    assert np.abs(off).max() < 5.5
    assert np.sum(off**2) < n + 6 * math.sqrt(2 * n)


def test_a_number_far_from_the_mean_is_not_taken_for_another():
    from lowrank.sampling import _number_law
    p = np.full(400, 0.3)
    law = _number_law(p.copy())
    exact = np.ones(1)
    for v in p:
        exact = np.convolve(exact, [1 - v, v])
    found = np.array([law(j) for j in range(401)])
    assert np.abs(found - exact / exact.max()).max() < 1e-12


def test_few_trials_for_many_scores(monkeypatch):
    import lowrank.sampling as chapter
    x, drawn = scores(5, 200_000), []

    class Counting:
        def __init__(self, rng):
            self.rng = rng

        def random(self, size=None):
            drawn.append(size or 0)
            return self.rng.random(size)

    chapter._draw(Counting(np.random.default_rng(0)), x, 20_000)
    assert sum(drawn) < 6 * len(x)                          # 1.4 n expected; without halves 180 n


@pytest.mark.parametrize("kwargs, words", (
    ({"k": 2.5}, "integers"), ({"k": 41}, "integers"), ({"law": "poisson"}, "law"), ({"temperature": 0}, "temperature"),
    ({"axis": 3}, "axis"), ({"rng": "x"}, "rng")))
def test_refusals(kwargs, words):
    with pytest.raises((TypeError, ValueError), match=words):
        sample_topk(scores(6), **{"k": 3, **kwargs})
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="NumPy"):
        sample_topk(torch.zeros(4), 2)
