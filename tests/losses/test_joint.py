"""`accumulate` micro-batches have losses and gradients of their joint batch, whatever is labelled in each."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bridgenet import losses, tasks
from bridgenet.losses import MultiTaskLoss
from bridgenet.training.step import TrainingStep
from bridgenet.training.weighting import WEIGHTINGS
from tests.losses.test_losses import CHANNELS, batch, each_task

Loss = Callable[..., Tensor]


class Pixelwise(nn.Module):
    """A 1×1 convolution per task: without batch norm, the gradient depends on the images alone."""

    def __init__(self, channels: dict[str, int], intermediate: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tasks, self.intermediate = channels, intermediate
        self.convs = nn.ModuleDict({task: nn.Conv2d(3, number, 1) for task, number in channels.items()})

    def forward(self, images: Tensor) -> Any:
        logits = {task: conv(images) for task, conv in self.convs.items()}
        halved = {task: values / 2 for task, values in logits.items()} if self.intermediate else {}
        return SimpleNamespace(logits=logits, intermediate_logits=halved)


def step(
    targets: dict[str, Tensor], accumulate: int, functions: dict[str, Loss] | None = None, **options: Any
) -> tuple[Tensor, dict[str, float]]:
    """Gradient and losses of one step with all four images in `accumulate` micro-batches."""
    network = Pixelwise({task: CHANNELS[task] for task in targets}, intermediate=True).double()
    images = torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    criterion = MultiTaskLoss(list(targets), functions=functions)
    weighting = WEIGHTINGS[options.pop("weighting", "fixed")](criterion, network)
    found: list[Tensor] = []
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    optimizer.register_step_pre_hook(lambda *_: found.extend(p.grad.flatten() for p in network.parameters()))
    make = TrainingStep(
        network,  # type: ignore[arg-type]
        criterion,
        optimizer,
        grad_clip=1e9,
        accumulate=accumulate,
        weighting=weighting,
        **options,
    )
    parts = zip(images.chunk(accumulate), *(target.chunk(accumulate) for target in targets.values()))
    terms, _ = make({"image": image, **dict(zip(targets, rest))} for image, *rest in parts)
    return torch.cat(found), {name: value.item() for name, value in terms.items()}


def unevenly_labelled(task: str) -> Tensor:
    """Of four images one lacks the task, one has a single row of labels."""
    target = batch(task)[1]
    target[1] = tasks.get(task).kind.unknown
    target[2, :, 1:] = tasks.get(task).kind.unknown
    return target


def assert_same(one: tuple[Tensor, dict[str, float]], other: tuple[Tensor, dict[str, float]]) -> None:
    torch.testing.assert_close(other[0], one[0], rtol=1e-9, atol=1e-12)
    assert other[1] == pytest.approx(one[1], rel=1e-9)


@each_task
@pytest.mark.parametrize("accumulate", [2, 4])
def test_every_built_in_loss(task: str, accumulate: int) -> None:
    targets = {task: unevenly_labelled(task)}
    whole = step(targets, 1)
    assert whole[0].abs().max() > 0 and set(whole[1]) == {"total", task, f"intermediate/{task}"}
    assert_same(whole, step(targets, accumulate))


def test_soft_labels_and_their_class_weights() -> None:
    target = torch.rand(4, 1, 5, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    target[3] *= 0.1
    target[1] = torch.nan
    for function in (losses.balanced_cross_entropy, losses.cross_entropy):
        assert_same(step({"sal": target}, 1, {"sal": function}), step({"sal": target}, 4, {"sal": function}))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_all_tasks_together_with_every_weighting(weighting: str) -> None:
    chosen = ["semseg", "depth", "sal", "normals", "edge"]
    targets = {task: unevenly_labelled(task).roll(number, 0) for number, task in enumerate(chosen)}
    assert_same(step(targets, 1, weighting=weighting), step(targets, 4, weighting=weighting))


def test_nothing_labelled_at_all() -> None:
    gradient, terms = step({"depth": torch.full((4, 1, 5, 6), torch.nan, dtype=torch.float64)}, 4)
    assert gradient.abs().max() == 0 and terms["depth"] == 0


def squared(logits: Tensor, target: Tensor, *, mean_over_processes: Any) -> Tensor:
    valid = target == target
    difference = torch.where(valid, logits[:, :1] - target.nan_to_num(), 0)
    return difference.square().sum() / mean_over_processes(valid.sum()).clamp(min=1e-9)


def leaves_early(logits: Tensor, target: Tensor, *, mean_over_processes: Any) -> Tensor:
    if target.isnan().all():
        return 0 * logits.sum()
    return squared(logits, target, mean_over_processes=mean_over_processes)


def with_a_plain_number(logits: Tensor, target: Tensor, *, mean_over_processes: Any) -> Tensor:
    valid = ~target.isnan()
    return (logits[:, :1] * valid).sum() / mean_over_processes(max(1, int(valid.sum())))


@pytest.mark.parametrize("function", [squared, leaves_early])
def test_losses_of_ones_own(function: Loss) -> None:
    targets = {"depth": unevenly_labelled("depth")}
    assert_same(step(targets, 1, {"depth": function}), step(targets, 4, {"depth": function}))


def test_losses_of_ones_own_may_pass_on_plain_numbers() -> None:
    targets = {"depth": batch("depth")[1]}
    assert_same(step(targets, 1, {"depth": with_a_plain_number}), step(targets, 4, {"depth": with_a_plain_number}))


def test_a_number_that_depends_on_the_logits_stays_that_of_its_micro_batch() -> None:
    def hard_pixels(logits: Tensor, target: Tensor, *, mean_over_processes: Any) -> Tensor:
        error = (logits[:, :1] - target.nan_to_num()).abs()
        hard = (logits[:, :1].abs() > 0.2) & (target == target)
        return torch.where(hard, error, 0).sum() / mean_over_processes(hard.sum()).clamp(min=1)

    targets = {"depth": unevenly_labelled("depth")}
    network = Pixelwise({"depth": 1}).double()
    images = torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    expected = [
        hard_pixels(
            network(image[None]).logits["depth"], target[None], mean_over_processes=lambda number: number
        ).item()
        for image, target in zip(images, targets["depth"])
    ]
    assert step(targets, 4, {"depth": hard_pixels})[1]["depth"] == pytest.approx(sum(expected) / 4)
