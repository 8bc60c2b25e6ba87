"""How the tasks' losses are weighed against each other: by the published weights, or in one of the field's usual other ways.

The loss of a task is that of its final logits plus `intermediate_weight` times that of its intermediate ones, as published;
the ways differ in what comes before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bridgenet.config.settings import RunConfig
from bridgenet.errors import UserError
from bridgenet.losses import LossTerms, MultiTaskLoss, process_mean


class LossWeighting:
    """Fixed weights, as published, and what the other ways have in common.

    Args:
        criterion: the losses with their fixed weights.
        network: what is trained.
    """

    by_task_gradients = False
    """Whether each task's gradient is wanted by itself, so that data-parallel wrappers and compilation are in the way."""

    def __init__(self, criterion: MultiTaskLoss, network: nn.Module):
        self.criterion, self.network = criterion, network
        self.tasks = list(criterion.losses)
        self.device = next(network.parameters()).device

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """What is learned of the weighting itself."""
        return {}

    def weights(self) -> dict[str, float] | None:
        """The weights now, by task; None for fixed ones."""
        return None

    def total(self, terms: LossTerms) -> Tensor:
        """The scalar that is made small."""
        return terms.total

    def backward(self, terms: LossTerms, accumulate: int) -> None:
        """Add one of `accumulate` micro-batches' share to the gradient."""
        (terms.total / accumulate).backward()

    def finish(self) -> None:
        """Called once the gradient is complete, before it is clipped. A collective call."""

    def after_step(self, losses: Mapping[str, Tensor]) -> None:
        """Told every step's losses by name, see :class:`LossTerms`. A collective call."""

    def share_state(self) -> None:
        """Called before a checkpoint is written by the first process. A collective call."""

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, JSON types, exact to the bit."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state`."""

    def _of_tasks(self, final: Mapping[str, Tensor], intermediate: Mapping[str, Tensor]) -> list[Tensor]:
        share = self.criterion.intermediate_weight
        return [final[task] + share * intermediate[task] if intermediate else final[task] for task in self.tasks]


