"""TorchMuon as loops use it: against PyTorch's optimizers, checkpoints, groups, kinds, formats, refusals, cost."""

import copy
import io
import pickle
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils._python_dispatch import TorchDispatchMode

import lowrank
from lowrank import Muon, TorchMuon, muon_groups, muon_update
from lowrank.newton_schulz import plus_product

KELLER = ((3.4445, -4.7750, 2.0315),) * 5
SHAPES = [(32, 32), (32, 32), (64, 16), (16, 64)]
FORMATS = [torch.float32, torch.float64, torch.bfloat16]
exact = {"dtype": None, "schedule": 5}


def tensors(shapes=SHAPES, dtype=torch.float32, seed=0):
    source = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=source).to(dtype)) for shape in shapes]


def gradients(shapes=SHAPES, count=5, seed=1):
    source = torch.Generator().manual_seed(seed)
    return [[torch.randn(shape, generator=source) for shape in shapes] for _ in range(count)]


def params_of(optimizer):
    return [W for group in optimizer.param_groups for W in group["params"]]


def walk(optimizer, given, after=lambda: None):
    """The parameters after steps with these gradients; None is a missing one."""
    for each in given:
        for W, G in zip(params_of(optimizer), each):
            W.grad = None if G is None else G.to(W.dtype)
        optimizer.step()
        after()
    return [W.detach().clone() for W in params_of(optimizer)]


def apart(found, expected, start):
    """The largest distance, relative to the way from the start."""
    return max(float((X.double() - Y.double()).norm() / (Y.double() - Z.detach().double()).norm()) for X, Y, Z in zip(found, expected, start))


def same(found, expected):
    return all(map(torch.equal, found, expected))


# --- against PyTorch

@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("rule, scale", [("match_rms_adamw", "rms"), ("original", "jordan")])
@pytest.mark.parametrize("nesterov", [True, False])
def test_against_muon_of_pytorch(dtype, rule, scale, nesterov):
    common = {"lr": 0.02, "weight_decay": 0.1}
    given = gradients(count=5)
    found = walk(TorchMuon(tensors(dtype=dtype), **common, beta=0.9, nesterov=nesterov, scale=scale, schedule=KELLER, normalize="frobenius"), given)
    theirs = torch.optim.Muon(tensors(dtype=dtype), **common, momentum=0.9, nesterov=nesterov, adjust_lr_fn=rule)
    if dtype == torch.bfloat16 and not nesterov:
        return                                              # PyTorch normalises its average in place then
    expected = walk(theirs, given)
    assert apart(found, expected, tensors(dtype=dtype)) < (0.5 if dtype == torch.bfloat16 else 0.03)


