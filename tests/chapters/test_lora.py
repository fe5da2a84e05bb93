"""Tests of lowrank.lora, generated from book/adapters/lora.ipynb; edit the chapter."""

from lowrank.lora import lora_muon_gradients, lora_pro_gradients, tangent_share


# %% book/adapters/lora.ipynb: test_steps_have_the_product_of_the_projection
def test_steps_have_the_product_of_the_projection():
    import numpy as np

    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    for s in (1.0, 0.5):
        A, B, G = draw(3, 7, 2), draw(3, 2, 5), draw(3, 7, 5)
        P, Q = A @ np.linalg.pinv(A), np.linalg.pinv(B) @ B
        projection = P @ G + G @ Q - P @ G @ Q
        gradients = s * G @ B.conj().mT, s * A.conj().mT @ G
        for mode in ("sylvester", "plain", "symmetric"):
            H_A, H_B = lora_pro_gradients(A, B, *gradients, mode, scale=s)
            assert np.allclose(s * (H_A @ B + A @ H_B), projection)
            first, second = H_A @ B, A @ H_B
            kept = {"sylvester": A.conj().mT @ H_A - H_B @ B.conj().mT,
                    "plain": H_B @ Q, "symmetric": P @ first @ Q - P @ second @ Q}
            assert np.allclose(kept[mode], 0)
        H_A, H_B = lora_muon_gradients(A, B, *gradients, scale=s)
        halves = [np.linalg.svd(s * X)[1][:, :3] for X in (H_A @ B, A @ H_B)]
        assert np.allclose(halves, np.array([0.5, 0.5, 0]))
        ratio = np.linalg.norm(projection, axis=(1, 2))**2 / np.linalg.norm(G, axis=(1, 2))**2
        assert np.allclose(tangent_share(A, B, G), ratio)


def test_a_factor_of_zeros():
    import numpy as np

    rng = np.random.default_rng(1)
    A, B, G = np.zeros((6, 2)), rng.standard_normal((2, 5)), rng.standard_normal((6, 5))
    H_A, H_B = lora_pro_gradients(A, B, G @ B.T, A.T @ G)
    assert np.allclose(H_A, G @ np.linalg.pinv(B)) and not H_B.any()
    H_A, H_B = lora_muon_gradients(A, B, G @ B.T, A.T @ G)
    assert np.allclose(np.linalg.svd(H_A @ B)[1][:3], [0.5, 0.5, 0]) and not H_B.any()
