"""Tests of lowrank.attention_rank, generated from book/structure/attention_rank.ipynb; edit the
chapter."""

from lowrank.attention_rank import attention_matrix, effective_rank, numerical_rank, rank_collapse


# %% book/structure/attention_rank.ipynb: test_attention_matrix_is_the_softmax
def test_attention_matrix_is_the_softmax():
    import numpy as np

    from lowrank.simplex_maps import softmax

    rng = np.random.default_rng(0)
    Q, K = rng.standard_normal((2, 3, 7, 4))
    S = Q @ K.mT / 2
    assert np.allclose(attention_matrix(Q, K), softmax(S), rtol=1e-14)
    S[..., np.triu_indices(7, 1)[0], np.triu_indices(7, 1)[1]] = -np.inf
    A = attention_matrix(Q, K, causal=True)
    assert np.allclose(A, softmax(S), rtol=1e-14) and np.array_equal(A, np.tril(A))


# %% book/structure/attention_rank.ipynb: test_counts_of_known_spectra
def test_counts_of_known_spectra():
    import numpy as np

    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((9, 6)))[0] for _ in range(2))
    A = np.stack([U * [3, 3, 3, 0, 0, 0] @ V.T, 1e-200 * U @ V.T, np.zeros((9, 9))])
    for kind in ("entropy", "participation", "stable"):
        assert np.allclose(effective_rank(A, kind=kind), [3, 6, 0], rtol=1e-12)
    assert numerical_rank(A).tolist() == [3, 6, 0]
    assert numerical_rank(U * [1, 0.1, 0.01, 0, 0, 0] @ V.T, rtol=0.05) == 2


# %% book/structure/attention_rank.ipynb: test_collapse_is_a_distance
def test_collapse_is_a_distance():
    import numpy as np

    rng = np.random.default_rng(0)
    X = rng.standard_normal((5, 3)) + [1, 2, 3]
    projector = np.eye(5) - np.ones((5, 5)) / 5
    assert np.isclose(rank_collapse(X), np.linalg.norm(projector @ X) / np.linalg.norm(X))
    for v in X.mean(axis=0) + rng.standard_normal((99, 3)):
        assert np.linalg.norm(X - v) / np.linalg.norm(X) > rank_collapse(X)