def test_against_muon_of_the_book():
    """The same steps by the function of the chapter before."""
    shapes, kinds = [(6, 4), (5, 2, 3, 3), (3, 4, 5), (7,), (9, 4)], ["matrix", "matrix", "stack", "adamw", "adamw"]
    params, given = tensors(shapes, torch.float64), gradients(shapes)
    muon, mine = Muon(0.1, weight_decay=0, kinds=kinds), [W.detach().numpy() for W in params]
    optimizer = TorchMuon([{"params": [W], "kind": kind} for W, kind in zip(params, kinds)], 0.1, weight_decay=0, dtype=None, eps=0)
    state = muon.init(mine)
    for each in given:
        mine, state = muon.step(mine, [G.double().numpy() for G in each], state)
    for W, expected in zip(walk(optimizer, given), mine):
        np.testing.assert_allclose(W, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("options", [{}, {"lr": torch.tensor(0.02)}, {"betas": (0.5, 0.99), "eps": 1e-4, "weight_decay": 0.3}, {"maximize": True}])
def test_against_adamw_of_pytorch(dtype, options):
    shapes = [(5, 4), (3,), (), (2, 3, 4)]
    options = {"lr": 0.01, "betas": (0.9, 0.95), "weight_decay": 0.1, **options}
    found = walk(TorchMuon(tensors(shapes, dtype), kind="adamw", **options), gradients(shapes, 8))
    assert same(found, walk(torch.optim.AdamW(tensors(shapes, dtype), **options), gradients(shapes, 8)))


def test_their_checkpoints_go_on():
    """The names of the state are PyTorch's; options that are not in the file stay."""
    given = gradients(count=6)
    for theirs, mine in ((torch.optim.Muon(tensors(), 0.05, adjust_lr_fn="match_rms_adamw"), {"schedule": KELLER, "normalize": "frobenius", "beta": 0.95}),
                         (torch.optim.AdamW(tensors(), 0.05), {"kind": "adamw"})):
        walk(theirs, given[:3])
        optimizer = TorchMuon([W.detach().clone().requires_grad_() for W in params_of(theirs)], **mine, heads=None if "kind" in mine else 2)
        optimizer.load_state_dict(theirs.state_dict())
        group = optimizer.param_groups[0]
        assert group["lr"] == 0.05 and all(group[name] == value for name, value in mine.items())
        if "kind" in mine:
            assert same(walk(optimizer, given[3:]), walk(theirs, given[3:]))
        else:
            assert group["heads"] == 2 and same([optimizer.state[W]["momentum_buffer"] for W in params_of(optimizer)],
                                                [theirs.state[W]["momentum_buffer"] for W in params_of(theirs)])


# --- the step

@pytest.mark.parametrize("options", [{}, {"scale": "operator"}, {"scale": 0.3, "nesterov": False}, {"schedule": None, "scale": "jordan"},
                                     {"normalize": "schatten4", "beta": 0}])
def test_a_step_is_that_of_muon_update(options):
    (W,), momentum = tensors([(6, 9)], torch.float64), None
    expected = W.detach().clone()
    optimizer = TorchMuon([W], 0.1, weight_decay=0.5, dtype=None, **options)
    for (G,) in gradients([(6, 9)], 4):
        walk(optimizer, [[G]])
        update, momentum = muon_update(G.double(), momentum, **options)
        expected = (1 - 0.05) * expected - 0.1 * update
        torch.testing.assert_close(W.detach(), expected, rtol=0, atol=1e-12)


def test_gradients_are_read_only_and_may_be_missing():
    for options in ({"nesterov": False, "beta": 0}, {"maximize": True}, {"kind": "adamw", "maximize": True}):
        for dtype in FORMATS:
            params = tensors(dtype=dtype)
            optimizer, start = TorchMuon(params, **options), [W.detach().clone() for W in params]
            given = [G.to(dtype) for G in gradients(count=1)[0]]
            for W, G in zip(params[1:], given[1:]):
                W.grad = G.clone()
            optimizer.step()
            assert same([W.grad for W in params[1:]], given[1:])
            assert torch.equal(params[0], start[0]) and params[0] not in optimizer.state
            assert not torch.equal(params[1], start[1])
    optimizer = TorchMuon(tensors())
    optimizer.step()                                        # no gradient at all
    assert same(params_of(optimizer), tensors())


def test_uphill():
    given = gradients()
    for kind in ("matrix", "adamw"):
        up = walk(TorchMuon(tensors(), maximize=True, kind=kind), given)
        assert same(up, walk(TorchMuon(tensors(), kind=kind), [[-G for G in each] for each in given]))


def test_closures_hooks_and_graphs():
    W, = tensors([(4, 3)])
    optimizer, said = TorchMuon([W]), []
    optimizer.register_step_pre_hook(lambda *_: said.append("before"))
    optimizer.register_step_post_hook(lambda *_: said.append("after"))

    def closure():
        optimizer.zero_grad()
        loss = (W**4).sum()
        loss.backward(create_graph=True)                    # gradients that are part of a graph
        return loss

    with pytest.warns(UserWarning, match="create_graph"):
        losses = [float(optimizer.step(closure).detach()) for _ in range(3)]
    assert losses[0] > losses[1] > losses[2] and said == ["before", "after"] * 3
    assert not any(value.requires_grad for value in optimizer.state[W].values())
    copy.deepcopy(optimizer)
    W.grad = None


def test_grad_scaler_and_clipping():
    W, b = tensors([(4, 3), (4,)])
    scaler, optimizer = torch.amp.GradScaler("cpu", init_scale=2.0**10), TorchMuon([W, b], 0.1)
    other = TorchMuon(twins := [W.detach().clone().requires_grad_(), b.detach().clone().requires_grad_()], 0.1)
    x = torch.randn(5, 3)
    for bad in (False, True, False):
        loss = lambda W, b: ((x @ W.T + b)**2).sum() * (float("inf") if bad else 1)
        optimizer.zero_grad()
        scaler.scale(loss(W, b)).backward()
        scaler.unscale_(optimizer)
        if not bad:
            other.zero_grad()
            loss(*twins).backward()
            other.step()
            nn.utils.clip_grad_norm_([b], 1e9)
        scaler.step(optimizer)
        scaler.update()
    torch.testing.assert_close([W, b], twins, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [
    lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)), lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
    lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=6),
    lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.5)], [2]),
])
def test_schedules_of_rates(make):
    """The rate of a step is what the scheduler says, in every group."""
    matrix, vector = tensors([(6, 6), (5,)])
    optimizer = TorchMuon([{"params": [matrix]}, {"params": [vector], "lr": 0.5, "betas": (0, 0)}], 0.1, weight_decay=0, schedule=None, dtype=None)
    schedule = make(optimizer)
    for _ in range(4):
        before, rates = [matrix.detach().clone(), vector.detach().clone()], [group["lr"] for group in optimizer.param_groups]
        optimizer.param_groups[1]["betas"] = (0.0, 0.0)
        walk(optimizer, [[torch.eye(6), torch.ones(5)]])
        schedule.step()
        size = torch.linalg.matrix_norm(before[0] - matrix.detach(), 2)
        assert float(size) == pytest.approx(0.2 * 6**0.5 * rates[0], rel=1e-3)
        torch.testing.assert_close(before[1] - vector.detach(), torch.full((5,), float(rates[1])), rtol=1e-4, atol=1e-6)


def test_a_rate_that_is_a_tensor():
    rate = torch.tensor([0.02])
    optimizer, given = TorchMuon(tensors(), rate), gradients()
    found = walk(optimizer, given[:2])
    assert same(found, walk(TorchMuon(tensors(), float(rate)), given[:2]))
    optimizer.param_groups[0]["lr"].fill_(0.0)
    assert same(walk(optimizer, given[2:]), found)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, None])
