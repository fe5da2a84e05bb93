"""Tensors without entries, of the device "meta": shapes and dtypes of what every function of Parts II and III returns for tensors."""

import pytest

pytest.importorskip("torch")
import torch
from torch import nn

import lowrank as lr

METHODS = ("laplace", "sigmoid", "subset", "sparse", "expclip")
STEPS = [lr.pade_step(5)] * 4
NOT_OF_TENSORS = {"remez", "alternation_points", "pade_step", "optimal_msign_schedule", "best_degrees", "sample_topk"}


def calls(A, S, x):
    """name -> a call, for a stack of wide matrices, one of square matrices, and vectors."""
    halved = {f"{name} {method}": (lambda f=f, method=method: f(method)) for method in METHODS for name, f in {
        "soft_topk": lambda method: lr.soft_topk(x, 2, method=method),
        "soft_topk_vjp": lambda method: lr.soft_topk_vjp(x, 2, x, method=method),
        "soft_topk_jvp": lambda method: lr.soft_topk_jvp(x, 2, x, method=method)}.items()}
    return halved | {
        "schatten_norm": lambda: lr.schatten_norm(A, 8),
        "apply_schedule": lambda: lr.apply_schedule(A, STEPS, normalize="schatten4"),
        "apply_schedule gram": lambda: lr.apply_schedule(A, STEPS, form="gram"),
        "polar_residuals": lambda: lr.polar_residuals(A, A),
        "sqrtm_newton_schulz": lambda: lr.sqrtm_newton_schulz(S),
        "sqrtm_newton_schulz steps": lambda: lr.sqrtm_newton_schulz(S, STEPS),
        **{f"msign {method}": lambda method=method: lr.msign(A, method=method) for method in ("auto", "svd", "qdwh", "polynomial")},
        "msign steps": lambda: lr.msign(A, schedule=5),
        "msign gram": lambda: lr.msign(A, schedule=5, method="gram"),
        "msign info": lambda: lr.msign(A, return_info=True)[0],
        "msign_jvp": lambda: lr.msign_jvp(A, A),
        "msign_vjp": lambda: lr.msign_vjp(A, A),
        "svfun": lambda: lr.svfun(A, torch.sqrt),
        "svfun_jvp": lambda: lr.svfun_jvp(A, A, torch.square, lambda s: 2 * s),
        "svfun_vjp": lambda: lr.svfun_vjp(A, A, torch.square, lambda s: 2 * s),
        **{f"mclip {method}": lambda method=method: lr.mclip(A, method=method) for method in ("svd", "msign", "block")},
        "mstep": lambda: lr.mstep(A, 0.5),
        "spectral_norm": lambda: lr.spectral_norm(A),
        "spectral_norm power": lambda: lr.spectral_norm(A, method="power", steps=3),
        "spectral_norm_grad": lambda: lr.spectral_norm_grad(A),
        "nuclear_norm": lambda: lr.nuclear_norm(A),
        "nuclear_norm_grad": lambda: lr.nuclear_norm_grad(A),
        "spectral_decay": lambda: lr.spectral_decay(A, 0.1),
        "muon_update": lambda: lr.muon_update(A, A).update,
        "muon_update full": lambda: lr.muon_update(A, A, schedule=None, scale=0.3).update,
        "muon_update bfloat16": lambda: lr.muon_update(A, A, dtype=torch.bfloat16, normalize="frobenius").update,
        "Muon": lambda: lr.Muon(kinds=["stack", "adamw"]).step([A, x], [A, x], lr.Muon(kinds=["stack", "adamw"]).init([A, x]))[0][0],
        **{name: lambda name=name: getattr(lr, name)(x) for name in ("softmax", "sparsemax", "entmax")},
        **{name: lambda name=name: getattr(lr, name)(x, x) for name in ("softmax_vjp", "sparsemax_vjp", "entmax_vjp")},
        "entmax order": lambda: lr.entmax(x, alpha=1.3),
        "topk_temperature": lambda: lr.topk_temperature(x, 2),
    }


def stacks(device, dtype=torch.float32, requires_grad=False):
    source = torch.Generator().manual_seed(0)
    A, S, x = (torch.rand(shape, generator=source, dtype=torch.float64) + 0.1 for shape in ((2, 4, 13), (2, 4, 4), (2, 7)))
    S = S @ S.mT + torch.eye(4)
    return [X.to(dtype).to(device).requires_grad_(requires_grad) for X in (A, S, x)]


def form(found):
    """Shape and dtype of each array of a result."""
    if isinstance(found, tuple):
        return [form(part) for part in found]
    return (tuple(found.shape), found.dtype) if isinstance(found, torch.Tensor) else type(found)


NAMES = sorted(calls(*stacks("meta")))


def test_every_function_is_here():
    """Each public function of Parts II and III that takes tensors is a call."""
    own = {name for name in lr.__all__ if getattr(lr, name).__module__.split(".")[1] in
           ("equioscillation", "newton_schulz", "polar_express", "polar_factor", "clipping", "norms", "muon", "simplex_maps", "topk", "sampling")}
    functions = {name for name in own if not hasattr(getattr(lr, name), "_fields") and name[0].islower()} | {"Muon"}
    assert {name.split()[0] for name in NAMES} == functions - NOT_OF_TENSORS


def outcome(call):
    """What a call returns, or the TypeError by which it refuses a dtype, in words."""
    try:
        return call()
    except TypeError as error:
        return str(error)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_form_without_entries(name, dtype):
    """As on a processor, refusals of a dtype too, and on the device of the input."""
    found, expected = (outcome(calls(*stacks(device, dtype))[name]) for device in ("meta", "cpu"))
    assert form(found) == form(expected) and (not isinstance(found, str) or found == expected)
    assert not isinstance(found, str) or dtype == torch.bfloat16
    assert all(X.device.type == "meta" for X in (found if isinstance(found, tuple) else (found,)) if isinstance(X, torch.Tensor))


@pytest.mark.parametrize("name", [name for name in NAMES if name.split()[0] in (
    "schatten_norm", "apply_schedule", "msign", "svfun", "mclip", "spectral_norm", "nuclear_norm", "muon_update", "softmax", "sparsemax", "entmax", "soft_topk")
    and name != "muon_update full"])
def test_gradients_without_entries(name):
    given = stacks("meta", torch.float64, requires_grad=True)
    calls(*given)[name]().sum().backward()
    reached = [X for X in given if X.grad is not None]
    assert reached and all(X.grad.device.type == "meta" and X.grad.shape == X.shape for X in reached)


def test_a_model_without_entries_takes_a_step():
    """Parameters, state and steps of a model that is planned before there is memory for it."""
    with torch.device("meta"):
        model = nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 6), nn.Linear(6, 3, bias=False))
    for W in model.parameters():
        W.grad = torch.zeros_like(W)
    optimizer = lr.TorchMuon(lr.muon_groups(model), state_dtype=torch.float64)
    optimizer.step()
    averages = [X for state in optimizer.state.values() for name, X in state.items() if name != "step"]
    assert len(averages) == 6 and all(X.device.type == "meta" and X.dtype == torch.float64 for X in averages)


def test_one_graph_without_entries():
    """Only of what makes no constant on the device, which PyTorch does not trace there."""
    torch.compiler.reset()
    G = stacks("meta")[0]
    update = lambda G: lr.muon_update(G, dtype=torch.bfloat16).update
    assert form(torch.compile(update, fullgraph=True, backend="eager")(G)) == form(update(G))
