"""The parts of a run that its settings name: the network's description, the losses, metrics of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bridgenet import data, tasks
from bridgenet.config.settings import RunConfig, network_size
from bridgenet.errors import UserError
from bridgenet.extensions import failing_as, load_object
from bridgenet.losses import MeanOverProcesses, MultiTaskLoss, process_mean
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.config import NetworkConfig
from bridgenet.tasks import Kind


def network_config(config: RunConfig) -> NetworkConfig:
    """The description of the network that a run's settings ask for."""
    info = data.info(config.data.name)
    outputs = info.num_outputs
    chosen = tasks.in_order(config.data.tasks or info.tasks)
    if missing := [task for task in chosen if task not in outputs]:
        raise UserError(f"data.tasks: {info.title} has no {', '.join(missing)} (it has {', '.join(info.tasks)})")
    settings = config.network
    return NetworkConfig(
        num_outputs={task: outputs[task] for task in chosen},
        backbone=settings.backbone,
        backbone_kwargs=dict(settings.backbone_kwargs),
        decoder=settings.decoder,
        decoder_kwargs=dict(settings.decoder_kwargs),
        image_size=network_size(config),
        tpp=settings.tpp,
        bfe=settings.bfe,
        tfr=settings.tfr,
        embed_dim=settings.embed_dim,
        extra_channels=settings.extra_channels,
        num_stages=settings.num_stages,
        refine_depth=settings.refine_depth,
        dilations=list(settings.dilations),
        drop_path=settings.drop_path,
        refiner_drop_path=settings.refiner_drop_path,
        class_names={task: list(info.class_names[task]) for task in chosen if task in info.class_names},
        dataset=info.name,
        task_definitions={task: tasks.get(task).as_dict() for task in chosen if task not in tasks.BUILT_IN},
    )


class OwnLoss:
    """A loss of one's own, called as those of :mod:`bridgenet.losses` are. UserError for what it raises, or gives that teaches nothing."""

    def __init__(self, where: str, path: str, kind: Kind) -> None:
        self.where, self.kind = f"{where}: {path}", kind
        self.function = load_object(path, where, kind="loss")

    def __call__(self, logits: Tensor, target: Tensor, *, mean_over_processes: MeanOverProcesses) -> Tensor:
        with failing_as(self.where):
            value = self.function(logits, target, mean_over_processes=mean_over_processes)
        if not isinstance(value, Tensor) or value.ndim:
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise UserError(f"{self.where} gives {found}, expected a scalar tensor")
        if torch.is_grad_enabled() and logits.requires_grad and not value.requires_grad:
            if not self.kind.is_unknown(target).all():
                raise UserError(f"{self.where} gives a value that does not depend on the logits: it has no gradient")
            return value + logits[:0].sum()  # nothing is labelled: a constant 0 may well be given
        return value


def make_criterion(config: RunConfig, chosen: Sequence[str]) -> MultiTaskLoss:
    """The losses of these tasks, weighted. UserError for a function of one's own that there is not, or that cannot be called."""
    functions = {
        task: OwnLoss(f"loss.functions.{task}", path, tasks.get(task).kind)
        for task, path in config.loss.functions.items()
        if task in chosen
    }
    weights = {task: weight for task, weight in config.loss.weights.items() if task in chosen}
    return MultiTaskLoss(chosen, weights, config.loss.intermediate_weight, process_mean, functions)


def own_metrics(config: RunConfig) -> dict[str, Any]:
    """Classes of metrics by task, where the settings name some. UserError for one that there is not, or that is no metric."""
    return {task: load_object(path, f"metrics.{task}", kind="metric") for task, path in config.metrics.items()}


def set_decoder_checkpointing(network: BridgeNet) -> None:
    """UserError for a decoder that does not have it."""
    decoder: Any = network.decoder
    if not hasattr(decoder, "set_checkpointing"):
        raise UserError(
            f"network.checkpoint_decoder: {type(decoder).__name__} has no set_checkpointing(); leave it out"
        )
    decoder.set_checkpointing()
