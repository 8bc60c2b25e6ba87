"""Prepare a run from its settings. All checks are made before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import ProjectConfiguration
from torch.optim.lr_scheduler import LambdaLR

from bridgenet import data
from bridgenet.checkpoints import LAST
from bridgenet.config.resolved import (
    check_canvas,
    check_precision,
    evaluation_size,
    metric_classes,
    open_dataset,
    shrink_of,
    steps_per_epoch,
    use_cpu,
    weighting_note,
)
from bridgenet.config.settings import RunConfig, check_exclusive
from bridgenet.data.checks.coverage import check_labels, count_labels, labels_in_words, unlearnable, unswapped
from bridgenet.data.pipeline.batches import to_device
from bridgenet.data.pipeline.cache import open_cache
from bridgenet.data.pipeline.loading import training_loader
from bridgenet.data.pipeline.sampling import drawn
from bridgenet.model.backbones.licences import licence_note
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.records import record, required_record
from bridgenet.system.compilation import check_compiler
from bridgenet.training.checkpoint import load_last
from bridgenet.training.criterion import make_criterion
from bridgenet.training.folder import MEANING, check_folder, check_meaning, check_settings
from bridgenet.training.labels import SeenLabels
from bridgenet.training.network import describe_network, make_network, open_initial
from bridgenet.training.optimisation import make_optimizer
from bridgenet.training.processes import distribute
from bridgenet.training.progress import Progress
from bridgenet.training.reporting import check_trackers
from bridgenet.training.rows import METRICS, check_rows
from bridgenet.training.schedule import make_schedule
from bridgenet.training.step import TrainingStep
from bridgenet.training.weighting import WEIGHTINGS, LossWeighting


@dataclass
class Prepared:
    """One process of a run, ready for its next step.

    Attributes:
        config: settings of the run.
        out: folder of the run, not changed so far.
        is_resumed: whether the state is that of the run in `out`.
        accelerator: device and processes.
        train_set, val_set: the splits.
        network: the trained network, on its device.
        schedule: schedule of the learning rates.
        step: makes optimiser steps; it holds losses, weighting and optimiser.
        seen: which tasks had labels in a step; None if no labels may be missing.
        progress: progress of the run.
    """

    config: RunConfig
    out: Path
    is_resumed: bool
    accelerator: Accelerator
    train_set: data.DenseDataset
    val_set: data.DenseDataset
    network: BridgeNet
    schedule: LambdaLR
    step: TrainingStep
    seen: SeenLabels | None
    progress: Progress

    def batches(self) -> Iterator[dict[str, Any]]:
        """This process's batches for the remaining steps, on its device."""
        config, accelerator = self.config, self.accelerator
        cache = open_cache(self.train_set, config.data.cache, config.data.cache_folder)
        if cache is not None and accelerator.is_main_process:
            print(f"note: {cache.describe()}")
        loader = training_loader(
            self.train_set,
            size=config.data.size or self.train_set.info.size,
            batch_size=config.batch_size,
            seed=config.seed,
            num_workers=config.data.workers,
            start_step=self.progress.step,
            end_step=config.steps,
            rank=accelerator.process_index,
            world=accelerator.num_processes,
            accumulate=config.accumulate,
            cache=cache,
            weights=config.data.weights,
            shrink=shrink_of(config),
            augment=config.data.augment,
            mirror=config.data.mirror,
        )
        names, mean, deviation = list(self.network.tasks), self.network.mean, self.network.deviation
        return (to_device(batch, accelerator.device, names, mean=mean, deviation=deviation) for batch in loader)