def test_autocast_leaves_the_step_alone(dtype):
    given = gradients()
    plain = walk(TorchMuon(tensors(), dtype=dtype), given)
    with torch.autocast("cpu", torch.bfloat16):
        found = walk(TorchMuon(tensors(), dtype=dtype), given)
    assert apart(found, plain, tensors()) < (1e-6 if dtype != torch.bfloat16 else 0.03)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, None])
def test_the_unit_of_a_gradient_does_not_matter(dtype):
    shapes = [(12, 8), (12, 8), (8, 30)]
    plain = walk(TorchMuon(tensors(shapes, torch.float64), dtype=dtype), gradients(shapes))
    for unit in (1e-150, 1e-30, 1e30, 1e150):
        given = [[unit * G.double() for G in each] for each in gradients(shapes)]
        found = walk(TorchMuon(tensors(shapes, torch.float64), dtype=dtype), given)
        assert apart(found, plain, tensors(shapes)) < (1e-5 if dtype is None else 1e-3 if dtype == torch.float32 else 0.1)
    (W,), = [tensors([(4, 4)])]
    assert torch.equal(walk(TorchMuon([W], weight_decay=0), [[torch.zeros(4, 4)]])[0], W)


def test_complex_matrices():
    W, G = (torch.randn(2, 6, 4, dtype=torch.complex128, generator=torch.Generator().manual_seed(0)))
    V, b = nn.Parameter(W.clone()), nn.Parameter(W[0].clone())
    optimizer = TorchMuon([V, b], 0.1, weight_decay=0, dtype=None, schedule=None, scale=1)
    walk(optimizer, [[G, G[0]]])
    torch.testing.assert_close(torch.linalg.svdvals(W - V.detach()), torch.full((4,), 0.1, dtype=torch.float64))
    with pytest.raises(TypeError, match=r"has dtype torch.complex128 .* allowed for complex parameters is dtype=None"):
        TorchMuon([V])


# --- kinds and blocks

@pytest.mark.parametrize("shape, matrix", [
    ((4, 3), True), ((4,), False), ((), False), ((4, 1), False), ((1, 4), False), ((8, 1, 1), False), ((1, 1, 8), False), ((0, 3), False),
    ((6, 2, 3, 3), True), ((6, 1, 3, 3), True), ((1, 6, 3, 3), False), ((4, 2, 3, 3, 3), True), ((1, 1, 1, 9), False), ((7, 5, 1, 1), True),
])
def test_kinds_by_shape(shape, matrix):
    W, = tensors([shape], torch.float64)
    optimizer = TorchMuon([W], 0.1, weight_decay=0, dtype=None, schedule=None)
    G, = gradients([shape], 1)[0]
    start = W.detach().clone()
    moved = (start - walk(optimizer, [[G]])[0]) / 0.1
    assert set(optimizer.state[W]) == ({"momentum_buffer"} if matrix else {"step", "exp_avg", "exp_avg_sq"})
    if matrix:
        flat = moved.reshape(shape[0], -1)
        torch.testing.assert_close(torch.linalg.svdvals(flat), torch.full((min(flat.shape),), 0.2 * max(flat.shape)**0.5, dtype=torch.float64))
    else:
        torch.testing.assert_close(moved, G.double().sign(), rtol=1e-3, atol=0)


def test_what_is_ambiguous_is_refused_by_name():
    cube = nn.Parameter(torch.ones(2, 3, 4))
    with pytest.raises(ValueError, match=r"blocks.0.experts has shape \(2, 3, 4\).* State its kind; allowed are 'stack', 'matrix' and 'adamw'"):
        TorchMuon([("blocks.0.experts", cube)])
    with pytest.raises(ValueError, match=r"parameter 1 of its group has shape \(2, 3, 4\)"):
        TorchMuon([nn.Parameter(torch.ones(3, 3)), cube])
    for kind in ("stack", "matrix", "adamw"):
        TorchMuon([cube], kind=kind)
    with pytest.raises(ValueError, match=r"b has shape \(5,\) and the kind 'stack'; allowed is 'adamw' below two axes"):
        TorchMuon([("b", nn.Parameter(torch.ones(5)))], kind="stack")
    with pytest.raises(ValueError, match=r"has shape \(2, 2, 2, 2, 2, 2\)"):
        TorchMuon([nn.Parameter(torch.ones((2,) * 6))])


