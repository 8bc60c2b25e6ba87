"""One optimiser step: compiled or not the same, every parameter trained, nothing left in the network."""

from __future__ import annotations

import shutil
from itertools import repeat
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import bridgenet
from bridgenet.losses import MultiTaskLoss
from bridgenet.model.bridgenet import Heads
from bridgenet.training.optimisation import make_optimizer
from bridgenet.training.step import TrainingStep
from tests.model.networks import BACKBONES, build, images, targets

OUTPUTS = {"semseg": 3, "depth": 1}


class Backbone(nn.Module):
    size_divisor = 4

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 4, stride=4, bias=False), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.bn(self.conv(x)), 3, stride=2, padding=1, ceil_mode=True)


class Decoder(nn.Module):
    def forward(self, x: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return dict.fromkeys(OUTPUTS, x.relu()), {}


def toy() -> Any:
    """As little as can be called a network, compiled in a moment; with the windows that Inductor gets wrong by itself."""
    torch.manual_seed(0)
    return bridgenet.BridgeNet(Backbone(), Decoder(), Heads(4, OUTPUTS))  # type: ignore[arg-type]


def step_of(network: Any, **options: Any) -> TrainingStep:
    return TrainingStep(network, MultiTaskLoss(list(network.tasks)), make_optimizer(network, name="adam"), **options)


def two_steps(network: Any, backend: str | None = None, **options: Any) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Losses and gradient norms of two steps, and the weights after them."""
    step = step_of(network, backend=backend, **options)
    batch = {"image": images(2, (16, 24)), **targets(network, 2, (16, 24))}
    seen = []
    for _ in range(2):
        losses, norm = step(repeat(batch))
        seen += [*losses.values(), norm]
    return seen, network.state_dict()


def assert_compiled_is_the_same(backend: str, **options: Any) -> None:
    torch.compiler.reset()
    plain, compiled = two_steps(toy(), **options), two_steps(toy(), backend, **options)
    torch.testing.assert_close(torch.stack(compiled[0]), torch.stack(plain[0]), rtol=1e-5, atol=1e-5)
    assert list(compiled[1]) == list(plain[1])  # files keep their names
    for key, value in plain[1].items():
        torch.testing.assert_close(compiled[1][key], value, rtol=1e-5, atol=1e-5, msg=key)
    assert not torch.equal(plain[1]["backbone.conv.weight"], toy().backbone.conv.weight)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_compiled_is_the_same(accumulate: int) -> None:
    assert_compiled_is_the_same("aot_eager", accumulate=accumulate)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ on this machine")
def test_compiled_by_the_compiler_that_runs_use() -> None:
    import torch._inductor.config

    with torch._inductor.config.patch(compile_threads=1):  # processes of its own take longer to start
        assert_compiled_is_the_same("inductor")


def test_a_step_compiles_once_and_evaluation_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr("torch._dynamo.lookup_backend", lambda name: backend)
    torch.compiler.reset()
    network = toy()
    two_steps(network, "inductor")
    assert len(graphs) == 1  # network and losses in one
    network.eval()
    with torch.inference_mode():
        for batch in (1, 2, 3):
            network(images(batch, (20, 20)))
    assert len(graphs) == 1


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_parameter_is_trained(backbone: str) -> None:
    """Data-parallel training does not look for parameters without a gradient: there must be none."""
    network = bridgenet.accelerate_network(build(backbone))
    step = step_of(network)
    without: list[str] = []
    step.optimizer.register_step_pre_hook(
        lambda *_: without.extend(k for k, p in network.named_parameters() if p.requires_grad and p.grad is None)
    )
    step(iter([{"image": images(), **targets(network)}]))
    assert not without
    assert all(p.grad is None for p in network.parameters())  # their memory is free for the next forward pass
