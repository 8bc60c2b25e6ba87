"""Losses of the published training and their weighted sum.

Every loss takes logits (B, n, H, W) and a target (B, C, H, W) of the same size, NaN (in class maps IGNORE) where there is
no label, and returns a scalar in float32 (float64 for float64 logits). Ignored pixels have no effect, whatever their logits
are: without any valid pixel the loss and its gradients are 0. No loss synchronises with the device, and no shape depends
on values.

Data-parallel training: each loss is a sum over pixels divided by a number of pixels. :func:`process_mean` of that number
makes the mean of the processes' gradients, which DDP computes, equal to the gradient of the joint batch. Micro-batches of a
step are treated in the same way, see :mod:`bridgenet.losses.joint`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bridgenet import tasks as task_registry
from bridgenet.errors import UserError, nearest
from bridgenet.losses.joint import Counts, joint_counts, over_micro_batches
from bridgenet.tasks import IGNORE
from bridgenet.tasks.decoding import at_least_float32, enlarged, normalise

MeanOverProcesses = Callable[[Tensor], Tensor]


def identity(tensor: Tensor) -> Tensor:
    """The tensor itself: the mean over one process."""
    return tensor


def process_mean(tensor: Tensor) -> Tensor:
    """Mean of the tensor over all processes of `torch.distributed`; the tensor itself if there is only one.

    A collective call: every process must make it. No gradient passes through.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return tensor
    total = tensor.detach().clone()
    distributed.all_reduce(total)  # sum: gloo has no average
    return total / distributed.get_world_size()


def cross_entropy(logits: Tensor, target: Tensor, *, mean_over_processes: MeanOverProcesses = identity) -> Tensor:
    """Cross entropy of class indices, mean over the valid pixels. logits (B, n, H, W), target (B, 1, H, W).

    Of two classes the target may be the probability of class 1, 0 to 1.
    """
    valid = _valid(target) & (target != IGNORE)
    if logits.shape[1] == 2:
        pixels = _two_class_cross_entropy(logits, target, valid, 1.0, 1.0)
    else:
        pixels = _pixel_cross_entropy(logits, target, valid)
    return _share(pixels, _count(valid, logits, mean_over_processes))


def balanced_cross_entropy(
    logits: Tensor, target: Tensor, *, mean_over_processes: MeanOverProcesses = identity
) -> Tensor:
    """Cross entropy of two classes weighted (1 - p, p), where p is the share of class 0 among the batch's valid pixels.

    Divided by the number of valid pixels, not by the weights. logits (B, 2, H, W), target (B, 1, H, W), the probability of
    class 1: of a pixel of 0.8, a fifth counts as class 0.
    """
    valid = _valid(target)
    count = _count(valid, logits, mean_over_processes)
    negatives = _share(_count(torch.where(valid, 1 - target, 0), logits, mean_over_processes), count)
    return _share(_two_class_cross_entropy(logits, target, valid, 1 - negatives, negatives), count)


def l1(logits: Tensor, target: Tensor, *, mean_over_processes: MeanOverProcesses = identity) -> Tensor:
    """Absolute difference, mean over the valid pixels, in the unit of the target. Both (B, 1, H, W)."""
    valid = _valid(target)
    logits = _masked(logits, valid)
    difference = (logits - _masked(target.to(logits.dtype), valid)).abs()
    return _share(difference, _count(valid, logits, mean_over_processes))


def normals_l1(logits: Tensor, target: Tensor, *, mean_over_processes: MeanOverProcesses = identity) -> Tensor:
    """L1 distance of the normalised logits from the target, mean over the valid pixels. Both (B, 3, H, W)."""
    valid = _valid(target).all(dim=1, keepdim=True)
    vectors = normalise(_masked(logits, valid))
    difference = (vectors - _masked(target.to(vectors.dtype), valid)).abs()
    return _share(difference, _count(valid, logits, mean_over_processes))


def edge_bce(
    logits: Tensor,
    target: Tensor,
    *,
    positive_weight: float = 0.95,
    mean_over_processes: MeanOverProcesses = identity,
) -> Tensor:
    """:func:`weighted_bce`, mean over the valid pixels (not over the weights). Both (B, 1, H, W)."""
    valid = _valid(target)
    logits = _masked(logits, valid)
    pixels = weighted_bce(logits, _masked(target.to(logits.dtype), valid), positive_weight)
    return _share(torch.where(valid, pixels, 0), _count(valid, logits, mean_over_processes))


def weighted_bce(logits: Tensor, target: Tensor, positive_weight: float) -> Tensor:
    """Binary cross entropy with logits per pixel, target 0 to 1; negatives have the weight 1 - `positive_weight`."""
    weight = (1 - positive_weight) + (2 * positive_weight - 1) * target
    return F.binary_cross_entropy_with_logits(logits, target, weight=weight, reduction="none")


