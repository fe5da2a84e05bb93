"""Tests of lowrank.rope, generated from book/rotations/rope.ipynb; edit the chapter."""

import numpy as np

from lowrank.rope import rope_frequencies, rope_matrix, rope_rotate, yarn_attention_factor


# %% book/rotations/rope.ipynb: test_matrices_and_rotations_agree
def test_matrices_and_rotations_agree():
    rng = np.random.default_rng(1)
    freqs, x = rng.uniform(0, 3, (2, 3)), rng.standard_normal(7)
    for layout in ("interleaved", "halves"):
        for place in ([0, 0], [3, -8], [0.5, 2.25]):
            R = rope_matrix(place, freqs, d=7, layout=layout)
            y = rope_rotate(x, place, freqs, layout=layout)
            assert np.allclose(R @ x, y, rtol=0, atol=1e-14)
            assert np.allclose(R.T @ R, np.eye(7), rtol=0, atol=1e-14)
            back = rope_rotate(R @ x, place, freqs, layout=layout, inverse=True)
            assert np.allclose(back, x, rtol=0, atol=1e-14)


def test_published_values():
    ntk = rope_frequencies(8, scaling="ntk", factor=4)
    assert np.allclose(ntk, [1, 6.29960525e-2, 3.96850263e-3, 2.5e-4], rtol=1e-8, atol=0)
    assert np.isclose(yarn_attention_factor(16), 1.277258872224)