BLOCKS = {
    "heads": ((12, 5), {"heads": 3}, [(4, 5)] * 3),
    "queries, keys and values of other sizes": ((14, 5), {"heads": (4, 4, 2, 2, 2)}, [(4, 5)] * 2 + [(2, 5)] * 3),
    "rows of their own": ((3, 5), {"heads": 3}, [(1, 5)] * 3),
    "experts": ((3, 4, 6), {"kind": "stack"}, [(4, 6)] * 3),
    "experts of layers": ((2, 2, 5, 3), {"kind": "stack"}, [(5, 3)] * 4),
    "a convolution with groups": ((6, 2, 3, 3), {"heads": 2}, [(3, 18)] * 2),
}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("layout", ["contiguous", "turned"])
def test_blocks_are_parameters(name, layout):
    shape, options, blocks = BLOCKS[name]
    rows_of = lambda X: [Y.clone() for Y in X.reshape(-1, blocks[0][1]).split([m for m, n in blocks])]
    whole, given = tensors([shape], torch.float64)[0].detach(), gradients([shape])
    parts = list(map(nn.Parameter, rows_of(whole)))
    if layout == "turned":                                  # first axes last in memory, as channels_last and transposes have them
        turn = lambda X: X.transpose(0, -1).contiguous().transpose(0, -1)
        whole, given = turn(whole), [[turn(G)] for (G,) in given]
        assert not whole.is_contiguous()
    for scale in ("rms", "operator", "jordan"):
        common = {"dtype": None, "scale": scale, "kind": "matrix"}
        found = walk(TorchMuon([nn.Parameter(whole.clone(memory_format=torch.preserve_format))], **{**common, **options}), given)[0]
        alone = walk(TorchMuon([nn.Parameter(X.detach().clone()) for X in parts], **common), [rows_of(G) for (G,) in given])
        torch.testing.assert_close(rows_of(found), alone, rtol=0, atol=1e-12)


def test_channels_last_stays():
    model = nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)
    optimizer = TorchMuon(model.parameters())
    model(torch.randn(2, 4, 8, 8).to(memory_format=torch.channels_last)).sum().backward()
    optimizer.step()
    for X in (model.weight, optimizer.state[model.weight]["momentum_buffer"]):
        assert X.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("heads, message", [
    (5, "heads is 5 and qkv has 12 rows; allowed is a divisor"), (0, "heads of qkv is 0; allowed is an integer from 1"),
    ((4, 4), r"heads is \(4, 4\) and qkv has 12 rows; allowed are numbers of rows that add up"), ((13, -1), "heads of qkv is -1"),
])
def test_heads_that_do_not_fit(heads, message):
    with pytest.raises(ValueError, match=message):
        TorchMuon([("qkv", nn.Parameter(torch.ones(12, 5)))], heads=heads)
    with pytest.raises(ValueError, match="heads is 2; the kind 'adamw' takes None"):
        TorchMuon([nn.Parameter(torch.ones(12, 5))], heads=2, kind="adamw")
    with pytest.raises(TypeError, match="heads of qkv is 1.5"):
        TorchMuon([("qkv", nn.Parameter(torch.ones(12, 5)))], heads=1.5)


def test_matrices_of_one_shape_are_multiplied_together(monkeypatch):
    seen = []
    monkeypatch.setattr(lowrank.torch_optimizer, "muon_update", lambda X, **options: seen.append(tuple(X.shape)) or muon_update(X, **options))
    shapes = [(64, 64)] * 5 + [(8, 3)] + [(64, 64)] * 12 + [(300, 300)] * 2
    optimizer = TorchMuon(tensors(shapes))
    seen.clear()                                            # of the options, which it checks
    walk(optimizer, gradients(shapes, 1))
    assert Counter(seen) == {(16, 64, 64): 1, (64, 64): 1, (8, 3): 1, (300, 300): 2}
    optimizer = TorchMuon(tensors([(8, 4, 4), (12, 4)]), kind="stack")
    seen.clear()
    walk(optimizer, gradients([(8, 4, 4), (12, 4)], 1))
    assert Counter(seen) == {(8, 4, 4): 1, (12, 4): 1}


# --- groups and options

def test_groups_have_their_own_options():
    a, b, c = tensors([(6, 6), (6, 6), (5,)], torch.float64)
    start = [W.detach().clone() for W in (a, b, c)]
    given = {"params": (b,), "lr": 0.5, "scale": 1.0, "weight_decay": 0.2}
    before = dict(given)
    optimizer = TorchMuon([{"params": a}, given], 0.1, weight_decay=0, schedule=None, dtype=None)
    assert given == before
    optimizer.add_param_group({"params": iter([c]), "lr": 0.01})
    walk(optimizer, [[torch.eye(6), torch.eye(6), torch.ones(5)]])
    eye = torch.eye(6, dtype=torch.float64)
    torch.testing.assert_close(a.detach(), start[0] - 0.1 * 0.2 * 6**0.5 * eye)
    torch.testing.assert_close(b.detach(), 0.9 * start[1] - 0.5 * eye)
    torch.testing.assert_close(c.detach(), start[2] - 0.01)


