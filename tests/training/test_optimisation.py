"""The optimiser: one fused kernel, the numbers of PyTorch's loop, and state that either can go on with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from bridgenet.errors import UserError
from bridgenet.training.checkpoint import load_optimizer_tensors, optimizer_tensors
from bridgenet.training.optimisation import make_optimizer

SETTINGS = {"lr": 1e-2, "weight_decay": 1e-2, "betas": (0.8, 0.99)}


def small(dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 2), nn.Conv2d(5, 3, 2)).to(dtype=dtype, memory_format=torch.channels_last)


def advance(network: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    dtype = next(network.parameters()).dtype
    for step in steps:
        x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(step)).to(dtype)
        optimizer.zero_grad()
        network(x).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_fused_numbers_and_state_are_those_of_the_loop(name: str, dtype: torch.dtype, bound: float) -> None:
    """A run that was begun with either goes on with the other, whatever the weights' memory format."""
    loop, fused = small(dtype), small(dtype)
    slow = make_optimizer(loop, name=name, fused=False, **SETTINGS)
    fast = make_optimizer(fused, name=name, **SETTINGS)
    assert fast.param_groups[0]["fused"] is True
    advance(loop, slow, range(5))
    advance(fused, fast, range(5))
    states = optimizer_tensors(slow, loop), optimizer_tensors(fast, fused)
    assert {k: (x.shape, x.dtype) for k, x in states[0].items()} == {
        k: (x.shape, x.dtype) for k, x in states[1].items()
    }
    for key, value in states[0].items():
        torch.testing.assert_close(states[1][key], value, rtol=bound, atol=bound, msg=key)

    resumed = small(dtype)
    resumed.load_state_dict(loop.state_dict())
    optimizer = make_optimizer(resumed, name=name, **SETTINGS)
    read = {key: x.clone(memory_format=torch.contiguous_format) for key, x in states[0].items()}  # as from a file
    load_optimizer_tensors(optimizer, resumed, read, Path("last"))
    advance(loop, slow, range(5, 9))
    advance(resumed, optimizer, range(5, 9))
    for key, value in loop.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[key], value, rtol=bound, atol=bound, msg=key)


@pytest.mark.parametrize("fused", [True, False])
def test_the_step_count_is_where_the_kernel_reads_it(fused: bool) -> None:
    network = nn.Linear(2, 2, device="meta")
    optimizer = torch.optim.Adam(network.parameters())
    optimizer.param_groups[0]["fused"] = fused
    state = {"weight/step": torch.tensor(3.0), "weight/exp_avg": torch.zeros(2, 2)}
    load_optimizer_tensors(optimizer, network, state, Path("last"))
    kept = optimizer.state[network.weight]
    assert (kept["step"].device.type, kept["exp_avg"].device.type) == ("meta" if fused else "cpu", "meta")


def test_a_device_without_the_kernel_gets_the_loop() -> None:
    assert make_optimizer(nn.Linear(2, 2, device="meta"), name="adam").param_groups[0]["fused"] is False


def test_unknown_name() -> None:
    with pytest.raises(UserError, match=r"'adamm' is not an optimiser \(did you mean adam\?\)"):
        make_optimizer(small(), name="adamm")
