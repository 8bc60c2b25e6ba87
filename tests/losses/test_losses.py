from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet import losses, tasks
from bridgenet.errors import UserError
from bridgenet.tasks import IGNORE

CHANNELS = {name: tasks.get(name).num_outputs or 5 for name in tasks.names()}
each_task = pytest.mark.parametrize("task", tasks.names())


def loss_of(task: str) -> Callable[..., Tensor]:
    return tasks.resolve(tasks.get(task).loss)


def batch(task: str, size: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random float64 logits and a target with about a fifth ignored."""
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(size, CHANNELS[task], 5, 6, generator=g, dtype=torch.float64)
    kind = tasks.get(task).kind
    if kind == "normals":
        target = torch.nn.functional.normalize(torch.randn(size, 3, 5, 6, generator=g, dtype=torch.float64), dim=1)
    elif kind == "depth":
        target = torch.rand(size, 1, 5, 6, generator=g, dtype=torch.float64) * 9 + 0.5
    else:
        classes = CHANNELS[task] if kind == "classes" else 2
        target = torch.randint(classes, (size, 1, 5, 6), generator=g).double()
    ignored = torch.rand(size, 1, 5, 6, generator=g) < 0.2
    return logits, torch.where(ignored, kind.unknown, target)


def pixels(*values: float) -> Tensor:
    """(1, 1, 1, N)"""
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0], [9.0, 9.0]], dtype=torch.float64).T.view(1, 2, 1, 3)
    found = losses.cross_entropy(logits, pixels(0, 0, IGNORE))
    assert found.item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


def test_balanced_cross_entropy_by_hand() -> None:
    # three negatives, one positive: p = 3/4, weights 1/4 and 3/4, divided by 4 pixels
    found = losses.balanced_cross_entropy(torch.zeros(1, 2, 1, 5).double(), pixels(0, 0, 0, 1, math.nan))
    assert found.item() == pytest.approx((3 * 0.25 + 0.75) * math.log(2) / 4)


def test_l1_by_hand() -> None:
    assert losses.l1(pixels(1, -2, 7), pixels(1.5, 2, math.nan)).item() == pytest.approx((0.5 + 4) / 2)


def test_255_is_a_value_of_real_valued_targets() -> None:
    assert losses.l1(pixels(250, 0), pixels(255, math.nan)).item() == 5


def test_unknown_classes_may_be_nan_as_well() -> None:
    """So a map of probabilities may be learnt by cross entropy."""
    logits = torch.zeros(1, 2, 1, 3, dtype=torch.float64)
    assert losses.cross_entropy(logits, pixels(0, 1, math.nan)).item() == pytest.approx(math.log(2))


def test_normals_l1_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0, 5.0], [3.0, 0.0, 4.0]], dtype=torch.float64).T.view(1, 3, 1, 2)
    target = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]], dtype=torch.float64).T.view(1, 3, 1, 2)
    assert losses.normals_l1(logits, target).item() == pytest.approx((0 + 0.6 + 0.2) / 2)


def test_edge_bce_by_hand() -> None:
    logits, target = pixels(0, math.log(3), 2), pixels(1, 0, math.nan)
    assert losses.edge_bce(logits, target).item() == pytest.approx((0.95 * math.log(2) + 0.05 * math.log(4)) / 2)
    equal = losses.edge_bce(logits, target, positive_weight=0.5)
    assert equal.item() == pytest.approx(0.5 * (math.log(2) + math.log(4)) / 2)


@each_task
def test_no_valid_pixel_gives_zero_and_zero_gradients(task: str) -> None:
    logits, target = batch(task)
    logits.requires_grad_()
    loss = loss_of(task)(logits, torch.full_like(target, tasks.get(task).kind.unknown))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and logits.grad.abs().max() == 0


@each_task
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan, 1e30])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_ignored_pixels_take_no_part(task: str, bad: float, memory_format: torch.memory_format) -> None:
    logits, target = batch(task)
    logits = logits.contiguous(memory_format=memory_format)
    ignored = tasks.get(task).kind.is_unknown(target).all(dim=1, keepdim=True)
    spoilt = torch.where(ignored, bad, logits).requires_grad_()
    loss = loss_of(task)(spoilt, target)
    loss.backward()
    assert loss.item() == pytest.approx(loss_of(task)(logits, target).item(), rel=1e-12)
    assert spoilt.grad is not None and spoilt.grad.isfinite().all()
    assert spoilt.grad[ignored.expand_as(spoilt)].abs().max() == 0


@pytest.mark.parametrize("loss", [losses.cross_entropy, losses.balanced_cross_entropy])
def test_the_memory_format_of_logits_changes_nothing(loss: Callable[..., Tensor]) -> None:
    logits, target = batch("sal")
    rows = logits.clone().requires_grad_()
    channels_last = logits.clone(memory_format=torch.channels_last).requires_grad_()
    values = [loss(rows, target), loss(channels_last, target)]
    (values[0] + values[1]).backward()
    assert values[0].item() == pytest.approx(values[1].item(), rel=1e-12)
    torch.testing.assert_close(channels_last.grad, rows.grad, rtol=1e-12, atol=0)
    assert rows.grad is not None and rows.grad.abs().max() > 0


@each_task
def test_gradient_is_right(task: str) -> None:
    logits, target = batch(task, size=1)
    torch.autograd.gradcheck(lambda x: loss_of(task)(x, target), logits.requires_grad_())


@each_task
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_half_precision_is_computed_in_float32(task: str, dtype: torch.dtype) -> None:
    logits, target = batch(task)
    logits = logits.to(dtype)
    found = loss_of(task)(logits, target.float())
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(loss_of(task)(logits.double(), target).item(), rel=1e-5)


def test_zero_normals_have_finite_gradients() -> None:
    _, target = batch("normals")
    logits = torch.zeros_like(target, requires_grad=True)
    losses.normals_l1(logits, target).backward()
    assert logits.grad is not None and logits.grad.isfinite().all() and logits.grad.abs().max() < 1


@each_task
def test_two_processes_have_the_gradient_of_the_joint_batch(task: str) -> None:
    """Parts with different numbers of valid pixels; DDP averages the gradients of the processes."""
    logits, target = batch(task)
    target[:2, :, 1:] = tasks.get(task).kind.unknown
    joint = logits.clone().requires_grad_()
    loss = loss_of(task)(joint, target)
    loss.backward()

    counts: list[list[Tensor]] = [[], []]
    parts = [slice(0, 2), slice(2, 4)]
    for part, count in zip(parts, counts):
        loss_of(task)(logits[part], target[part], mean_over_processes=lambda n, kept=count: kept.append(n) or n)
    means = [torch.stack(pair).mean(dim=0) for pair in zip(*counts)]
    grads, values = [], []
    for part in parts:
        x = logits[part].clone().requires_grad_()
        remaining = iter(means)
        value = loss_of(task)(x, target[part], mean_over_processes=lambda _, left=remaining: next(left))
        value.backward()
        values.append(value.item())
        grads.append(x.grad / 2)
    assert torch.allclose(torch.cat(grads), joint.grad, rtol=1e-12, atol=0)
    assert sum(values) / 2 == pytest.approx(loss.item())


def test_mean_number_of_pixels_below_one() -> None:
    """One valid pixel in two processes: half a pixel each."""
    assert losses.l1(pixels(3), pixels(1), mean_over_processes=lambda n: n / 2).item() == pytest.approx(4)


def test_process_mean_of_one_process_is_the_tensor() -> None:
    x = torch.tensor(3.0)
    assert losses.process_mean(x) is x


def output(chosen: list[str], intermediate: bool = True) -> tuple[Any, dict[str, Tensor]]:
    batches = {task: batch(task, seed=i) for i, task in enumerate(chosen)}
    logits = {task: pair[0] for task, pair in batches.items()}
    halved = {task: pair[0] / 2 for task, pair in batches.items()} if intermediate else {}
    targets = {task: pair[1] for task, pair in batches.items()}
    return SimpleNamespace(logits=logits, intermediate_logits=halved), targets


def test_total_of_all_tasks() -> None:
    out, targets = output(tasks.names())
    terms = losses.MultiTaskLoss(tasks.names(), weights={"edge": 70})(out, targets)
    weights = {"semseg": 1, "human_parts": 2, "sal": 5, "depth": 1, "normals": 10, "edge": 70}
    weights |= {"disparity": 1, "inverse_depth": 1}
    expected = sum(w * (terms.final[t] + 0.5 * terms.intermediate[t]).item() for t, w in weights.items())
    assert terms.total.item() == pytest.approx(expected)
    for task in tasks.names():
        assert terms.final[task].item() == loss_of(task)(out.logits[task], targets[task]).item()
        assert terms.intermediate[task].item() == loss_of(task)(out.intermediate_logits[task], targets[task]).item()


def test_total_without_intermediate_logits() -> None:
    out, targets = output(["depth", "edge"], intermediate=False)
    terms = losses.MultiTaskLoss(["edge", "depth"])(out, targets)
    assert terms.intermediate == {}
    assert terms.total.item() == pytest.approx((terms.final["depth"] + 50 * terms.final["edge"]).item())


def test_user_errors() -> None:
    with pytest.raises(UserError, match="'edges' \\(did you mean edge\\?\\)"):
        losses.MultiTaskLoss(["depth", "edge"], weights={"edges": 70})
    with pytest.raises(UserError, match="no target for task 'depth'"):
        losses.MultiTaskLoss(["depth"])(output(["depth"])[0], {})


def soft_batch(channels: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(2, channels, 5, 6, generator=g, dtype=torch.float64)
    target = torch.rand(2, 1, 5, 6, generator=g, dtype=torch.float64)
    return logits, torch.where(torch.rand(2, 1, 5, 6, generator=g) < 0.2, math.nan, target)


def test_soft_targets_by_hand() -> None:
    """Shares of class 0: 0.2 and 1 of two pixels, p = 0.6; weights 0.4 and 0.6."""
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0], [5.0, 5.0]], dtype=torch.float64).T.view(1, 2, 1, 3)
    found = losses.balanced_cross_entropy(logits, pixels(0.8, 0, math.nan))
    first = (0.2 * 0.4 + 0.8 * 0.6) * math.log(2)
    assert found.item() == pytest.approx((first + 0.4 * math.log(4 / 3)) / 2)
    found = losses.cross_entropy(logits[..., 1:], pixels(0.75, math.nan))
    assert found.item() == pytest.approx(0.25 * math.log(4 / 3) + 0.75 * math.log(4))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("loss", [losses.cross_entropy, losses.balanced_cross_entropy, losses.edge_bce])
def test_soft_targets_have_the_least_loss_and_a_right_gradient(
    loss: Callable[..., Tensor], memory_format: torch.memory_format
) -> None:
    logits, target = soft_batch(1 if loss is losses.edge_bce else 2)
    torch.autograd.gradcheck(lambda x: loss(x, target), logits.contiguous(memory_format=memory_format).requires_grad_())
    mask = (torch.arange(30).view(1, 1, 5, 6) % 3 == 0).double() * 254 / 255  # a mask that is stored with 254
    right = torch.cat([-8 * (mask - 0.5), 8 * (mask - 0.5)], dim=1)[:, -logits.shape[1] :]
    assert loss(right, mask).item() < 0.2 * loss(-right.abs(), mask).item()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_hard_targets_are_those_of_class_indices_to_the_bit(memory_format: torch.memory_format) -> None:
    """As published: (1 - p, p) by class, and PyTorch's cross entropy of indices."""
    g = torch.Generator().manual_seed(1)
    target = (torch.rand(3, 1, 61, 37, generator=g) < 0.2).float()
    valid = torch.rand(3, 1, 61, 37, generator=g) < 0.9
    x = torch.randn(3, 2, 61, 37, generator=g).mul(9).contiguous(memory_format=memory_format)
    y = x.clone(memory_format=torch.preserve_format).requires_grad_()
    x.requires_grad_()
    losses.balanced_cross_entropy(x, torch.where(valid, target, math.nan)).backward()
    negatives = (valid & (target == 0)).sum().float() / valid.sum()
    masked, indices = torch.where(valid, y, 0), torch.where(valid, target, IGNORE)[:, 0].long()
    rows = masked.permute(0, 2, 3, 1).flatten(0, 2) if memory_format == torch.channels_last else masked
    each = F.cross_entropy(
        rows, indices.flatten() if rows is not masked else indices, ignore_index=IGNORE, reduction="none"
    )
    weight = torch.where(target == 0, 1 - negatives, negatives)
    ((each.view_as(target) * weight).sum() / valid.sum().float()).backward()
    assert x.grad is not None and y.grad is not None and torch.equal(x.grad, y.grad)
