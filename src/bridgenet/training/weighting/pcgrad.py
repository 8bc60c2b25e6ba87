"""Gradient surgery where the gradients of tasks conflict."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bridgenet.losses import LossTerms, MultiTaskLoss, process_mean
from bridgenet.training.weighting.base import LossWeighting


class PCGrad(LossWeighting):
    """Gradient surgery: each of two conflicting gradients is projected onto the normal plane of the other.

    It applies to parameters that several tasks share; the others get the gradient of their task. The losses have their
    fixed weights. It takes a backward pass per task.

    Source: Yu et al., Gradient Surgery for Multi-Task Learning (NeurIPS 2020).
    """

    by_task_gradients = True

    def __init__(self, criterion: MultiTaskLoss, network: nn.Module, steps_per_epoch: int = 1):
        super().__init__(criterion, network, steps_per_epoch)
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
    """Project each (T, N) row, the gradient of a task, to remove its conflicts with the others in the order `order[row]`."""
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
    """The gradient as a vector; zeros for None."""
    return parameter.new_zeros(parameter.numel()) if gradient is None else gradient.reshape(-1)


def process_first(values: Tensor) -> Tensor:
    """Broadcast the first process's values (float32, on the CPU) to all processes. A collective call."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return values
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    sent = values.to(device)
    distributed.broadcast(sent, src=0)
    return sent.cpu()
