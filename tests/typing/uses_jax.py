"""The optimizer for optax, used as its users do: see uses.py."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import optax

import lowrank

params = {"Conv_0": {"kernel": jnp.ones((3, 3, 2, 4)), "bias": jnp.ones(4)}, "head": {"kernel": jnp.ones((4, 2))}}
layouts = {"Conv*kernel": "iiio", "head/*": "adamw"}


def use_optax_optimizer() -> None:
    assert lowrank.muon_layouts(params, layouts)["Conv_0"] == {"bias": "adamw", "kernel": "iiio"}
    assert lowrank.muon_labels(params, layouts=layouts)["head"]["kernel"] == "adamw"
    optimizer = lowrank.optax_muon(
        optax.constant_schedule(0.1), weight_decay=0, beta=np.float32(0.9), nesterov=True, bias_correction=True, scale="operator",
        schedule=[(1.5, -0.5)], normalize="frobenius", dtype=jnp.bfloat16, mu_dtype="float32", layouts=layouts,
        adam_learning_rate=0.01, adam_b1=0.9, adam_b2=0.99, adam_eps=1e-8, adam_weight_decay=0.1,
    )
    updates, state = optimizer.update(params, optimizer.init(params), params)
    assert updates["head"]["kernel"].shape == (4, 2) and state is not None
    muon = lowrank.scale_by_muon(0.5, nesterov=False, scale=1, schedule=3, normalize="schatten4", layouts=layouts)
    state = muon.init({"W": jnp.eye(2)})
    assert isinstance(state, lowrank.ScaleByMuonState) and state.count == 0 and state.mu["W"].shape == (2, 2)
    lowrank.optax_muon(1e-3)
    optax.multi_transform({"muon": muon, "adamw": optax.adam(0.1)}, partial(lowrank.muon_labels, layouts=layouts))
