"""Whole steps of the optimizers of the part "In use", beside those that the libraries bring. The number is that of matrices."""

from functools import cache

from case import Case, within

import lowrank
from low_rank import use

KELLER = ((3.4445, -4.7750, 2.0315),) * 5
LIKE_PYTORCH = {"schedule": KELLER, "normalize": "frobenius"}
CELLS = [("64x64", 12), ("256x256", 6), ("1024x1024", 1), ("64x2048", 2)]


def torch_muon(params):
    return use("torch").optim.Muon(params, adjust_lr_fn="match_rms_adamw")


@cache
def torch_step(make, name, count):
    """A step of an optimizer with its own parameters, whose gradients stay."""
    torch = use("torch")
    torch.set_num_threads(1)
    source = torch.Generator().manual_seed(0)
    shape = tuple(map(int, name.split("x")))
    params = [torch.nn.Parameter(torch.randn(shape, generator=source)) for _ in range(count)]
    for W in params:
        W.grad = torch.randn(shape, generator=source)
    return make(params).step


CASES = [
    Case(
        f"TorchMuon, a step{variant}",
        CELLS,
        ours=lambda name, count, seed, make=make: torch_step(make, name, count)(),
        peers={"torch.optim.Muon": lambda name, count, seed: torch_step(torch_muon, name, count)()},
        measures={},
        aim="time <= that of torch.optim.Muon",
        targets=lambda name, count: within(1.0, "torch.optim.Muon"),
        given=lambda name, count: (name, count),
    )
    for variant, make in (
        ("", lambda params: lowrank.TorchMuon(params)),         # looked up when it is called: torch may be missing
        (", with the polynomial of 2024", lambda params: lowrank.TorchMuon(params, **LIKE_PYTORCH)),
    )
]