class Uncertainty(LossWeighting):
    """Weights learned with the network: sum of exp(−s_t) L_t + s_t; exp(−s_t) begins as the fixed weight.

    Source: Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses (CVPR 2018), with one form for all
    tasks: that of a Laplace likelihood of scale exp(s_t).

    Raises:
        UserError: a fixed weight is not positive.
    """

    def __init__(self, criterion: MultiTaskLoss, network: nn.Module):
        super().__init__(criterion, network)
        for task, weight in criterion.weights.items():
            if not weight > 0:
                raise UserError(
                    f"loss.weights.{task} is {weight}; with loss.weighting uncertainty it must be more than 0"
                )
        start = [-math.log(criterion.weights[task]) for task in self.tasks]
        self.log_scale = nn.Parameter(torch.tensor(start, device=self.device))

    def named_parameters(self) -> dict[str, nn.Parameter]:
        return {"loss.log_scale": self.log_scale}

    def weights(self) -> dict[str, float]:
        return dict(zip(self.tasks, (-self.log_scale.detach()).exp().tolist()))

    def total(self, terms: LossTerms) -> Tensor:
        losses = torch.stack(self._of_tasks(terms.final, terms.intermediate))
        return ((-self.log_scale).exp() * losses + self.log_scale).sum()

    def finish(self) -> None:
        if self.log_scale.grad is not None:
            self.log_scale.grad = process_mean(self.log_scale.grad)

    def state(self) -> dict[str, Any]:
        return {"log_scale": self.log_scale.tolist()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        with torch.no_grad():
            self.log_scale.copy_(torch.tensor(state["log_scale"]))


class DynamicWeightAverage(LossWeighting):
    """Fixed weights times λ_t, larger for tasks whose loss fell less from one epoch to the next; all 1 in the first two.

    λ = T softmax(r / 2), r_t the quotient of the mean losses of the last two epochs.

    Source: Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention (CVPR 2019).

    Args:
        steps_per_epoch: over which a mean loss is taken.
    """

    temperature = 2.0

    def __init__(self, criterion: MultiTaskLoss, network: nn.Module, steps_per_epoch: int):
        super().__init__(criterion, network)
        self.steps_per_epoch = steps_per_epoch
        self.sums = torch.zeros(len(self.tasks), dtype=torch.float64, device=self.device)
        self.count = 0
        self.means: list[list[float]] = []  # of the last two epochs

    def factors(self) -> list[float]:
        """λ by task."""
        if len(self.means) < 2:
            return [1.0] * len(self.tasks)
        before, last = (torch.tensor(means, dtype=torch.float64) for means in self.means)
        quotients = torch.where(before > 0, last / before, torch.ones_like(last))  # 0: nothing was labelled
        return (len(self.tasks) * (quotients / self.temperature).softmax(0)).tolist()

    def weights(self) -> dict[str, float]:
        return {task: self.criterion.weights[task] * x for task, x in zip(self.tasks, self.factors())}

    def total(self, terms: LossTerms) -> Tensor:
        losses = self._of_tasks(terms.final, terms.intermediate)
        return torch.stack([weight * loss for weight, loss in zip(self.weights().values(), losses)]).sum()

    def after_step(self, losses: Mapping[str, Tensor]) -> None:
        intermediate = {task: losses[f"intermediate/{task}"] for task in self.tasks if f"intermediate/{task}" in losses}
        self.sums += torch.stack(self._of_tasks(losses, intermediate)).double()
        self.count += 1
        if self.count == self.steps_per_epoch:
            self.means = [*self.means[-1:], (process_mean(self.sums) / self.count).tolist()]
            self.sums, self.count = torch.zeros_like(self.sums), 0

    def share_state(self) -> None:
        self.sums = process_mean(self.sums)

    def state(self) -> dict[str, Any]:
        return {"sums": self.sums.tolist(), "count": self.count, "means": self.means}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.sums.copy_(torch.tensor(state["sums"], dtype=torch.float64))
        self.count, self.means = state["count"], [list(means) for means in state["means"]]


class PCGrad(LossWeighting):
    """Gradient surgery: of two tasks whose gradients conflict, each loses the part that works against the other.

    It concerns the weights that several tasks share; the others get their task's gradient. The losses have their fixed
    weights. A backward pass per task.

    Source: Yu et al., Gradient Surgery for Multi-Task Learning (NeurIPS 2020).
    """

    by_task_gradients = True

    def __init__(self, criterion: MultiTaskLoss, network: nn.Module):
        super().__init__(criterion, network)
        self.parameters = [x for x in network.parameters() if x.requires_grad]
        self.gradients: list[list[Tensor | None]] = []

    def backward(self, terms: LossTerms, accumulate: int) -> None:
        self.gradients = self.gradients or [[None] * len(self.parameters) for _ in self.tasks]
        losses = self._of_tasks(terms.final, terms.intermediate)
        for number, (task, loss) in enumerate(zip(self.tasks, losses)):
            scaled = self.criterion.weights[task] * loss / accumulate
            is_last = number + 1 == len(losses)
            found = torch.autograd.grad(scaled, self.parameters, retain_graph=not is_last, allow_unused=True)
            before = self.gradients[number]
            self.gradients[number] = [y if x is None else x if y is None else x + y for x, y in zip(before, found)]

    @torch.no_grad()
    def finish(self) -> None:
        order = process_first(torch.rand(len(self.tasks), len(self.tasks))).argsort(dim=1).tolist()
        of_weights = list(zip(*self.gradients))
        self.gradients = []
        shared = [i for i, found in enumerate(of_weights) if sum(x is not None for x in found) > 1]
        for i in set(range(len(of_weights))) - set(shared):
            single = next((x for x in of_weights[i] if x is not None), None)
            self.parameters[i].grad = None if single is None else process_mean(single)
        if not shared:
            return
        joint = torch.stack(
            [
                process_mean(torch.cat([flat(of_weights[i][number], self.parameters[i]) for i in shared]))
                for number in range(len(self.tasks))
            ]
        )
        gradient = projected(joint, order).sum(dim=0)
        sizes = [self.parameters[i].numel() for i in shared]
        for i, part in zip(shared, gradient.split(sizes)):
            self.parameters[i].grad = part.view_as(self.parameters[i]).clone()


def projected(gradients_TN: Tensor, order: Sequence[Sequence[int]]) -> Tensor:
    """Each task's gradient (a row) without what conflicts with the others', taken in `order[row]`; (T, N)."""
    result = gradients_TN.clone()
    squares = gradients_TN.square().sum(dim=1)
    for row, others in enumerate(order):
        for other in others:
            if other == row:
                continue
            product = result[row] @ gradients_TN[other]
            share = torch.where((product < 0) & (squares[other] > 0), product / squares[other].clamp(min=1e-38), 0)
            result[row] -= share * gradients_TN[other]
    return result


def flat(gradient: Tensor | None, parameter: Tensor) -> Tensor:
    """As a vector, zeros for none."""
    return parameter.new_zeros(parameter.numel()) if gradient is None else gradient.reshape(-1)


def process_first(values: Tensor) -> Tensor:
    """The first process's values (float32, on the CPU), on all of them. A collective call."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return values
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    sent = values.to(device)
    distributed.broadcast(sent, src=0)
    return sent.cpu()


def steps_per_epoch(config: RunConfig, images: int, processes: int = 1) -> int:
    """Optimiser steps in which a run sees its `images` once, at least 1."""
    return max(1, images // (config.batch_size * config.accumulate * processes))


def weighting_note(config: RunConfig, images: int, processes: int = 1) -> str:
    """What should be told of the losses' weighting before a run of so many `images`; empty if nothing."""
    epochs = config.steps / steps_per_epoch(config, images, processes)
    if config.loss.weighting != "dwa" or epochs > 2:
        return ""
    return f"loss.weighting dwa is fixed here: its factors are 1 in the first two epochs, and {config.steps} steps are {epochs:.3g}"


def make_weighting(name: str, criterion: MultiTaskLoss, network: nn.Module, *, steps_per_epoch: int) -> LossWeighting:
    """One of `fixed`, `uncertainty`, `dwa`, `pcgrad`."""
    if name == "dwa":
        return DynamicWeightAverage(criterion, network, steps_per_epoch)
    return {"fixed": LossWeighting, "uncertainty": Uncertainty, "pcgrad": PCGrad}[name](criterion, network)
