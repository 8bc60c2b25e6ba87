"""The typed settings of a run. Defaults are those of the published recipe; :mod:`bridgenet.config` reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, Predicate

from bridgenet.errors import UserError
from bridgenet.model.decoders import BRIDGENET
from bridgenet.model.description import Part
from bridgenet.system.validation import (
    Count,
    CountOrNone,
    FilePath,
    NotNegative,
    Positive,
    Rate,
    Seed,
    Size,
    Steps,
    Words,
    is_possible,
    strict,
)

Workers = Annotated[int, Ge(0), Le(1024)]
Name = Annotated[str, Predicate(is_possible), Words("text")]
LearningRate = Annotated[float, Gt(0), Le(100)]
Share = Annotated[float, Gt(0), Lt(1)]


@strict
@dataclass
class NetworkSettings:
    """The network.

    Attributes:
        backbone: a name, or `{name, **arguments}`; see :class:`bridgenet.NetworkConfig`.
        pretrained: start from timm's pretrained weights (Hugging Face hub).
        backbone_checkpoint: start from this local file instead (timm's, OpenGVLab's).
        checkpoint_backbone: recompute the backbone's blocks in the backward pass: less memory, more time, equal results
            (InternImage and plain transformers).
        checkpoint_decoder: the same for the refiner blocks.
        freeze_backbone: do not train the backbone; its batch norms and drop path are in evaluation mode.
        decoder: a name, or `{name, **arguments}`; see :class:`bridgenet.NetworkConfig`.
        drop_path: rate of the backbone's last block.
    """

    backbone: Part = field(default_factory=lambda: Part(name="vit_base_patch16_384"))
    pretrained: bool = True
    backbone_checkpoint: FilePath | None = None
    checkpoint_backbone: bool = False
    checkpoint_decoder: bool = False
    freeze_backbone: bool = False
    decoder: Part = field(default_factory=lambda: Part(name=BRIDGENET))
    drop_path: Rate = 0.15

    def __post_init__(self) -> None:
        self.backbone, self.decoder = Part.of(self.backbone), Part.of(self.decoder)


@strict
@dataclass
class DataSettings:
    """The data.

    Attributes:
        name: a published data set (nyud, pascal, …), the YAML file that describes a custom folder, a custom class
            (`package.module:Class`), or a list of several, which are trained together.
        weights: fractions of the samples from several data sets, in their order; by default proportional to their sizes.
        root: folder with the published data set's folder; by default the environment variable BRIDGENET_DATA.
        tasks: the tasks to learn; by default all of the data set.
        size: (height, width) of training crops [pixels]; by default the data set's.
        eval_size: (height, width) of the canvas that evaluation pads to [pixels]; by default the data set's.
        partial: images may lack labels of tasks. Custom folders may in any case; published data sets must be
            complete otherwise.
        augment: random scale, crop, flip and colour distortion in training.
        mirror: the random flip of it.
        shrink: the network's images have 1/shrink of the labels' size, and its predictions are enlarged to it; by default
            the data set's protocol.
        workers: data loading processes per training process.
        cache: keep decoded training samples in memory (shared by all processes of a machine during the run), on disk
            (kept after the run), or not at all.
        cache_folder: folder on disk; by default the environment variable BRIDGENET_CACHE, or ~/.cache/bridgenet.
    """

    name: list[Name] | Name = "nyud"
    weights: list[Positive] | None = None
    root: FilePath | None = None
    tasks: list[str] | None = None
    size: Size | None = None
    eval_size: Size | None = None
    partial: bool = False
    augment: bool = True
    mirror: bool = True
    shrink: Count | None = None
    workers: Workers = 2
    cache: Literal["none", "memory", "disk"] = "none"
    cache_folder: FilePath | None = None


@strict
@dataclass
class OptimizerSettings:
    """The optimiser; other options have PyTorch's defaults.

    Attributes:
        name: adam or adamw.
        lr: largest learning rate.
        weight_decay: weight decay of the optimiser.
        betas: Adam's two coefficients.
        layer_decay: factor between the learning rates of a backbone layer and the layer above it; 1: one rate for all.
        schedule: of the learning rate: `poly`, (1 − step/steps)^power, as published; `cosine`; `step`, a tenth after each
            milestone; or `constant`.
        power: exponent of `poly`.
        milestones: shares of the steps after which `step` divides the rate by 10.
        warmup: number of first steps in which the rate rises linearly.
        grad_clip: largest norm of the gradient.
    """

    name: Literal["adam", "adamw"] = "adam"
    lr: LearningRate = 2e-5
    weight_decay: NotNegative = 1e-6
    betas: tuple[Rate, Rate] = (0.9, 0.999)
    layer_decay: Annotated[float, Gt(0), Le(1)] = 1.0
    schedule: Literal["poly", "cosine", "step", "constant"] = "poly"
    power: NotNegative = 0.9
    milestones: list[Share] = field(default_factory=lambda: [0.6, 0.9])
    warmup: Annotated[int, Ge(0), Le(10**9)] = 0
    grad_clip: Positive = 10.0


@strict
@dataclass
class LossSettings:
    """The losses.

    Attributes:
        weights: weights of single tasks that override the published ones.
        functions: custom losses of single tasks, `package.module:function`.
        intermediate_weight: weight of TPP's intermediate predictions.
        weighting: how the tasks are weighted: by the fixed weights, as published; by learned uncertainty; by dynamic weight
            average (dwa); or by the fixed weights with gradient surgery (pcgrad), which takes a backward pass per task.
        uncertainty_lr: learning rate of the learned weights' logarithms at the first step; its schedule is the network's.
    """

    weights: dict[str, NotNegative] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    intermediate_weight: NotNegative = 0.5
    weighting: Literal["fixed", "uncertainty", "dwa", "pcgrad"] = "fixed"
    uncertainty_lr: LearningRate = 1e-3


@strict
@dataclass
class RunConfig:
    """All settings of a run except its folder.

    Attributes:
        network: the network.
        data: the data.
        optimizer: the optimiser.
        loss: the losses.
        metrics: custom metrics of single tasks, `package.module:Class`.
        init_from: start from these trained weights: a run's folder, a weight file, or a name on the hub. What means the same
            is taken, see :func:`bridgenet.model.transfer.transfer_weights`.
        steps: number of optimiser steps.
        batch_size: images per micro-batch and process.
        accumulate: micro-batches per optimiser step.
        precision: float32 or bfloat16 (autocast).
        compile: compile network and losses by `torch.compile`, which takes minutes at the first step; equal up to rounding.
        seed: seed of weights, order of samples, augmentation and drop path.
        evaluate_every: steps between evaluations; the last step is evaluated, too.
        evaluation_batch_size: images per evaluation batch and process.
        save_every: steps between checkpoints to resume from.
        log_every: steps between rows of metrics.jsonl.
        trackers: accelerate's trackers, e.g. tensorboard, wandb.
        log_images: number of validation images whose predictions are logged to the trackers at each evaluation.
    """

    network: NetworkSettings = field(default_factory=NetworkSettings)
    data: DataSettings = field(default_factory=DataSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    metrics: dict[str, str] = field(default_factory=dict)
    init_from: FilePath | None = None
    steps: Steps = 20_000
    batch_size: Count = 3
    accumulate: Count = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    seed: Seed = 42
    evaluate_every: Steps = 1000
    evaluation_batch_size: Count = 6
    save_every: Steps = 500
    log_every: Steps = 10
    trackers: list[str] = field(default_factory=lambda: ["tensorboard"])
    log_images: CountOrNone = 4

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain YAML types, with all options of the decoder."""
        values = _plain(dataclasses.asdict(self))
        values["network"]["decoder"] = dict(self.network.decoder.complete())
        return values


def _plain(value: Any) -> Any:
    """Convert nested tuples to lists, so that values are equal after writing and reading YAML or JSON."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def check_exclusive(config: RunConfig) -> None:
    """UserError for two settings that exclude each other."""
    pairs = {
        ("compile", "network.checkpoint_decoder"): config.compile and config.network.checkpoint_decoder,
        ("compile", "loss.weighting pcgrad"): config.compile and config.loss.weighting == "pcgrad",
        ("init_from", "network.backbone_checkpoint"): (
            config.init_from is not None and config.network.backbone_checkpoint is not None
        ),
        ("network.freeze_backbone", "optimizer.layer_decay"): (
            config.network.freeze_backbone and config.optimizer.layer_decay != 1
        ),
    }
    for (one, other), both in pairs.items():
        if both:
            raise UserError(f"{one} and {other} exclude each other; leave out one of them")
