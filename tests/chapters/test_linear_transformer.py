"""Tests of lowrank.linear_transformer, generated from book/structure/linear_transformer.ipynb; edit
the chapter."""

from lowrank.linear_transformer import linear_attention


# %% book/structure/linear_transformer.ipynb: test_chunks_decays_and_states_agree_with_the_recurrence
def test_chunks_decays_and_states_agree_with_the_recurrence():
    import numpy as np

    rng = np.random.default_rng(1)
    Q, K, V = rng.standard_normal((3, 2, 150, 5))
    S, rows, g = np.zeros((2, 5, 5)), [], rng.random((2, 150)) * np.array([[0.0], [1.0]])
    for t in range(150):
        S = g[:, t, None, None] * S + K[:, t, :, None] * V[:, t, None, :]
        rows.append(np.einsum("bm,bme->be", Q[:, t], S))
    Y = np.stack(rows, axis=1)
    for chunk in (1, 7, 64, 1000):
        found, state = linear_attention(Q, K, V, True, chunk=chunk, decay=g, return_state=True)
        assert np.allclose(found, Y, atol=1e-12) and np.allclose(state, S, atol=1e-12)
    state, parts = None, []
    for a, b in ((0, 1), (1, 90), (90, 90), (90, 150)):
        part, state = linear_attention(Q[:, a:b], K[:, a:b], V[:, a:b], True, decay=g[:, a:b],
                                       state=state, return_state=True)
        parts.append(part)
    assert np.allclose(np.concatenate(parts, axis=1), Y, atol=1e-12)
    assert np.allclose(state, S, atol=1e-12)
