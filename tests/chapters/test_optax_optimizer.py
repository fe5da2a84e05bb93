"""Tests of lowrank.optax_optimizer, generated from book/in_use/optax_optimizer.ipynb; edit the
chapter."""

from lowrank.optax_optimizer import _matrices, optax_muon, scale_by_muon


# %% book/in_use/optax_optimizer.ipynb: test_a_convolution_is_the_matrix_of_its_layout
def test_a_convolution_is_the_matrix_of_its_layout():
    import jax
    import jax.numpy as jnp
    import numpy as np

    rng = np.random.default_rng(1)
    kernel, image = (jnp.asarray(rng.standard_normal(shape), jnp.float32)
                     for shape in ((3, 3, 2, 5), (1, 3, 3, 2)))
    found = jax.lax.conv_general_dilated(image, kernel, (1, 1), "VALID",
                                         dimension_numbers=("NHWC", "HWIO", "NHWC"))
    A, back = _matrices(kernel, "iiio")
    assert A.shape == (5, 18)
    np.testing.assert_allclose(A @ image.ravel(), found.ravel(), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(back(A), kernel)
    ranks = []
    for layout in ("iiio", "oiii"):
        muon = scale_by_muon(scale=1, schedule=7, layouts={"*": layout})
        step, _ = muon.update(kernel, muon.init(kernel))
        ranks.append(float(jnp.sum(step**2)))
    np.testing.assert_allclose(ranks, [5, 3], rtol=1e-3)


# %% book/in_use/optax_optimizer.ipynb: test_what_optax_does_with_a_transformation
def test_what_optax_does_with_a_transformation():
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    rng = np.random.default_rng(2)
    array = lambda *shape: jnp.asarray(rng.standard_normal(shape), jnp.float32)
    tree = lambda *lead: {"kernel": array(*lead, 4, 3), "bias": array(*lead, 3), "no": None}
    params, grads = tree(), tree(4)                         # gradients of four steps

    def steps(optimizer):
        def step(carry, G):
            updates, state = optimizer.update(G, carry[1], carry[0])
            return (optax.apply_updates(carry[0], updates), state), updates
        return jax.lax.scan(step, (params, optimizer.init(params)), grads)[1]["kernel"]

    falling = optax.linear_schedule(0.1, 0.0, 4)
    updates = steps(optax_muon(falling, weight_decay=0))
    constant = steps(optax_muon(0.1, weight_decay=0))
    np.testing.assert_allclose(updates, constant * jnp.array([1, 0.75, 0.5, 0.25])[:, None, None],
                               rtol=1e-4, atol=1e-6)
    injected = steps(optax.inject_hyperparams(optax_muon)(falling, weight_decay=0))
    np.testing.assert_allclose(injected, updates, rtol=1e-4, atol=1e-6)
    gathered = steps(optax.MultiSteps(optax_muon(0.1, weight_decay=0), every_k_schedule=4))
    assert not gathered[:3].any()
    mean = jax.tree.map(lambda G: G.mean(axis=0), grads)
    once = optax_muon(0.1, weight_decay=0)
    expected = once.update(mean, once.init(params), params)[0]["kernel"]
    np.testing.assert_allclose(gathered[3], expected, rtol=1e-4, atol=1e-6)
