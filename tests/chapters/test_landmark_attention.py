"""Tests of lowrank.landmark_attention, generated from book/structure/landmark_attention.ipynb; edit
the chapter."""

from lowrank.landmark_attention import nystrom_attention


# %% book/structure/landmark_attention.ipynb: test_reference_values
def test_reference_values():
    import numpy as np

    from lowrank.attention_rank import attention_matrix

    t = np.arange(12)
    Q = np.column_stack([np.cos(0.5 * t), np.sin(0.5 * t)])
    K = np.column_stack([np.cos(0.3 * t + 0.2), np.sin(0.3 * t + 0.2)])
    V = t[:, None] / 11
    Y = nystrom_attention(Q, K, V, 3)
    assert np.allclose(Y[[0, 5, 11], 0], [0.351935693062, 0.582366430362, 0.417848361964])
    assert np.allclose(nystrom_attention(Q, K, V, 12), attention_matrix(Q, K) @ V, atol=1e-6)
    Y, (C, Z, R) = nystrom_attention(Q, K, V, 3, core="fitted", rng=0, return_factors=True)
    assert np.allclose(C @ Z @ R @ V, Y) and (C.shape, R.shape) == ((12, 3), (3, 12))
