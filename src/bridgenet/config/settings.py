"""The settings of a run: typed, with the published recipe's values as defaults. They are read by :mod:`bridgenet.config`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bridgenet.errors import UserError


@dataclass
class NetworkSettings:
    """The network. See :class:`bridgenet.NetworkConfig` for the terms.

    Attributes:
        backbone: internimage_t, _s, _b, _l, any timm model, or one's own class, `package.module:Class`.
        pretrained: start from timm's pretrained weights (Hugging Face hub).
        backbone_checkpoint: start from this local file instead (timm's, OpenGVLab's).
        backbone_kwargs: settings of the backbone itself.
        checkpoint_backbone: compute the inside of the backbone's blocks again in the backward pass instead of keeping
            it: less memory, more time, the same numbers (InternImage and plain transformers).
        checkpoint_decoder: the same of the refiner blocks.
        freeze_backbone: leave the backbone's weights as they are; its batch norms and drop path are in evaluation mode.
        decoder: bridgenet; multi_task, single_task or dpt, which it is compared with; or one's own class,
            `package.module:Class`.
        decoder_kwargs: settings of the decoders other than bridgenet, e.g. width.
        tpp: of bridgenet: without, intermediate predictions come straight from the preliminary features.
        bfe: of bridgenet: without, the refiner sees the backbone feature alone.
        tfr: of bridgenet: without, the bridge feature is added and no blocks refine.
        num_stages: of the decoder: 3 as published; 1 or 2; 4 adds a stage on the backbone's finest map.
        embed_dim: width E of the task features.
        extra_channels: C − E.
        refine_depth: refiner blocks per stage, d.
        dilations: of the refiner blocks, repeated.
        drop_path: rate of the backbone's last block.
        refiner_drop_path: rate of each stage's last refiner block.
    """

    backbone: str = "vit_base_patch16_384"
    pretrained: bool = True
    backbone_checkpoint: str | None = None
    backbone_kwargs: dict[str, Any] = field(default_factory=dict)
    checkpoint_backbone: bool = False
    checkpoint_decoder: bool = False
    freeze_backbone: bool = False
    decoder: str = "bridgenet"
    decoder_kwargs: dict[str, Any] = field(default_factory=dict)
    tpp: bool = True
    bfe: bool = True
    tfr: bool = True
    num_stages: int = 3
    embed_dim: int = 512
    extra_channels: int = 64
    refine_depth: int = 18
    dilations: list[int] = field(default_factory=lambda: [1, 2, 5])
    drop_path: float = 0.15
    refiner_drop_path: float = 0.15


@dataclass
class DataSettings:
    """The data.

    Attributes:
        name: a published data set (nyud, pascal, …), the YAML file that describes a folder of one's own, one's own class
            (`package.module:Class`), or a list of several, which are trained together.
        weights: shares of the samples that several data sets give, in their order; as large as they are if not given.
        root: folder that holds the published data set's folder; else the environment's BRIDGENET_DATA.
        tasks: the tasks to learn; all that the data set offers if not given.
        size: (height, width) of training crops [pixels]; the data set's own if not given.
        eval_size: (height, width) of the canvas that evaluation pads to [pixels]; the data set's own if not given.
        partial: images may lack labels of tasks. A folder of one's own may in any case; published data sets are expected
            to be whole.
        augment: scale, crop, mirror and distort colours in training.
        shrink: the network sees images at 1/shrink of the labels' size and its predictions are enlarged to them; the data
            set's own protocol if not given.
        workers: processes that load data, per training process.
        cache: keep decoded training samples in memory (shared by all processes of a machine, as long as the run lasts),
            on disk (stays), or not at all.
        cache_folder: where on disk; else the environment's BRIDGENET_CACHE, or ~/.cache/bridgenet.
    """

    name: list[str] | str = "nyud"
    weights: list[float] | None = None
    root: str | None = None
    tasks: list[str] | None = None
    size: tuple[int, int] | None = None
    eval_size: tuple[int, int] | None = None
    partial: bool = False
    augment: bool = True
    shrink: int | None = None
    workers: int = 2
    cache: Literal["none", "memory", "disk"] = "none"
    cache_folder: str | None = None


@dataclass
class OptimizerSettings:
    """The optimiser; what is not named here is PyTorch's default.

    Attributes:
        name: adam or adamw.
        lr: learning rate at the first step; it falls as (1 − step/steps)^power.
        weight_decay: as the optimiser takes it.
        betas: Adam's two coefficients.
        layer_decay: each layer of the backbone learns at so much of the rate of the layer above it; 1: all at one rate.
        power: of the learning rate's polynomial.
        grad_clip: largest norm of the gradient.
    """

    name: Literal["adam", "adamw"] = "adam"
    lr: float = 2e-5
    weight_decay: float = 1e-6
    betas: tuple[float, float] = (0.9, 0.999)
    layer_decay: float = 1.0
    power: float = 0.9
    grad_clip: float = 10.0


@dataclass
class LossSettings:
    """The losses.

    Attributes:
        weights: of single tasks, in place of the published ones.
        functions: of single tasks, in place of their own, `package.module:function`.
        intermediate_weight: of TPP's intermediate predictions.
        weighting: how the tasks are weighed: by the fixed weights, as published; by learned uncertainty; by dynamic weight
            average (dwa); or by the fixed weights with gradient surgery (pcgrad), which costs a backward pass per task.
        uncertainty_lr: learning rate of the learned weights' logarithms at the first step; it falls as the network's.
    """

    weights: dict[str, float] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    intermediate_weight: float = 0.5
    weighting: Literal["fixed", "uncertainty", "dwa", "pcgrad"] = "fixed"
    uncertainty_lr: float = 1e-3


@dataclass
class RunConfig:
    """Everything that decides what a run does, except where it is written.

    Attributes:
        network: the network.
        data: the data.
        optimizer: the optimiser.
        loss: the losses.
        metrics: of single tasks, in place of their own, `package.module:Class`.
        steps: optimiser steps.
        batch_size: images per micro-batch and process.
        accumulate: micro-batches per optimiser step.
        precision: float32 or bfloat16 (autocast).
        compile: network and losses by `torch.compile`, which takes minutes at the first step; the numbers within rounding.
        seed: of weights, order of samples, augmentation and drop path.
        evaluate_every: steps between evaluations; there is one at the end as well.
        evaluation_batch_size: images per evaluation batch and process.
        save_every: steps between writes of the checkpoint that a run is resumed from.
        log_every: steps between rows of metrics.jsonl.
        trackers: accelerate's trackers, e.g. tensorboard, wandb.
        log_images: validation images whose predictions go to the trackers at each evaluation.
    """

    network: NetworkSettings = field(default_factory=NetworkSettings)
    data: DataSettings = field(default_factory=DataSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    metrics: dict[str, str] = field(default_factory=dict)
    steps: int = 20_000
    batch_size: int = 3
    accumulate: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    seed: int = 42
    evaluate_every: int = 1000
    evaluation_batch_size: int = 6
    save_every: int = 500
    log_every: int = 10
    trackers: list[str] = field(default_factory=lambda: ["tensorboard"])
    log_images: int = 4

    def as_dict(self) -> dict[str, Any]:
        """Plain YAML types."""
        return _plain(dataclasses.asdict(self))


def _plain(value: Any) -> Any:
    """Tuples as lists, all the way down: what YAML and JSON give back is then equal to what they were given."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def wrong_numbers(config: RunConfig) -> list[str]:
    """Numbers that make no run."""
    counts = ["steps", "batch_size", "accumulate", "evaluate_every", "evaluation_batch_size", "save_every", "log_every"]
    problems = [
        f"{name} is {getattr(config, name)}, expected at least 1" for name in counts if getattr(config, name) < 1
    ]
    for name, rate in (("optimizer.lr", config.optimizer.lr), ("loss.uncertainty_lr", config.loss.uncertainty_lr)):
        if not rate > 0:
            problems.append(f"{name} is {rate}, expected more than 0")
    if not config.loss.intermediate_weight >= 0:
        problems.append(f"loss.intermediate_weight is {config.loss.intermediate_weight}, expected 0 or more")
    for name, value in (("seed", config.seed), ("data.workers", config.data.workers)):
        if value < 0:
            problems.append(f"{name} is {value}, expected 0 or more")
    if config.optimizer.weight_decay < 0 or config.optimizer.power < 0 or config.log_images < 0:
        problems.append("optimizer.weight_decay, optimizer.power and log_images must be 0 or more")
    if not all(0 <= beta < 1 for beta in config.optimizer.betas):
        problems.append(
            f"optimizer.betas is {config.optimizer.betas}, expected two numbers of at least 0 and less than 1"
        )
    if not 0 < config.optimizer.layer_decay <= 1:
        problems.append(
            f"optimizer.layer_decay is {config.optimizer.layer_decay}, expected more than 0, at most 1 (off)"
        )
    if not config.optimizer.grad_clip > 0:
        problems.append(f"optimizer.grad_clip is {config.optimizer.grad_clip}, expected more than 0")
    for name in ("drop_path", "refiner_drop_path"):
        if not 0 <= getattr(config.network, name) < 1:
            problems.append(f"network.{name} is {getattr(config.network, name)}, expected at least 0 and less than 1")
    if config.data.shrink is not None and config.data.shrink < 1:
        problems.append(f"data.shrink is {config.data.shrink}, expected at least 1")
    for name in ("size", "eval_size"):
        if (size := getattr(config.data, name)) is not None and min(size) < 1:
            problems.append(f"data.{name} is {size}, expected (height, width) of at least 1")
    return problems


def check_exclusive(config: RunConfig) -> None:
    """UserError for two settings that exclude each other."""
    pairs = {
        ("compile", "network.checkpoint_decoder"): config.compile and config.network.checkpoint_decoder,
        ("compile", "loss.weighting pcgrad"): config.compile and config.loss.weighting == "pcgrad",
        ("network.freeze_backbone", "optimizer.layer_decay"): (
            config.network.freeze_backbone and config.optimizer.layer_decay != 1
        ),
    }
    for (one, other), both in pairs.items():
        if both:
            raise UserError(f"{one} and {other} exclude each other; leave out one of them")
