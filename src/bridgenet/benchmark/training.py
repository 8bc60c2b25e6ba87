"""Time, memory and hardware utilisation of a training step."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, cast

import torch

from bridgenet import tasks
from bridgenet.benchmark.cases import Case
from bridgenet.benchmark.cost import description
from bridgenet.benchmark.inference import measured, prepare_process
from bridgenet.benchmark.samples import decoded_batch
from bridgenet.config.resolved import shrink_of
from bridgenet.losses import MultiTaskLoss
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.build import build_network
from bridgenet.model.fast import accelerate_network
from bridgenet.training.optimisation import make_optimizer
from bridgenet.training.step import TrainingStep

PASSES = 3
"""Forward passes with the arithmetic of a step: one forward, two for the backward pass."""


def measure_training(case: Case) -> dict[str, Any]:
    """Measure an optimiser step (forward, losses, backward, clipping, update) on one batch; see :func:`measured`.

    Weights, images and labels are random and already on the device. Call it in a new process.
    """
    allocator = prepare_process(case)
    device = torch.device(case.device)
    torch.manual_seed(0)
    network = build_network(description(case.config)).to(device)
    if not case.is_plain:
        accelerate_network(network)
    network.backbone.set_checkpointing(case.is_checkpointed or case.config.network.checkpoint_backbone)
    cast(Any, network.decoder).set_checkpointing(case.is_checkpointed or case.config.network.checkpoint_decoder)
    return measured(case, _step(case, network, device), passes=PASSES) | {"allocator_tuned": allocator}


def _step(case: Case, network: BridgeNet, device: torch.device) -> Callable[[], Any]:
    """A function that makes one step of the run with the case's settings."""
    settings = case.config.optimizer
    optimizer = make_optimizer(
        network,
        name=settings.name,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        betas=tuple(settings.betas),
    )
    weights = {name: weight for name, weight in case.config.loss.weights.items() if name in network.tasks}
    criterion = MultiTaskLoss(list(network.tasks), weights, case.config.loss.intermediate_weight)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(case.batch, 3, *case.size, generator=generator).to(device)
    shrink = shrink_of(case.config)
    canvas = (case.size[0] * shrink, case.size[1] * shrink)
    targets = {
        name: decoded_batch(tasks.get(name), outputs, case.batch, canvas)[1].to(device)
        for name, outputs in network.tasks.items()
    }
    step = TrainingStep(
        network,
        criterion,
        optimizer,
        backend="inductor" if case.is_compiled else None,
        precision=case.precision,
        grad_clip=settings.grad_clip,
    )
    return lambda: step(itertools.repeat({"image": images, **targets}))