@pytest.mark.parametrize("option, kind, message", [
    ({"lr": -1}, ValueError, "lr is -1; allowed is a finite number from 0"), ({"lr": "fast"}, TypeError, "lr is 'fast'"),
    ({"lr": torch.ones(2)}, ValueError, "lr has 2 entries; allowed is one"), ({"lr": torch.tensor(-1.0)}, ValueError, "lr is -1.0"),
    ({"weight_decay": float("nan")}, ValueError, "weight_decay is nan"), ({"eps": -1e-8}, ValueError, "eps is -1e-08"),
    ({"beta": 1.0}, ValueError, "beta is 1.0; allowed is a number with 0 <= beta < 1"), ({"scale": "wide"}, ValueError, "scale is 'wide'; allowed are"),
    ({"schedule": -1}, ValueError, "schedule is -1"), ({"normalize": False}, ValueError, "normalize is False; allowed are"),
    ({"dtype": torch.int8}, ValueError, "dtype is torch.int8; allowed are None, torch.bfloat16"), ({"state_dtype": "half"}, ValueError, "state_dtype is 'half'"),
    ({"betas": (0.9, 1.0)}, ValueError, r"betas\[1\] is 1.0; allowed is a number with 0 <= betas\[1\] < 1"), ({"betas": 0.9}, ValueError, "betas is 0.9; allowed is a pair"),
    ({"kind": "vector"}, ValueError, "the kind of parameter 0 of its group is 'vector'; allowed are 'matrix', 'stack', 'adamw'"),
    ({"capturable": True}, ValueError, "capturable is True; allowed is False"), ({"differentiable": True}, ValueError, "differentiable is True; allowed is False"),
])
def test_bad_options_are_refused_and_leave_the_groups(option, kind, message):
    optimizer = TorchMuon(tensors())
    before = copy.deepcopy(optimizer.state_dict())
    group = {"params": [nn.Parameter(torch.ones(3, 3))], **option}
    for call in (lambda: optimizer.add_param_group(group), lambda: TorchMuon(tensors(), **option)):
        with pytest.raises(kind, match=message):
            call()
    state = optimizer.state_dict()
    state["param_groups"][0].update(option)
    if "kind" not in option:
        with pytest.raises(kind, match=message):
            optimizer.load_state_dict(state)
    assert optimizer.state_dict() == before and list(group) == ["params", *option]


def test_bad_parameters_are_refused_and_leave_the_groups():
    W = nn.Parameter(torch.ones(3, 3))
    optimizer = TorchMuon([("W", W)])
    for group, kind, message in (
        ({"params": [W]}, ValueError, "with/without names"), ({"params": [("again", W)]}, ValueError, "more than one parameter group"),
        ({"params": {W}}, TypeError, "params is a set"), ([W], TypeError, "param_group is a list; allowed is a dict"),
        ({"params": [("a", torch.ones(2, 2)), torch.ones(3)]}, ValueError, "params has 1 names for 2 parameters"),
        ({"params": ["W"]}, TypeError, "can only optimize Tensors"), ({"params": [("V", W * 2)]}, ValueError, "non-leaf"),
    ):
        with pytest.raises(kind, match=message):
            optimizer.add_param_group(group)
        assert len(optimizer.param_groups) == 1 and optimizer.param_groups[0]["params"] == [W]
    with pytest.raises(ValueError, match="empty"):
        TorchMuon([])
    with pytest.raises(TypeError, match="momentum"):
        TorchMuon([W], momentum=0.9)


