"""How a network is described and built. The description is data for builders and files; no module ever reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridgenet import extensions, tasks
from bridgenet.errors import UserError
from bridgenet.model.backbones import build_backbone
from bridgenet.model.backbones.base import Backbone
from bridgenet.model.backbones.licences import weights_information
from bridgenet.model.backbones.per_task import BackbonePerTask
from bridgenet.model.bridgenet import BridgeNet, Heads
from bridgenet.model.decoders import BRIDGENET, DECODERS, build_baseline
from bridgenet.model.decoders.bridgenet import BridgeNetDecoder
from bridgenet.model.decoders.bridgenet.decoder import MAX_STAGES, NUM_STAGES
from bridgenet.model.own import own_decoder
from bridgenet.model.records import record


@dataclass
class NetworkConfig:
    """Everything that says what the network is (not its weights).

    Attributes:
        num_outputs: channels of each task's logits, in task order.
        backbone: `internimage_t`, `_s`, `_b`, `_l`, a timm name, or one's own class, `package.module:Class`.
        backbone_kwargs: settings of the backbone itself, see :func:`bridgenet.model.backbones.build_backbone`.
        image_size: (H, W) [pixels] of training.
        decoder: `bridgenet`; `multi_task`, `single_task` or `dpt`, which it is compared with; or one's own class,
            `package.module:Class`. The settings down to `refiner_drop_path`, except `drop_path`, are those of `bridgenet`.
        decoder_kwargs: settings of the others, e.g. `width`.
        tpp, bfe, tfr: of `bridgenet`: whether it has these parts; see :class:`BridgeNetDecoder` for what stands in their place.
        embed_dim: E.
        extra_channels: C − E.
        num_stages: of the decoder: 3 as published, 1 or 2, or 4, the last reading the backbone's finest map.
        refine_depth: refiner blocks d, the same for all stages or one number each.
        dilations: repeated over the refiner blocks, or one list per stage that is as long as the stage is deep.
        squeezes: like `dilations`: block width over hidden width.
        base_divisor: r; None: what goes with the backbone (plain transformer 2, pyramid 1).
        drop_path: of the backbone's last block.
        refiner_drop_path: of each stage's last refiner block.
        class_names: names of the classes, per task that has classes.
        dataset: name of the data set that the tasks are those of, if any.
        task_definitions: :meth:`bridgenet.tasks.Task.as_dict` of each task that is not one of every installation's.
    """

    num_outputs: dict[str, int]
    backbone: str
    image_size: tuple[int, int]
    backbone_kwargs: dict[str, Any] = field(default_factory=dict)
    decoder: str = BRIDGENET
    decoder_kwargs: dict[str, Any] = field(default_factory=dict)
    tpp: bool = True
    bfe: bool = True
    tfr: bool = True
    embed_dim: int = 512
    extra_channels: int = 64
    num_stages: int = NUM_STAGES
    refine_depth: int | list[int] = 18
    dilations: list[Any] = field(default_factory=lambda: [1, 2, 5])
    squeezes: list[Any] = field(default_factory=lambda: [2])
    base_divisor: int | None = None
    drop_path: float = 0.0
    refiner_drop_path: float = 0.0
    class_names: dict[str, list[str]] = field(default_factory=dict)
    dataset: str | None = None
    task_definitions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NetworkConfig:
        """The inverse of :meth:`as_dict`; UserError for unknown or missing keys and values of another kind."""
        known = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UserError(
                f"the network's description has unknown keys: {', '.join(unknown)}; is it from a newer version?"
            )
        needed = [f.name for f in dataclasses.fields(cls) if f.default is f.default_factory is dataclasses.MISSING]
        if missing := [name for name in needed if name not in values]:
            raise UserError(f"the network's description is incomplete: it has no {', '.join(missing)}")
        config = cls(**values)
        config.check()
        config.image_size = (config.image_size[0], config.image_size[1])
        return config

    def check(self) -> None:
        """UserError if a value is of a kind that no network can have."""

        def whole(values: Any) -> bool:
            return all(type(value) is int for value in values)

        size = self.image_size
        fine = {
            "num_outputs": isinstance(self.num_outputs, dict) and whole(self.num_outputs.values()),
            "backbone": isinstance(self.backbone, str),
            "image_size": isinstance(size, list | tuple) and len(size) == 2 and whole(size),
            "backbone_kwargs": isinstance(self.backbone_kwargs, dict),
            "decoder": isinstance(self.decoder, str),
            "decoder_kwargs": isinstance(self.decoder_kwargs, dict),
            "tpp, bfe or tfr": all(type(value) is bool for value in (self.tpp, self.bfe, self.tfr)),
            "embed_dim": whole([self.embed_dim]),
            "extra_channels": whole([self.extra_channels]),
            "num_stages": whole([self.num_stages]),
            "refine_depth": whole(self.refine_depth if isinstance(self.refine_depth, list) else [self.refine_depth]),
            "base_divisor": self.base_divisor is None or (whole([self.base_divisor]) and self.base_divisor > 0),
            "class_names": isinstance(self.class_names, dict),
            "task_definitions": isinstance(self.task_definitions, dict),
        }
        if wrong := [name for name, holds in fine.items() if not holds]:
            found = getattr(self, wrong[0], "not true or false")
            raise UserError(f"the network's description is damaged: {wrong[0]} is {found!r}")

    def own_parts(self) -> dict[str, str]:
        """Dotted paths of code that is not of this package, by what it stands for."""
        found = {"network.decoder": self.decoder} if self.decoder not in DECODERS else {}
        if extensions.is_path(self.backbone):
            found["network.backbone"] = self.backbone
        for task, definition in self.task_definitions.items():
            named = {key: definition.get(key) for key in ("loss", "metric", "decode")}
            found |= {f"{key} of {task}": text for key, text in named.items() if isinstance(text, str)}
        return {key: text for key, text in found.items() if not text.startswith("bridgenet.")}


def _per_stage(name: str, values: Sequence[Any], depths: Sequence[int]) -> list[list[int]]:
    """One list per stage, as long as the stage is deep, from one repeated list or from one list per stage."""
    lists = list(values) if values and isinstance(values[0], list | tuple) else [values] * len(depths)
    if len(lists) != len(depths) or not all(chain and min(chain) >= 1 for chain in lists):
        raise UserError(
            f"{name} is {values}; give one list of numbers ≥ 1, which is repeated, or {len(depths)} of them"
        )
    return [[int(chain[j % len(chain)]) for j in range(depth)] for chain, depth in zip(lists, depths)]


def _decoder(config: NetworkConfig, backbone: Backbone) -> BridgeNetDecoder:
    """The published decoder. UserError for settings that it cannot have."""
    width, stages = config.embed_dim + config.extra_channels, config.num_stages
    if not 1 <= stages <= MAX_STAGES:
        raise UserError(f"num_stages is {stages}, expected {NUM_STAGES} (as published), or 1 to {MAX_STAGES}")
    if config.embed_dim < 2 or config.extra_channels < 0 or config.embed_dim % 2 or width % 2**stages:
        raise UserError(
            f"embed_dim is {config.embed_dim} and extra_channels {config.extra_channels}; embed_dim must be even and their "
            f"sum C divisible by {2**stages} (two attention heads at the widths of {stages} stages, C to C/{2 ** (stages - 1)})"
        )
    depths = [config.refine_depth] * stages if isinstance(config.refine_depth, int) else config.refine_depth
    if len(depths) != stages or min(depths) < 1:
        raise UserError(f"refine_depth is {config.refine_depth}; give one number ≥ 1, or {stages} of them")
    return BridgeNetDecoder(
        backbone.channels,
        config.num_outputs,
        embed_dim=config.embed_dim,
        extra_channels=config.extra_channels,
        base_divisor=config.base_divisor or backbone.base_divisor,
        dilations=_per_stage("dilations", config.dilations, depths),
        squeezes=_per_stage("squeezes", config.squeezes, depths),
        drop_path=config.refiner_drop_path,
        tpp=config.tpp,
        bfe=config.bfe,
        tfr=config.tfr,
    )


def _check_decoder_settings(config: NetworkConfig) -> None:
    """UserError for settings of another decoder than the chosen one, which would do nothing."""
    if config.decoder == BRIDGENET:
        if config.decoder_kwargs:
            raise UserError(
                f"network.decoder_kwargs ({', '.join(config.decoder_kwargs)}) are of other decoders than {BRIDGENET}, whose "
                "settings stand beside it: network.embed_dim and so on"
            )
    elif lacking := [name for name in ("tpp", "bfe", "tfr") if not getattr(config, name)]:
        raise UserError(f"network.{lacking[0]} is a part of {BRIDGENET}; the decoder is {config.decoder}")


def build_network(config: NetworkConfig, *, pretrained: bool = False) -> BridgeNet:
    """A network with fresh weights, the backbone's pretrained if asked for; tasks that its description defines become known.

    Args:
        pretrained: take the backbone's weights from timm (Hugging Face hub). From a local file:
            :func:`bridgenet.checkpoints.load_backbone`.

    Raises:
        UserError: the description does not make a network, another task has the name of one that it defines, or the weights
            cannot be had.
    """
    if not config.num_outputs or min(config.num_outputs.values()) < 1:
        raise UserError(f"num_outputs is {config.num_outputs}; give at least one task, each with 1 channel or more")
    for definition in config.task_definitions.values():
        tasks.ensure(tasks.from_dict(definition))

    def make_backbone() -> Backbone:
        return build_backbone(
            config.backbone,
            image_size=config.image_size,
            drop_path=config.drop_path,
            pretrained=pretrained,
            **config.backbone_kwargs,
        )

    _check_decoder_settings(config)
    backbone = make_backbone()
    if config.decoder == BRIDGENET:
        decoder: Any = _decoder(config, backbone)
    elif config.decoder in DECODERS:
        decoder = build_baseline(
            config.decoder, backbone.channels, config.num_outputs, backbone.base_divisor, config.decoder_kwargs
        )
        if config.decoder == "single_task":
            others = list(config.num_outputs)[1:]
            backbone = BackbonePerTask(
                {next(iter(config.num_outputs)): backbone} | {t: make_backbone() for t in others}
            )
    else:
        decoder = own_decoder(config.decoder, backbone.channels, config.num_outputs, config.decoder_kwargs)
    network = BridgeNet(backbone, decoder, Heads(decoder.out_channels, config.num_outputs))
    record(network, config, weights_information(config.backbone) if pretrained else None)
    return network
