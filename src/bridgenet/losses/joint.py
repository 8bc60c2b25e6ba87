"""Numbers of pixels over several micro-batches, so that their gradients add up to that of the joint batch.

A loss is a sum over pixels divided by a number of pixels, which it passes to `mean_over_processes`. Micro-batches are in this
respect like processes: with the mean of their numbers, the mean of their losses and gradients is that of the joint batch. But
they are computed one after the other. So the numbers of all of them are asked for first, with logits that are 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

Counts = Mapping[str, Sequence[tuple[Tensor, Tensor]]]
"""By task, for each number that its loss passes on: that of the micro-batch, and the mean over all micro-batches."""

TOLERANCE = 1e-4
"""Share by which a number may differ from that of the first pass: compiled sums are added up in another order."""


@torch.no_grad()
def joint_counts(
    losses: Mapping[str, Callable[..., Tensor]],
    micro_batches: Sequence[Mapping[str, Tensor]],
    num_outputs: Mapping[str, int],
) -> list[Counts]:
    """The numbers of each micro-batch.

    Args:
        losses: losses by task.
        micro_batches: targets (B, C, H, W) by task.
        num_outputs: channels of the logits by task.
    """
    found: list[dict[str, list[tuple[Tensor, Tensor]]]] = [{} for _ in micro_batches]
    for task, loss in losses.items():
        own = [_numbers(loss, targets[task], num_outputs[task]) for targets in micro_batches]
        # A loss of one's own may return early without any label: that is a number of 0.
        zero = torch.zeros(())
        means = [sum(numbers, zero) / len(own) for numbers in zip_longest(*own, fillvalue=zero)]
        for counts, numbers in zip(found, own):
            counts[task] = list(zip(numbers, means))
    return list(found)


def _numbers(loss: Callable[..., Tensor], target: Tensor, channels: int) -> list[Tensor]:
    found: list[Tensor] = []

    def noting(number: Any) -> Any:
        found.append(torch.as_tensor(number))
        return number

    logits = target.new_zeros(()).expand(len(target), channels, *target.shape[2:])
    loss(logits, target, mean_over_processes=noting)
    return found


def over_micro_batches(
    counts: Sequence[tuple[Tensor, Tensor]], mean_over_processes: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """`mean_over_processes` for a loss of one micro-batch, with the mean over all micro-batches in place of its numbers.

    A number that depends on the logits is not that of the first pass: it stays as it is.
    """
    remaining = list(counts)

    def mean(number: Tensor) -> Tensor:
        if not remaining:
            return mean_over_processes(number)
        own, joint = remaining.pop(0)
        is_known = abs(number - own) <= TOLERANCE * abs(own)
        return mean_over_processes(torch.where(is_known, joint, number))

    return mean