def test_names_are_kept():
    model = nn.Linear(3, 2)
    optimizer = TorchMuon(model.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    assert "schatten8" in repr(optimizer)


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_gradients_that_cannot_be_used_change_nothing(wrong):
    model = nn.ModuleDict({"first": nn.Linear(4, 3), "second": nn.Linear(3, 2)})
    optimizer = TorchMuon([{"params": model["first"].named_parameters()}, {"params": [("second.weight", model["second"].weight)]}])
    walk(optimizer, [[torch.ones(3, 4), torch.ones(3), torch.ones(2, 3)]])
    before, state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    model["second"].weight.grad = torch.ones(2, 3)
    model["second"].weight.grad[1, 2] = wrong
    with pytest.raises(ValueError, match=r"the gradient of second.weight contains \d NaN and \d Inf"):
        optimizer.step()
    model["second"].weight.grad = torch.ones(2, 3).to_sparse()
    with pytest.raises(RuntimeError, match="the gradient of second.weight is sparse; allowed is a dense one"):
        optimizer.step()
    assert all(map(torch.equal, model.state_dict().values(), before.values()))
    for numbers, kept in zip(optimizer.state_dict()["state"].values(), state["state"].values()):
        assert all(torch.equal(numbers[name], kept[name]) for name in kept)


def test_gradients_whose_sum_overflows_are_used():
    W, = tensors([(4, 4)])
    start = W.detach().clone()
    assert not torch.equal(walk(TorchMuon([W], weight_decay=0, dtype=None), [[torch.full((4, 4), 1e38)]])[0], start)


# --- what is remembered

def written(*values):
    file = io.BytesIO()
    torch.save(values, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("dtype, state_dtype", [(torch.float32, None), (torch.bfloat16, None), (torch.bfloat16, torch.float32), (torch.float64, torch.float32)])
def test_a_run_resumes_to_the_last_bit(dtype, state_dtype):
    shapes = [*SHAPES, (9,), (3, 8, 8), (0, 4)]
    kinds = [None] * 5 + ["stack", None]

    def new(params):
        optimizer = TorchMuon([{"params": [W], "kind": kind} for W, kind in zip(params, kinds)], 0.05, state_dtype=state_dtype)
        return optimizer, lr_scheduler.CosineAnnealingLR(optimizer, 10)

    given, (optimizer, schedule) = gradients(shapes, 10), new(tensors(shapes, dtype))
    straight = walk(optimizer, given, schedule.step)
    optimizer, schedule = new(tensors(shapes, dtype))
    walk(optimizer, given[:5], schedule.step)
    params, state, rates = written(params_of(optimizer), optimizer.state_dict(), schedule.state_dict())
    again, schedule = new(params)
    schedule.load_state_dict(rates)
    again.load_state_dict(state)
    for W, V in zip(params_of(optimizer), params):
        assert {name: (X.dtype, X.device) for name, X in optimizer.state[W].items()} == {name: (X.dtype, X.device) for name, X in again.state[V].items()}
        assert all(X.dtype == (state_dtype or dtype) for name, X in again.state[V].items() if name != "step")
    assert same(walk(again, given[5:], schedule.step), straight)


def test_what_is_loaded_is_a_copy_and_may_be_changed_by_hooks():
    optimizer, twin = TorchMuon(tensors()), TorchMuon(tensors())
    walk(optimizer, gradients(count=2))
    state = optimizer.state_dict()
    twin.load_state_dict(state)
    walk(optimizer, gradients(count=2))
    expected = walk(TorchMuon(tensors()), gradients(count=2))
    with torch.no_grad():
        for W, X in zip(params_of(twin), expected):
            W.copy_(X)
    assert same(walk(twin, gradients(count=2)), params_of(optimizer))
    hook = twin.register_load_state_dict_pre_hook(lambda _, given: {**given, "state": {}})
    twin.load_state_dict(optimizer.state_dict())
    hook.remove()
    assert not twin.state and not twin._optimizer_load_state_dict_pre_hooks


def test_state_of_another_shape_is_refused():
    optimizer = TorchMuon(tensors())
    state = TorchMuon(tensors()[:2]).state_dict()
    with pytest.raises(ValueError, match="doesn't match the size"):
        optimizer.load_state_dict(state)
    state["param_groups"] *= 2
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict(state)
    assert not optimizer._optimizer_load_state_dict_pre_hooks


def test_copies_and_pickles_go_on_alike():
    optimizer = TorchMuon(tensors([*SHAPES, (5,)]))
    walk(optimizer, gradients([*SHAPES, (5,)], 2))
    older = pickle.loads(pickle.dumps(optimizer))
    for name in ("state_dtype", "heads", "eps"):            # as a version before these options wrote it
        del older.defaults[name], older.param_groups[0][name]
    twins = [copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer)), pickle.loads(pickle.dumps(older))]
    expected = walk(optimizer, gradients([*SHAPES, (5,)], 2, seed=2))
    for twin in twins:
        assert twin.param_groups[0].keys() == optimizer.param_groups[0].keys()
        assert same(walk(twin, gradients([*SHAPES, (5,)], 2, seed=2)), expected)


def test_averages_of_a_longer_format():
    """In bfloat16 averages that fall by less than 2^-9 stand still; in float32 they do not."""
    for state_dtype, falls in ((None, False), (torch.float32, True)):
        W, = tensors([(4, 4)], torch.bfloat16)
        optimizer = TorchMuon([W], kind="adamw", betas=(0.9, 0.999), state_dtype=state_dtype)
        walk(optimizer, [[torch.ones(4, 4)]])
        before = optimizer.state[W]["exp_avg_sq"].clone()
        walk(optimizer, [[torch.zeros(4, 4)]])
        assert torch.equal(before, optimizer.state[W]["exp_avg_sq"]) is not falls
        assert W.dtype == torch.bfloat16 and before.dtype == state_dtype or torch.bfloat16


# --- the groups of a model