def prepare(
    config: RunConfig, out: Path, *, resume: bool = False, overwrite: bool = False, device: str = "auto"
) -> Prepared:
    """Check, open and build what a run needs, and restore its state if it is resumed; see :func:`bridgenet.training.run.train`.

    A collective call. The folder is not changed.
    """
    check_folder(out, resume=resume, overwrite=overwrite)
    if resume and (out / "config.yaml").is_file():
        check_settings(config, out)
    check_trackers(config.trackers)
    check_exclusive(config)
    metric_classes(config)
    last = out / LAST if resume and (out / LAST).is_file() else None
    initial = open_initial(config) if last is None else None
    description = describe_network(config, last, initial)
    train_set, val_set, lacking = open_data(config)
    if last is not None:
        check_meaning(train_set.info, last)
    unvaried = [*unlearnable(train_set), *unlearnable(val_set)]
    accelerator = make_accelerator(config, out, device)
    check_precision(config, accelerator.device.type)
    if config.compile:
        check_compiler(accelerator.device)

    torch.manual_seed(config.seed)
    network, transferred = make_network(config, description, initial, is_new=last is None)
    network = network.to(accelerator.device)
    criterion = make_criterion(config, list(network.tasks))
    epoch = steps_per_epoch(config, len(train_set), accelerator.num_processes)
    weighting = WEIGHTINGS[config.loss.weighting](criterion, network, epoch)
    optimizer = make_run_optimizer(config, network, weighting)
    progress = Progress()
    if last is not None:
        progress, information = load_last(last, network, optimizer, weighting)
        check_rows(out / METRICS, progress.step, progress.rows)
        record(network, description, information)
    recorded = {"labels": lacking, MEANING: dict(train_set.info.meaning)}
    recorded = {key: value for key, value in recorded.items() if value}
    record(network, description, {**required_record(network).information, **recorded})
    if accelerator.is_main_process:
        if transferred is not None:
            print(f"weights from {config.init_from}\n{transferred.table()}")
        for text in unvaried:
            print(f"note: {text}")
        for note in notes(
            config, network, train_set, val_set, is_new=last is None, processes=accelerator.num_processes
        ):
            print(f"note: {note}")
    schedule = make_schedule(
        optimizer,
        steps=config.steps,
        name=config.optimizer.schedule,
        power=config.optimizer.power,
        milestones=config.optimizer.milestones,
        warmup=config.optimizer.warmup,
        start_step=progress.step,
    )
    step = TrainingStep(
        network,
        criterion,
        optimizer,
        model=distribute(network, accelerator),
        precision=config.precision,
        grad_clip=config.optimizer.grad_clip,
        accumulate=config.accumulate,
        weighting=weighting,
        backend="inductor" if config.compile else None,
    )
    return Prepared(
        config=config,
        out=out,
        is_resumed=last is not None,
        accelerator=accelerator,
        train_set=train_set,
        val_set=val_set,
        network=network,
        schedule=schedule,
        step=step,
        seen=SeenLabels(list(network.tasks)) if train_set.partial else None,
        progress=progress,
    )


def open_data(config: RunConfig) -> tuple[data.DenseDataset, data.DenseDataset, str]:
    """Open and check the training and validation splits; also returns a text on missing labels of the training split."""
    train_set, val_set = open_dataset(config, "train"), open_dataset(config, "val")
    check_canvas(val_set, evaluation_size(config))
    labels = check_labels(train_set)
    if config.data.weights is not None:
        drawn(train_set.parts, config.data.weights)
    return train_set, val_set, labels_in_words(labels, len(train_set))


def make_accelerator(config: RunConfig, out: Path, device: str) -> Accelerator:
    """Create the accelerator, which manages device, processes and trackers."""
    return Accelerator(
        mixed_precision="no",  # Accelerate fixes it for the whole process: the step calls autocast itself
        cpu=use_cpu(device),
        log_with=config.trackers or None,
        project_config=ProjectConfiguration(project_dir=str(out), logging_dir=str(out / "tensorboard")),
        # Batch statistics are synchronised (GPU) or local and never used in training (CPU): no need to broadcast.
        # No static graph: it would forbid the micro-batches that are not synchronised.
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)],
    )


def make_run_optimizer(config: RunConfig, network: BridgeNet, weighting: LossWeighting) -> torch.optim.Optimizer:
    """Create the optimiser of the network; learned loss weights have their own learning rate."""
    settings = config.optimizer
    optimizer = make_optimizer(
        network,
        name=settings.name,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        betas=tuple(settings.betas),
        layer_decay=settings.layer_decay,
    )
    if learned := list(weighting.named_parameters().values()):
        optimizer.add_param_group({"params": learned, "weight_decay": 0.0, "lr": config.loss.uncertainty_lr})
    return optimizer


def notes(
    config: RunConfig,
    network: BridgeNet,
    train_set: data.DenseDataset,
    val_set: data.DenseDataset,
    *,
    is_new: bool,
    processes: int,
) -> Iterator[str]:
    """Notes to print before the run: missing labels, and for a new run licence, loss weighting and random frozen weights."""
    information = required_record(network).information
    if "labels" in information:
        yield f"labels in training: {information['labels']}"
    if lacking := labels_in_words(count_labels(val_set), len(val_set)):
        yield f"labels in validation: {lacking}"
    if not is_new:
        return
    if config.data.augment and config.data.mirror:
        yield from unswapped(train_set.info)
    from_file = config.network.backbone_checkpoint is not None or config.init_from is not None
    if licence := licence_note(information, from_file=from_file):
        yield licence
    if config.init_from and "licence" in information:
        yield f"the weights of {config.init_from} have the licence {information['licence']}; it is recorded with the network"
    if fixed := weighting_note(config, len(train_set), processes):
        yield fixed
    if config.network.freeze_backbone and not (config.network.pretrained or from_file):
        yield "network.freeze_backbone keeps random weights: neither pretrained nor backbone_checkpoint is set"
