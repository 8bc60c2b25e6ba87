"""What every backbone and every decoder with every set of tasks must do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import bridgenet
from bridgenet import tasks
from bridgenet.losses import MultiTaskLoss
from bridgenet.model.decoders.bridgenet import BridgeNetDecoder
from bridgenet.tasks import registry
from tests.model.networks import NETWORKS, NUM_OUTPUTS, build, config_of, images, targets

every_backbone = pytest.mark.parametrize("backbone", NETWORKS)


def all_maps(output: bridgenet.BridgeNetOutput) -> dict[str, Tensor]:
    return output.logits | {f"intermediate {task}": x for task, x in output.intermediate_logits.items()}


def assert_same(got: bridgenet.BridgeNetOutput, expected: bridgenet.BridgeNetOutput, bound: float = 1e-5) -> None:
    for name, x in all_maps(got).items():
        torch.testing.assert_close(
            x, all_maps(expected)[name], atol=bound, rtol=bound, msg=lambda m, n=name: f"{n}: {m}"
        )


def accelerated(*arguments: Any, **changes: Any) -> bridgenet.BridgeNet:
    """A network as training computes it."""
    return bridgenet.accelerate_network(build(*arguments, **changes))


def train_step(network: bridgenet.BridgeNet, truth: dict[str, Tensor]) -> Tensor:
    loss = MultiTaskLoss(list(network.tasks))(network(images()), truth).total
    loss.backward()
    return loss


@every_backbone
@pytest.mark.parametrize("size", [(64, 96), (33, 47), (20, 100), (1, 1), (97, 64)], ids=str)
@torch.no_grad()
def test_any_size(backbone: str, size: tuple[int, int]) -> None:
    network = build(backbone).eval()
    output = network(images(1, size))
    has_intermediate = isinstance(network.decoder, BridgeNetDecoder)
    assert has_intermediate or not output.intermediate_logits
    for maps in (output.logits, output.intermediate_logits)[: 1 + has_intermediate]:
        assert {task: tuple(x.shape) for task, x in maps.items()} == {
            task: (1, channels, *size) for task, channels in network.tasks.items()
        }
    assert all(x.isfinite().all() for x in all_maps(output).values())
    for name, x in all_maps(bridgenet.accelerate_network(network)(images(1, size))).items():
        expected = all_maps(output)[name]
        assert (x - expected).abs().max() <= 2e-5 * expected.abs().max(), name


@every_backbone
@torch.no_grad()
def test_padding_changes_nothing(backbone: str) -> None:
    """The network pads with 0 below and to the right, and cuts that off: doing so outside gives the same."""
    network = accelerated(backbone).eval()
    divisor = network.backbone.size_divisor
    inside = images(1, (divisor + 5, 2 * divisor - 3))
    outside = torch.nn.functional.pad(inside, (0, 3, 0, divisor - 5))
    whole = network(outside).logits
    for task, x in network(inside).logits.items():
        assert torch.equal(x, whole[task][..., : divisor + 5, : 2 * divisor - 3])


@every_backbone
@pytest.mark.parametrize("num_tasks", range(1, len(NUM_OUTPUTS) + 1))
def test_any_number_of_tasks(backbone: str, num_tasks: int) -> None:
    """A training step with every number of tasks: each weight that is trained gets its gradient."""
    network = accelerated(backbone, num_tasks).train()
    assert list(network.tasks) == list(NUM_OUTPUTS)[:num_tasks]
    assert train_step(network, targets(network)).isfinite()
    without = [name for name, x in network.named_parameters() if x.requires_grad and x.grad is None]
    assert not without
    assert all(x.grad.isfinite().all() for x in network.parameters() if x.grad is not None)


@every_backbone
def test_save_and_load(backbone: str, tmp_path: Path) -> None:
    network = build(backbone)
    with torch.no_grad():  # running statistics that are not what a fresh network has
        network.train()(images())
    bridgenet.save(network, tmp_path / "network.safetensors")
    loaded = bridgenet.load_network(tmp_path / "network.safetensors", device="cpu")
    assert config_of(loaded) == config_of(network)
    assert not loaded.training
    with torch.no_grad():
        assert_same(loaded(images()), network.eval()(images()), bound=0)


@every_backbone
@torch.no_grad()
def test_images_do_not_see_each_other(backbone: str) -> None:
    network, batch = accelerated(backbone).eval(), images(2)
    joint = network(batch)
    for i in range(2):
        single = network(batch[i : i + 1])
        for name, x in all_maps(joint).items():
            torch.testing.assert_close(x[i : i + 1], all_maps(single)[name], atol=1e-5, rtol=1e-5)


@every_backbone
@torch.no_grad()
def test_channels_last(backbone: str) -> None:
    network = accelerated(backbone).eval()
    expected = network(images())
    network = network.to(memory_format=torch.channels_last)
    assert_same(network(images().to(memory_format=torch.channels_last)), expected)


@every_backbone
@torch.no_grad()
def test_bfloat16(backbone: str) -> None:
    network = accelerated(backbone).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(images())
    assert all(x.isfinite().all() for x in all_maps(output).values())


@pytest.mark.parametrize(
    "backbone", ["vit", "internimage", "resnet", "swin", "dpt on vit"]
)  # tracing takes seconds each
@pytest.mark.parametrize("make", [build, accelerated])
@torch.no_grad()
def test_compile(backbone: str, make: Callable[..., bridgenet.BridgeNet]) -> None:
    torch.compiler.reset()
    stages = {} if backbone.startswith("dpt") else {"num_stages": 2}
    network = make(backbone, num_tasks=1, refine_depth=1, **stages).eval()
    compiled = torch.compile(network, backend="eager")
    assert_same(compiled(images()), network(images()))


@pytest.mark.parametrize(
    ("backbone", "hidden"),
    [
        *((backbone, "normals") for backbone in NETWORKS),
        *(("resnet", task) for task in NUM_OUTPUTS if task != "normals"),
    ],
)
def test_task_without_a_valid_pixel(backbone: str, hidden: str) -> None:
    network = accelerated(backbone, len(NUM_OUTPUTS)).train()
    truth = targets(network)
    assert train_step(
        network, truth | {hidden: torch.full_like(truth[hidden], tasks.get(hidden).kind.unknown)}
    ).isfinite()
    assert all(x.grad.isfinite().all() for x in network.parameters() if x.grad is not None)


def test_no_label_at_all() -> None:
    network = accelerated(num_tasks=len(NUM_OUTPUTS)).train()
    train_step(
        network, {task: torch.full_like(x, tasks.get(task).kind.unknown) for task, x in targets(network).items()}
    )
    assert all(x.grad.isfinite().all() for x in network.parameters() if x.grad is not None)


def test_cost_is_linear_in_the_tasks() -> None:
    """Each task adds the same parameters and operations, but for the little that attention fusion reads from the others."""
    operations, parameters = [], []
    for num_tasks in range(1, 7):
        outputs = dict.fromkeys(list(NUM_OUTPUTS)[:num_tasks], 2)
        network = build(num_tasks=num_tasks, num_outputs=outputs, refine_depth=4).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(images(1))
        operations.append(counter.get_total_flops())
        parameters.append(sum(x.numel() for x in network.parameters()))
    for costs in (operations, parameters):
        steps = [after - before for before, after in itertools.pairwise(costs)]
        assert min(steps) > 0
        assert max(steps) <= 1.02 * min(steps), costs


def test_task_of_ones_own(tmp_path: Path) -> None:
    """A task that the user registers is built, trained, saved, loaded and predicted like the published ones."""

    contours = bridgenet.Task(
        name="contours",
        title="Contours",
        kind="probability",
        num_outputs=1,
        loss=lambda logits, target, *, mean_over_processes: (logits - target).abs().mean(),
        metric="bridgenet.metrics:Edge",
        headline="loss",
        headline_title="loss",
        higher_is_better=False,
        decode=lambda logits: torch.sigmoid(logits[:, 0]),
    )
    bridgenet.register_task(contours)
    try:
        with pytest.raises(bridgenet.UserError, match="registered already"):
            bridgenet.register_task(replace(contours, title="Other contours"))
        network = build(num_outputs={"depth": 1, "contours": 1}).train()
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
        before = network.heads["contours"].weight.clone()
        train_step(network, targets(network))
        optimizer.step()
        assert not torch.equal(before, network.heads["contours"].weight)
        bridgenet.save(network, tmp_path / "own.safetensors")
        loaded = bridgenet.load(tmp_path / "own.safetensors", device="cpu")
        result = loaded.predict(torch.zeros(40, 50, 3, dtype=torch.uint8).numpy())
        assert result.contours.shape == (40, 50)
        assert {path.name for path in result.save(tmp_path / "out")} >= {"contours.png", "panel.png"}
    finally:
        del registry._TASKS["contours"]