class Parts(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.bag = nn.EmbeddingBag(11, 8)
        self.dense = nn.Linear(8, 8)
        self.line = nn.Conv1d(8, 6, 3)
        self.image = nn.Conv2d(3, 6, 3)
        self.grouped = nn.Conv2d(8, 6, 3, groups=2)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.back = nn.ConvTranspose2d(8, 3, 3)
        self.attention = nn.MultiheadAttention(8, 2)
        self.cross = nn.MultiheadAttention(8, 4, kdim=6, vdim=6)
        self.lstm, self.gru = nn.LSTM(8, 4, bidirectional=True), nn.GRU(8, 4)
        self.gain = nn.Parameter(torch.ones(8, 1, 1))
        self.experts = nn.Parameter(torch.ones(4, 8, 5))
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.table.weight


def sorted_names(groups):
    return {name: (group["kind"], group.get("heads"), group.get("weight_decay")) for group in groups for name, _ in group["params"]}


def test_modules_say_what_their_parameters_are():
    model = Parts()
    found = sorted_names(muon_groups(model, kinds={"exp*": "stack"}))
    assert len(found) == len(list(model.parameters()))
    for name, expected in {
        "table.weight": ("adamw", None), "bag.weight": ("adamw", None), "dense.weight": ("matrix", None), "line.weight": ("matrix", None),
        "image.weight": ("matrix", None), "grouped.weight": ("matrix", 2), "depthwise.weight": ("adamw", None), "back.weight": ("matrix", None),
        "attention.in_proj_weight": ("matrix", 6), "attention.out_proj.weight": ("matrix", None), "cross.q_proj_weight": ("matrix", 4),
        "cross.k_proj_weight": ("matrix", 4), "cross.v_proj_weight": ("matrix", 4), "lstm.weight_hh_l0": ("matrix", 4), "lstm.weight_ih_l0_reverse": ("matrix", 4),
        "gru.weight_ih_l0": ("matrix", 3), "experts": ("stack", None),
    }.items():
        assert found[name] == (*expected, None), name
    for name, W in model.named_parameters():
        if W.ndim < 2 or name == "gain":
            assert found[name] == ("adamw", None, 0.0), name
    optimizer = TorchMuon(muon_groups(model, kinds={"exp*": "stack"}, adamw={"lr": 0.5}), 0.1)
    assert [group["kind"] for group in optimizer.param_groups] == sorted((g["kind"] for g in optimizer.param_groups), key=["matrix", "stack", "adamw"].index)
    assert {(group["kind"], group["lr"]) for group in optimizer.param_groups} == {("matrix", 0.1), ("stack", 0.1), ("adamw", 0.5)}
    given = [torch.randn(W.shape) for W in params_of(optimizer)]
    assert all(torch.isfinite(X).all() for X in walk(optimizer, [given, given]))


def test_names_say_the_rest():
    model = Parts()
    kinds = {"experts": "stack", "head.weight": "matrix", "*.out_proj.weight": "adamw", "attention*": "matrix"}
    with pytest.raises(ValueError, match="attention.in_proj_bias has shape .24,. and the kind 'matrix'"):
        muon_groups(model, kinds=kinds)
    del kinds["attention*"]
    found = sorted_names(muon_groups(model, kinds=kinds, heads={"dense.*": [3, 5], "attention.in_*": 3}))
    assert found["table.weight"][0] == "matrix"             # by its other name
    assert found["attention.out_proj.weight"][0] == found["cross.out_proj.weight"][0] == "adamw"
    assert found["dense.weight"] == ("matrix", [3, 5], None) and found["attention.in_proj_weight"][1] == 3
    for options, message in (
        ({}, r"experts has shape \(4, 8, 5\)"), ({"kinds": {"expert": "stack"}}, "kinds has the pattern 'expert', which fits none of .* nearest are 'experts'"),
        ({"kinds": {"experts": "stack"}, "heads": {"*.bias": 2}}, r"heads has the pattern '\*.bias'"), ({"kinds": {"experts": "cube"}}, "the kind of experts is 'cube'"),
    ):
        with pytest.raises(ValueError, match=message):
            muon_groups(model, **options)


def test_learns_in_an_ordinary_loop():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 16), nn.ReLU(), nn.Linear(16, 2))
    x = torch.randn(64, 1, 8, 8)
    y = (x.mean((1, 2, 3)) > 0).long()
    optimizer = TorchMuon(muon_groups(model, kinds={"5.weight": "adamw"}), 0.02)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 < losses[0]


# --- cost

VIEWS = {"transpose", "view", "_unsafe_view", "expand", "unbind", "detach", "_record_function_enter_new", "_record_function_exit"}


