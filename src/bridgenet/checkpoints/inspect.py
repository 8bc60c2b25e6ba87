"""Inspection of weight files: they are read once, and no memory is allocated for a network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from bridgenet import config as configuration
from bridgenet import data
from bridgenet.checkpoints import (
    BEST,
    HUB_WEIGHTS,
    LAST,
    custom_modules,
    meta_network,
    open_reference,
    read_own,
    reference_names,
    weights_path,
)
from bridgenet.checkpoints.detection import detect, internimage_size, internimage_style
from bridgenet.checkpoints.files import not_finite, problems, read_config, read_state
from bridgenet.checkpoints.reference import DROPPED, is_reference
from bridgenet.config.resolved import network_size
from bridgenet.config.settings import RunConfig
from bridgenet.errors import UserError
from bridgenet.model.backbones.licences import ANCESTRY
from bridgenet.model.decoders import BRIDGENET
from bridgenet.model.description import NetworkConfig, Part
from bridgenet.trust import trusting

_NOT_PARAMETERS = ("running_mean", "running_var", "num_batches_tracked", "relative_position_index")


@dataclass
class Inspection:
    """What is known about a weight file; None or empty values are not known.

    Attributes:
        file: the weight file.
        kind: in words, e.g. `released BridgeNet`.
        backbone, backbone_settings: its name, and its settings where the name does not determine them.
        decoder: name of a decoder other than `bridgenet`.
        tasks: n_t by task, in task order.
        embed_dim, width: E and C.
        refine_depth: d of each stage.
        image_size: (H, W) [pixels] of training.
        parameters, backbone_parameters: numbers of parameters, without buffers and weights that no computation uses.
        step, epoch, origin, licence: as recorded with the weights.
        initial_weights: name and digest of the weights that the run started from (`init_from`), as recorded.
        backbone_weights, backbone_licence: the backbone's initial weights and their licence, as recorded.
        preset: the preset with this network, if any.
        nearest_preset: otherwise a preset that differs in one or two settings, and the differences.
        problems: a line for each problem.
    """

    file: str
    kind: str
    backbone: str | None = None
    backbone_settings: dict[str, Any] = field(default_factory=dict)
    decoder: str | None = None
    tasks: dict[str, int] = field(default_factory=dict)
    embed_dim: int | None = None
    width: int | None = None
    refine_depth: list[int] = field(default_factory=list)
    image_size: tuple[int, int] | None = None
    parameters: int = 0
    backbone_parameters: int = 0
    step: int | None = None
    epoch: int | None = None
    origin: str | None = None
    licence: str | None = None
    initial_weights: str | None = None
    backbone_weights: str | None = None
    backbone_licence: str | None = None
    preset: str | None = None
    nearest_preset: str | None = None
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        depths = set(self.refine_depth)
        depth = f"d {self.refine_depth[0] if len(depths) == 1 else self.refine_depth}" if depths else ""
        first = [self.kind, self.backbone or "", f"tasks {' '.join(self.tasks)}" if self.tasks else "", depth]
        lines = [", ".join(filter(None, first)) + (f"; preset {self.preset}" if self.preset else "")]
        rows = {
            "file": self.file,
            "backbone settings": ", ".join(f"{key} {value}" for key, value in self.backbone_settings.items()),
            "decoder": self.decoder,
            "outputs": ", ".join(f"{task} {channels}" for task, channels in self.tasks.items()),
            "widths": f"E {self.embed_dim}, C {self.width}" if self.width else "",
            "image size": f"{self.image_size[0]}×{self.image_size[1]} (height×width)" if self.image_size else "",
            "parameters": f"{self.parameters / 1e6:.1f} million"
            + (f", of which backbone {self.backbone_parameters / 1e6:.1f}" if self.tasks else ""),
            "trained": ", ".join(
                f"{name} {value}" for name, value in (("step", self.step), ("epoch", self.epoch)) if value is not None
            ),
            "origin": self.origin,
            "licence of the weights": self.licence,
            "began with": self.initial_weights,
            "backbone began with": self.backbone_weights
            and f"{self.backbone_weights}, licence {self.backbone_licence or 'not known'}",
            "nearest preset": self.nearest_preset,
        }
        lines += [f"  {name:<23}{value}" for name, value in rows.items() if value]
        return "\n".join(lines + [f"! {problem}" for problem in self.problems])


def inspect(source: str | Path, *, config: Mapping[str, Any] | str | Path | None = None) -> Inspection:
    """Inspect a weight file, run folder or hub folder.

    Args:
        source: whatever :func:`bridgenet.load` takes, or a backbone's file.
        config: see :func:`bridgenet.load`; a file or its content.

    Raises:
        UserError: the source cannot be read as weights at all. What does not fit is listed in `problems`.
    """
    with trusting(custom_modules(source)):
        return _inspected(weights_path(source), config)


def _inspected(path: Path, config: Mapping[str, Any] | str | Path | None) -> Inspection:
    given = read_config(config) if isinstance(config, str | Path) else config
    if own := read_own(path, whole=True):
        state, _, network_config, information = own
        kind = {BEST: "best weights of a run", LAST: "last weights of a run", HUB_WEIGHTS: "own weights, as on the hub"}
        found = Inspection(str(path), kind.get(path.name, "own weights"))
        _describe(found, network_config, information)
        _compare(found, network_config, state, path, reference=False)
        return found
    state, content = read_state(path, whole=True)
    if not is_reference(state):
        return _backbone(path, state)
    found = Inspection(str(path), "BridgeNet in the authors' names")
    _count_parameters(found, state)
    try:
        detected = detect(state, path)
    except UserError as error:
        found.problems.append(_without(str(error), path))
        return found
    if "bridgenet" in content:
        found.kind += " (by bridgenet convert)"
    elif detected.published:
        found.kind = "released BridgeNet"
    found.backbone, found.image_size = detected.backbone, detected.image_size
    found.backbone_settings = {} if detected.published else detected.backbone_kwargs
    found.tasks, found.embed_dim, found.width = detected.num_outputs, detected.embed_dim, detected.width
    found.refine_depth = detected.depths
    try:
        state, network_config, information = open_reference(state, content, given, path)
    except UserError as error:
        found.problems.append(_without(str(error), path))
        return found
    _describe(found, network_config, information)
    _compare(found, network_config, state, path, reference=True)
    return found


def _without(text: str, path: Path) -> str:
    return text.removeprefix(str(path)).lstrip(": ").strip()


def _describe(found: Inspection, config: NetworkConfig, information: Mapping[str, Any]) -> None:
    found.backbone, found.backbone_settings = config.backbone.name, config.backbone.arguments
    found.tasks, found.image_size = dict(config.num_outputs), config.image_size
    decoder = config.decoder
    if decoder.name == BRIDGENET:
        found.embed_dim, found.width = decoder["embed_dim"], decoder["embed_dim"] + decoder["extra_channels"]
        depth = decoder["refine_depth"]
        found.refine_depth = [depth] * decoder["num_stages"] if isinstance(depth, int) else list(depth)
    else:
        found.decoder = decoder.name
    for name in ("step", "epoch", *ANCESTRY):
        setattr(found, name, information.get(name))
    name, differences = nearest_preset(config)
    found.preset = None if differences else name
    found.nearest_preset = f"{name}, but {'; '.join(differences)}" if 0 < len(differences) <= 2 else None


def _compare(
    found: Inspection, config: NetworkConfig, state: Mapping[str, Tensor], path: Path, reference: bool
) -> None:
    """Add the weights that do not fit the network to the problems."""
    _count_parameters(found, state)
    if bad := not_finite(state):
        found.problems.append(bad)
    try:
        network = meta_network(config, state, path)
    except UserError as error:
        found.problems.append(_without(str(error), path))
        return
    names = reference_names(network) if reference else {key: key for key in network.state_dict()}
    expected = {names[key]: value for key, value in network.state_dict().items() if key in names}
    misfits = problems(state, expected)
    found.problems += misfits[:20] + ([f"… and {len(misfits) - 20} more"] if len(misfits) > 20 else [])


def _count_parameters(found: Inspection, state: Mapping[str, Tensor]) -> None:
    sizes = {
        key: value.numel()
        for key, value in state.items()
        if not key.endswith(_NOT_PARAMETERS) and not DROPPED.match(key)
    }
    found.parameters = sum(sizes.values())
    found.backbone_parameters = sum(size for key, size in sizes.items() if key.startswith("backbone."))


@cache
def _presets() -> dict[str, RunConfig]:
    return {name: configuration.load(name) for name in configuration.presets()}


def nearest_preset(config: NetworkConfig) -> tuple[str, list[str]]:
    """The preset that is most similar to this network, and the differences, e.g. `refine_depth 6 (preset 18)`."""
    own = _compared(config.num_outputs, config.image_size, config.backbone, config.decoder)
    differences: dict[str, list[str]] = {}
    for name, settings in _presets().items():
        outputs, network = data.info(settings.data.name).num_outputs, settings.network
        preset = _compared(outputs, network_size(settings), network.backbone, network.decoder)
        differences[name] = [
            f"{key} {own[key]} (preset {preset[key]})" for key in own if key in preset and own[key] != preset[key]
        ]
    name = min(differences, key=lambda name: len(differences[name]))
    return name, differences[name]


def _compared(
    num_outputs: Mapping[str, int], image_size: Sequence[int], backbone: Part, decoder: Part
) -> dict[str, Any]:
    """The settings in which a network is compared with presets."""
    options = decoder.complete().arguments
    if isinstance(depth := options.get("refine_depth"), list) and len(set(depth)) == 1:
        options["refine_depth"] = depth[0]
    named = {"backbone": backbone.name, "backbone settings": backbone.arguments, "decoder": decoder.name}
    compared = {key: value for key, value in options.items() if key not in ("squeezes", "base_divisor", "drop_path")}
    return {"tasks": num_outputs, "image_size": tuple(image_size), **named, **compared}


def _backbone(path: Path, state: dict[str, Tensor]) -> Inspection:
    """Inspect a backbone's own file, or an unknown one."""
    state = {key.removeprefix("backbone."): value for key, value in state.items()}
    found = Inspection(str(path), f"unknown weights (first: {', '.join(list(state)[:3])})")
    _count_parameters(found, state)
    if bad := not_finite(state):
        found.problems.append(bad)
    if "patch_embed.conv2.weight" in state and any(".dcn." in key for key in state):
        found.kind = "InternImage backbone in OpenGVLab's names"
        try:
            found.backbone_settings, found.backbone = internimage_size(state)
            found.backbone_settings |= internimage_style(state)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            found.problems.append(f"it is not whole ({error} is missing or of another shape)")
        else:
            if found.backbone is None:
                found.problems.append("no backbone of this project has this size")
    elif "pos_embed" in state and "blocks.0.attn.qkv.weight" in state and state["pos_embed"].dim() == 3:
        found.kind = "ViT backbone in timm's names"
        depth = 1 + max(int(match[1]) for key in state if (match := re.match(r"blocks\.(\d{1,4})\.", key)))
        found.backbone_settings = {"embed_dim": state["pos_embed"].shape[-1], "depth": depth}
        if (patch := state.get("patch_embed.proj.weight")) is not None:
            found.backbone_settings["patch_size"] = patch.shape[-1]
        published = {(768, 12, 16): "vit_base_patch16_384", (1024, 24, 16): "vit_large_patch16_384"}
        found.backbone = published.get(tuple(found.backbone_settings.values()))
    if found.backbone is not None:
        names = [name for name, settings in _presets().items() if settings.network.backbone.name == found.backbone]
        found.preset = " or ".join(names) + " (network.backbone_checkpoint)" if names else None
    return found