def _pixel_cross_entropy(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """(B, 1, H, W), 0 where not valid. No reduction here: the reduced form is not deterministic on CUDA."""
    logits, indices = _masked(logits, valid), torch.where(valid, target, IGNORE)[:, 0].long()
    # PyTorch would copy (B, n, H, W) in channels_last to the other layout.
    if logits.is_contiguous(memory_format=torch.channels_last):
        logits_Nn, indices_N = logits.permute(0, 2, 3, 1).flatten(0, 2), indices.flatten()
        pixels = F.cross_entropy(logits_Nn, indices_N, ignore_index=IGNORE, reduction="none").view_as(indices)
    else:
        pixels = F.cross_entropy(logits, indices, ignore_index=IGNORE, reduction="none")
    return pixels[:, None]


def _two_class_cross_entropy(
    logits: Tensor, target: Tensor, valid: Tensor, weight_0: float | Tensor, weight_1: float | Tensor
) -> Tensor:
    """Weighted cross entropy of (B, 2, H, W) and probabilities of class 1 (B, 1, H, W): (B, 1, H, W), 0 where not valid."""
    logits = _masked(logits, valid)
    share = _masked(target.to(logits.dtype), valid)
    shares = torch.where(valid, torch.cat([(1 - share) * weight_0, share * weight_1], dim=1), 0)
    # As above. Rows are the same numbers to the last bit as class indices give.
    if logits.is_contiguous(memory_format=torch.channels_last):
        logits, shares = (values.permute(0, 2, 3, 1).flatten(0, 2) for values in (logits, shares))
    return F.cross_entropy(logits, shares, reduction="none").view_as(target)


def _valid(target: Tensor) -> Tensor:
    return target == target  # false for NaN


def _masked(values: Tensor, valid: Tensor) -> Tensor:
    """The values with 0 at ignored pixels: infinities and NaN there must reach neither loss nor gradient."""
    return torch.where(valid, at_least_float32(values), 0)


def _count(pixels: Tensor, logits: Tensor, mean_over_processes: MeanOverProcesses) -> Tensor:
    return mean_over_processes(pixels.sum().to(at_least_float32(logits).dtype))


def _share(values: Tensor, count: Tensor) -> Tensor:
    """Sum of the values / count; 0 for a count of 0. (Not count.clamp(min=1): a mean over processes may be 0.5.)"""
    return values.sum() / torch.where(count > 0, count, 1)


class Output(Protocol):
    """A network's output: logits by task, (B, n, H, W) at image size; the intermediate logits may be empty."""

    @property
    def logits(self) -> Mapping[str, Tensor]: ...

    @property
    def intermediate_logits(self) -> Mapping[str, Tensor]: ...


@dataclass(frozen=True)
class LossTerms:
    """The weighted `total` and the unweighted scalar losses by task, of the final and of the intermediate logits."""

    total: Tensor
    final: dict[str, Tensor]
    intermediate: dict[str, Tensor]

    def by_name(self) -> dict[str, Tensor]:
        """All terms in one dictionary: `total`, `TASK`, `intermediate/TASK`."""
        return {
            "total": self.total,
            **self.final,
            **{f"intermediate/{task}": x for task, x in self.intermediate.items()},
        }


class MultiTaskLoss(nn.Module):
    """total = sum of w_t L_t(final) + intermediate_weight * sum of w_t L_t(intermediate), as published.

    Args:
        tasks: names of the tasks.
        weights: w_t by task; the default is its `Task.loss_weight`.
        intermediate_weight: 0.5 as published.
        mean_over_processes: :func:`process_mean` when each process sees its own part of the batch.
        functions: losses by task, called like those of this module; the default is its `Task.loss`.

    Raises UserError for an unknown task, and for a weight of a task that is not among `tasks`.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        weights: Mapping[str, float] | None = None,
        intermediate_weight: float = 0.5,
        mean_over_processes: MeanOverProcesses = identity,
        functions: Mapping[str, Callable[..., Tensor]] | None = None,
    ) -> None:
        super().__init__()
        weights = weights or {}
        names = task_registry.in_order(tasks)
        for name in weights:
            if name not in names:
                raise UserError(
                    f"a loss weight is given for '{name}'{nearest(name, names)}, but the tasks are {', '.join(names)}"
                )
        chosen = [task_registry.get(name) for name in names]
        self.losses = {task.name: task_registry.resolve(task.loss) for task in chosen} | dict(functions or {})
        self.weights = {task.name: weights.get(task.name, task.loss_weight) for task in chosen}
        self.intermediate_weight = intermediate_weight
        self.mean_over_processes = mean_over_processes

    def joint_counts(
        self, micro_batches: Sequence[Mapping[str, Tensor]], num_outputs: Mapping[str, int]
    ) -> list[Counts]:
        """For the targets (B, C, H, W) by task of each micro-batch of a step, the `counts` that `forward` needs.

        `num_outputs`: channels of the logits by task.
        """
        return joint_counts(self.losses, micro_batches, num_outputs)

    def forward(self, output: Output, targets: Mapping[str, Tensor], counts: Counts | None = None) -> LossTerms:
        """The losses of an output; targets (B, C, H, W) by task. Logits are resized to the targets.

        With `counts`, from :meth:`joint_counts`, the mean of the losses of a step's micro-batches is that of their joint
        batch. Raises UserError if a task has no target.
        """
        for task in self.losses:
            if task not in targets:
                raise UserError(f"no target for task '{task}' in this batch (targets: {', '.join(targets) or 'none'})")
        final = self._terms(output.logits, targets, counts)
        intermediate = self._terms(output.intermediate_logits, targets, counts) if output.intermediate_logits else {}
        total = self._weighted(final)
        if intermediate:
            total = total + self.intermediate_weight * self._weighted(intermediate)
        return LossTerms(total=total, final=final, intermediate=intermediate)

    def _terms(
        self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor], counts: Counts | None
    ) -> dict[str, Tensor]:
        logits = enlarged(logits, targets)
        mean = self.mean_over_processes
        return {
            task: loss(
                logits[task],
                targets[task],
                mean_over_processes=mean if counts is None else over_micro_batches(counts[task], mean),
            )
            for task, loss in self.losses.items()
        }

    def _weighted(self, terms: dict[str, Tensor]) -> Tensor:
        return torch.stack([self.weights[task] * term for task, term in terms.items()]).sum()