class Counted(TorchDispatchMode):
    """How often each operation is called, apart from views."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        self.calls[name] += name not in VIEWS
        return function(*args, **(kwargs or {}))


def calls_of_a_step(shapes, device="meta", dtype=torch.float32, **options):
    """What the second step calls: the first one makes the averages too."""
    params = [nn.Parameter(W.detach().to(device)) for W in tensors(shapes, dtype)]
    for W, G in zip(params, gradients(shapes, 1)[0]):
        W.grad = G.to(device, dtype)
    optimizer = TorchMuon(params, **options)
    optimizer.step()
    with Counted() as counted:
        optimizer.step()
    return counted.calls


PRODUCTS = {"mm", "bmm", "addmm", "baddbmm"}


@pytest.mark.parametrize("normalize, most", [("frobenius", 35), ("schatten4", 40), ("schatten8", 43)])
def test_operations_of_a_step(normalize, most):
    """Two averages, decay and the change are one call each for all; products are 15, and nothing waits for a value."""
    one = calls_of_a_step([(64, 64)], normalize=normalize)
    assert sum(one.values()) <= most and "_local_scalar_dense" not in one
    assert sum(one[name] for name in PRODUCTS) == 15 and one["addmm"] >= 10
    for name in ("_foreach_lerp_", "_foreach_lerp", "_foreach_mul_", "_foreach_add_"):
        assert one[name] == 1
    stacked = calls_of_a_step([(64, 64)] * 2, normalize=normalize)
    assert stacked == calls_of_a_step([(64, 64)] * 16, normalize=normalize)         # does not grow
    assert sum(stacked[name] for name in PRODUCTS) == 15 and sum(stacked.values()) == sum(one.values()) + 1
    assert stacked["stack"] == 1


def test_operations_on_a_processor():
    """There each gradient is looked at once, and the update of each stack: two calls each."""
    for count in (1, 2, 5):
        found = calls_of_a_step([(64, 64)] * count, "cpu")
        assert found["_local_scalar_dense"] == found["sum"] == count + 1
        assert found - Counter({"_local_scalar_dense": count + 1, "sum": count + 1}) == calls_of_a_step([(64, 64)] * count)


def test_operations_of_other_steps():
    """Each shape and each 2^24 entries are a stack of their own; parameters of 16 bits decay one by one."""
    two = calls_of_a_step([(64, 64), (64, 32), (64, 64)])
    assert sum(two[name] for name in PRODUCTS) == 30 and two["stack"] == 1
    assert sum(calls_of_a_step([(2048, 2048)] * 5)[name] for name in PRODUCTS) == 30
    assert calls_of_a_step([(64, 64)] * 5, dtype=torch.bfloat16)["mul_"] == 5
    heads = calls_of_a_step([(64, 64)], heads=4)
    assert sum(heads[name] for name in PRODUCTS) == 15 and heads["stack"] == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("stack", [(), (3,)])
def test_fused_products_are_rounded_once(dtype, stack):
    """b C + a A B of integers: what is added exactly in a longer format is then rounded to this one, and no step of it before."""
    rng = np.random.default_rng(0)
    A, B, C = (torch.from_numpy(rng.integers(-9, 10, (*stack, 12, 12))).double() for _ in range(3))
    b, a = 3.5, -1.25
    exact = b * C + a * (A @ B)
    found = plus_product(b, C.to(dtype), a, A.to(dtype), B.to(dtype))
    assert found.dtype == dtype and torch.equal(found, exact.to(dtype))
    if dtype == torch.bfloat16:                             # which rounding the product first would not give
        assert not torch.equal(found, b * C.to(dtype) + (a * (A.to(dtype) @ B.to(dtype))))


@pytest.mark.parametrize("dtype", FORMATS)
def test_together_or_alone_is_the_same_to_the_bit_where_nothing_is_rounded(dtype):
    """Signed permutations of 16, halved by their Schatten norm, and steps of few bits that take 1/2 to 1 and 1 to 1."""
    rng = np.random.default_rng(1)
    signed = lambda: torch.from_numpy(4.0 * np.eye(16)[rng.permutation(16)] * rng.choice([-1, 1], 16)).to(dtype)
    given, options = [signed() for _ in range(6)], {"schedule": [(2.5, -2.5, 2.0), (1.875, -1.25, 0.375)], "normalize": "schatten4", "dtype": dtype, "scale": 1.0, "weight_decay": 0, "beta": 0}
    start = [torch.zeros(16, 16, dtype=dtype) for _ in given]
    together = walk(TorchMuon([nn.Parameter(W.clone()) for W in start], 0.5, **options), [given])
    alone = [walk(TorchMuon([nn.Parameter(W.clone())], 0.5, **options), [[G]])[0] for W, G in zip(start, given)]
    blocks = walk(TorchMuon([nn.Parameter(torch.cat(start))], 0.5, heads=6, **options), [[torch.cat(given)]])[0]
    assert same(together, alone) and torch.equal(blocks, torch.cat(alone))
    assert same(together, [-0.125 * G for G in given])


def test_memory_is_that_of_the_averages():
    W, b = tensors([(32, 48), (7,)])
    optimizer = TorchMuon([W, b])
    walk(optimizer, gradients([(32, 48), (7,)], 3))
    numbers = sum(X.numel() for state in optimizer.state.values() for X in state.values())
    assert numbers == 32 * 48 + 2 * 7 + 1


def test_defaults_are_those_that_are_documented():
    group = TorchMuon(tensors([(2, 2)])).param_groups[0]
    assert (group["lr"], group["weight_decay"], group["beta"], group["nesterov"]) == (1e-3, 0.1, 0.95, True)
    assert (group["scale"], group["schedule"], group["normalize"], group["dtype"]) == ("rms", 5, "schatten8", torch.bfloat16)
    assert (group["betas"], group["eps"], group["state_dtype"], group["heads"], group["kind"]) == ((0.9, 0.95), 1e-8, None, None, None)


def test_blocks_of_one_row_and_one_block():
    given = gradients([(4, 3)], 2)
    assert same(walk(TorchMuon(tensors([(4, 3)]), heads=1), given), walk(TorchMuon(tensors([(4, 3)])), given))
    found = walk(TorchMuon(tensors([(4, 3)]), heads=(1, 3), dtype=None), given)[0]
    parts = [nn.Parameter(X.detach().clone()) for X in tensors([(4, 3)])[0].split((1, 3))]
    alone = walk(TorchMuon(parts, kind="matrix", dtype=None), [[*G.split((1, 3))] for (G,) in given])
    torch.testing.assert_close(found, torch.cat(alone))


def test_state_goes_to_the_device_of_its_parameter_and_counts_stay():
    optimizer = TorchMuon(tensors([(5,)]))
    walk(optimizer, gradients([(5,)], 1))
    elsewhere = TorchMuon([W := nn.Parameter(torch.ones(5, device="meta"))])
    elsewhere.load_state_dict(optimizer.state_dict())
    assert {name: X.device.type for name, X in elsewhere.state[W].items()} == {"step": "cpu", "exp_avg": "meta", "exp_avg_sq": "meta"}
