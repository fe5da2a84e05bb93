"""Tests of lowrank.rope_tie, generated from book/rotations/rope_tie.ipynb; edit the chapter."""

import math

import numpy as np

from lowrank.rope_tie import position_gaps, rope_tie_positions


# %% book/rotations/rope_tie.ipynb: test_the_demands_hold_for_every_size
def test_the_demands_hold_for_every_size():
    grids = [(h, w) for h in range(1, 7) for w in range(1, 7)] + [(3, 2, 2), (1, 4, 5), (5, 1, 1)]
    for grid in grids:
        for before in (1, 4, 7):
            page, n = [before, grid, 2], math.prod(grid)
            for variant in ("v2", "v1-tokens", "v1"):
                places = rope_tie_positions(page, variant=variant)
                left, right = position_gaps(places, page)
                assert np.allclose(left, right, rtol=0, atol=1e-12)
                if variant != "v1":
                    assert np.all(places[-1] == before + n + 2)
            steps = np.diff(rope_tie_positions(page)[before:before + n].reshape(*grid, -1), axis=0)
            assert np.all(steps[..., 0] == 1)


def test_published_values():
    film = rope_tie_positions([1, (3, 2, 2), 1])
    assert film[1].tolist() == [6.5, 7, 7] and film[12].tolist() == [8.5, 8, 8]
    assert film[13].tolist() == [14, 14, 14]
    stretched = rope_tie_positions([3, (2, 4), 2], variant="v1-tokens")
    assert np.allclose(stretched[3], [6, 4.8], rtol=0, atol=1e-12) and stretched[11, 0] == 12
    assert rope_tie_positions([3, (2, 4), 2], variant="v1")[3].tolist() == [8, 6]
