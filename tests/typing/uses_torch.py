"""The optimizer, used as its users do: see uses.py."""

import torch

import lowrank


def use_optimizer() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
    groups = lowrank.muon_groups(model, kinds={"1.weight": "adamw"}, heads={"0.weight": 2}, adamw={"lr": 3e-4})
    optimizer: lowrank.TorchMuon = lowrank.TorchMuon(
        groups, torch.tensor(0.02), weight_decay=0, beta=0.9, nesterov=False, scale="jordan", schedule=[(1.5, -0.5)], normalize="frobenius",
        dtype=torch.float32, kind=None, heads=None, betas=(0.9, 0.95), eps=1e-8, state_dtype=torch.float32, maximize=False,
        capturable=False, differentiable=False)
    optimizer.add_param_group({"params": [("extra", torch.nn.Parameter(torch.ones(2, 3)))], "scale": 0.2, "schedule": None})
    model(torch.ones(3, 4)).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    other: torch.optim.Optimizer = lowrank.TorchMuon(model.named_parameters(), 0.02, schedule=6)
    loss = other.step(lambda: 3.0)
    other.zero_grad()
    assert loss == 3.0
