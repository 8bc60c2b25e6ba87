"""Which network weights in the authors' names belong to, detected from their names and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from bridgenet import data, tasks
from bridgenet.checkpoints.files import State
from bridgenet.errors import UserError, nearest
from bridgenet.model.backbones.internimage import SIZES
from bridgenet.model.decoders import BRIDGENET
from bridgenet.model.description import NetworkConfig

# The keys of a golden case's description that define the network; others (statistics, training) are ignored.
_CONFIG_KEYS = (
    "tasks",
    "num_outputs",
    "embed_dim",
    "pred_out_num_constant",
    "refine_depth",
    "dilated_ratio",
    "squeeze_ratio",
    "mtt_resolution_downsample_rate",
    "backbone_kwargs",
    "image_size",
)
_PUBLISHED_INTERNIMAGE = ("internimage_b", "internimage_l")
_PUBLISHED_GRIDS = {28 * 36: (448, 576), 32 * 32: (512, 512)}


@dataclass
class Detected:
    """What the names and shapes of a BridgeNet's weights say about it.

    Attributes:
        num_outputs: n_t by task, in task order.
        embed_dim: E.
        width: C.
        depths: refiner blocks of each stage.
        squeezes: width divided by hidden width of each stage's refiner blocks.
        is_vit: whether the backbone is a ViT; otherwise it is an InternImage.
        backbone: name; `backbone_kwargs` are the settings that the weights show.
        image_size: (H, W) [pixels] of training, where it can be found.
        published: whether it is one of the networks that the authors trained, about which everything is known.
    """

    num_outputs: dict[str, int]
    embed_dim: int
    width: int
    depths: list[int]
    squeezes: list[list[int]]
    is_vit: bool
    backbone: str
    backbone_kwargs: dict[str, Any]
    image_size: tuple[int, int] | None
    published: bool


def detect(state: State, path: Path) -> Detected:
    """Detect a network from weights in the authors' names alone; UserError if they are not a complete BridgeNet."""
    try:
        return _detect(state, path)
    except KeyError as error:
        raise UserError(f"{path} is not a complete BridgeNet checkpoint: {error.args[0]} is missing") from None
    except (IndexError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{path} has weights of shapes that no BridgeNet has ({error})") from None


def _detect(state: State, path: Path) -> Detected:
    num_outputs = {
        match[1]: len(value)
        for key, value in state.items()
        if (match := re.fullmatch(r"heads\.(\w+)\.linear_pred\.weight", key))
    }
    if not num_outputs:
        raise UserError(f"{path}: no heads.<task>.linear_pred.weight: not a BridgeNet checkpoint")
    if unknown := [task for task in num_outputs if task not in tasks.names()]:
        raise UserError(f"{path} has heads of tasks that are not registered: {', '.join(unknown)}")
    order = tasks.in_order(num_outputs)
    embed_dim = len(state[f"multi_task_decoder.preliminary_decoder.{order[0]}.1.conv.weight"])
    width = len(state[f"multi_task_decoder.trfl.mix_proj.{order[0]}.0.weight"])
    depths, squeezes = _refiner_shape(state)
    is_vit = "backbone.pos_embed" in state
    backbone, kwargs, image_size, published = (_vit if is_vit else _internimage)(state)
    return Detected(
        num_outputs={task: num_outputs[task] for task in order},
        embed_dim=embed_dim,
        width=width,
        depths=depths,
        squeezes=squeezes,
        is_vit=is_vit,
        backbone=backbone,
        backbone_kwargs=kwargs,
        image_size=image_size,
        published=published and (embed_dim, width) == (512, 576) and len(set(depths)) == 1,
    )


def detect_network(state: State, given: Mapping[str, Any] | None, path: Path) -> NetworkConfig:
    """Detect the configuration of the network that these weights belong to, from names and shapes.

    Args:
        state: weights in the authors' names.
        given: what the file does not contain (for networks other than the eight published), in the keys of the authors'
            configuration: `backbone_kwargs`, `image_size`, `mtt_resolution_downsample_rate`, `dilated_ratio`.
            What the file does contain may be given too; it must then agree.

    Raises:
        UserError: the weights are not a BridgeNet's, something is missing, or `given` contradicts the file.
    """
    found, given = detect(state, path), dict(given or {})
    kwargs, missing = dict(found.backbone_kwargs), []
    given_kwargs = given.get("backbone_kwargs") or {}
    if not isinstance(given_kwargs, Mapping):
        raise UserError(f"{path}: the given backbone_kwargs is {given_kwargs!r}, expected settings by name")
    if not isinstance(given.get("tasks", []), list | tuple):
        raise UserError(f"{path}: the given tasks is {given['tasks']!r}, expected a list of names")
    if not isinstance(scale := given_kwargs.get("offset_scale", 1.0), int | float):
        raise UserError(f"{path}: the given offset_scale is {scale!r}, expected a number")
    _check_agreement(given_kwargs, kwargs, path)
    base_divisor = 2 if found.is_vit else 1
    if found.published:
        if found.is_vit:
            blocks_read = [kwargs["depth"] * i // 4 for i in (1, 2, 3)]
            known = {"num_heads": kwargs["embed_dim"] // 64, "select_list": blocks_read}
        else:
            known = {"offset_scale": SIZES[found.backbone]["offset_scale"]}
        _check_agreement(given_kwargs, known, path)
        _check_agreement(given, {"mtt_resolution_downsample_rate": base_divisor}, path)
        kwargs = {}  # the name says it all
    else:
        for name in ("num_heads", "select_list") if found.is_vit else ("offset_scale",):
            if name in given_kwargs:
                kwargs["blocks_read" if name == "select_list" else name] = given_kwargs[name]
            else:
                missing.append(f"backbone_kwargs.{name}")
        missing += [key for key in ("mtt_resolution_downsample_rate", "dilated_ratio") if key not in given]
    image_size = given.get("image_size", found.image_size)
    if image_size is None:
        missing.append("image_size")
    if missing or image_size is None:
        unused = [key for key in given if key not in _CONFIG_KEYS]
        hints = "".join(f"; '{key}' is not a key{nearest(key, _CONFIG_KEYS)}" for key in unused)
        raise UserError(
            f"{path} is not one of the published networks, and its weights do not show: {', '.join(missing)}. "
            f"Give them with --config FILE (in Python: config=) to bridgenet predict, inspect, or once and for all convert{hints}"
        )
    if not (isinstance(image_size, list | tuple) and [type(side) for side in image_size] == [int, int]):
        raise UserError(f"{path}: the given image_size is {image_size!r}, expected [height, width]")

    order = list(found.num_outputs)
    _check_agreement(
        given,
        {
            "num_outputs": found.num_outputs,
            "embed_dim": found.embed_dim,
            "pred_out_num_constant": found.width - found.embed_dim,
            "refine_depth": found.depths,
            "squeeze_ratio": found.squeezes,
            **({"tasks": order} if "tasks" in given else {}),
        },
        path,
    )
    dataset = next(
        (name for name in data.DATASETS if found.num_outputs.items() <= data.info(name).num_outputs.items()), None
    )
    names = data.info(dataset).class_names if dataset else {}
    decoder = {
        "name": BRIDGENET,
        "embed_dim": found.embed_dim,
        "extra_channels": found.width - found.embed_dim,
        "refine_depth": found.depths,
        "dilations": given.get("dilated_ratio") or [1, 2, 5],
        "squeezes": found.squeezes,
        "base_divisor": given.get("mtt_resolution_downsample_rate") or base_divisor,
        "drop_path": 0.0,  # of training, which the file does not contain
    }
    description = {
        "num_outputs": found.num_outputs,
        "backbone": {"name": found.backbone, **kwargs},
        "image_size": image_size,
        "decoder": decoder,
        "class_names": {task: list(names[task]) for task in order if task in names},
        "class_values": {task: data.info(dataset).stored_values(task) for task in order if dataset and task in names},
        "dataset": dataset,
    }
    try:
        return NetworkConfig.from_dict(description)
    except UserError as error:
        raise UserError(f"{path}: with the given configuration {error}") from None


def _check_agreement(given: Mapping[str, Any], detected: Mapping[str, Any], path: Path) -> None:
    """Raise UserError if what was given contradicts what was detected."""
    for key, value in detected.items():
        if key not in given:
            continue
        other = given[key]
        if isinstance(other, list | tuple):
            other, value = list(other), list(value) if isinstance(value, list | tuple) else value
        same = set(other) == set(value) if key == "tasks" else other == value
        if key == "refine_depth" and isinstance(other, int):
            same = all(depth == other for depth in value)
        if not same:
            raise UserError(f"{path}: the weights have {key} {value}, but the given configuration says {other}")


def _refiner_shape(state: State) -> tuple[list[int], list[list[int]]]:
    """Depth d of each stage, and every block's width divided by its hidden width."""
    squeezes: list[dict[int, int]] = [{}, {}, {}]
    pattern = re.compile(
        r"multi_task_decoder\.trfl\.trfl_stages\.(\d)\.reconv\.re_blocks\.(\d+)\.0\.conv_layer\.0\.weight"
    )
    for key, value in state.items():
        if match := pattern.fullmatch(key):
            squeezes[int(match[1])][int(match[2])] = value.shape[1] // 2 // value.shape[0]
    lists = [[stage[j] for j in sorted(stage)] for stage in squeezes]
    return [len(stage) for stage in lists], lists


Backbone = tuple[str, dict[str, Any], tuple[int, int] | None, bool]
"""Name, the settings that the weights show, the image size or None, and whether it is a published backbone."""


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """The number of blocks; KeyError for a gap in their numbers."""
    numbers = {int(match[1]) for key in state if (match := re.match(pattern, key))}
    for number in range(len(numbers)):
        if number not in numbers:
            raise KeyError(pattern.replace(r"(\d+)", str(number)).replace("\\", ""))
    return len(numbers)


def _vit(state: State) -> Backbone:
    _, tokens, width = state["backbone.pos_embed"].shape
    depth = _count(state, r"backbone\.blocks\.(\d+)\.")
    patch = state["backbone.patch_embed.proj.weight"].shape[-1]
    mlp_ratio = len(state["backbone.blocks.0.mlp.fc1.weight"]) / width
    kwargs = {"embed_dim": width, "depth": depth, "patch_size": patch, "mlp_ratio": mlp_ratio}
    for name, published in (("vit_base_patch16_384", (768, 12)), ("vit_large_patch16_384", (1024, 24))):
        if (width, depth) == published:
            return name, kwargs, _PUBLISHED_GRIDS.get(tokens - 1), True
    return "vit_base_patch16_384", kwargs, None, False


def _internimage(state: State) -> Backbone:
    kwargs, name = internimage_size(state, "backbone.")
    style = internimage_style(state, "backbone.")
    kwargs |= style
    if name in _PUBLISHED_INTERNIMAGE and not style:
        has_parts = any(key.startswith("heads.human_parts") for key in state)
        return name, kwargs, (512, 512) if has_parts else (448, 576), True
    return "internimage_b", kwargs, None, False


def internimage_size(state: Mapping[str, Tensor], prefix: str = "") -> tuple[dict[str, Any], str | None]:
    """Channels, depths and groups of an InternImage in OpenGVLab's names, and its name if it is one of :data:`SIZES`.

    Raises:
        KeyError: weights are missing.
    """
    channels = len(state[f"{prefix}patch_embed.conv2.weight"])
    start = re.escape(prefix)
    levels = _count(state, rf"{start}levels\.(\d+)\.")
    depths = [_count(state, rf"{start}levels\.{i}\.blocks\.(\d+)\.") for i in range(levels)]
    groups = [len(state[f"{prefix}levels.{i}.blocks.0.dcn.mask.weight"]) // 9 for i in range(levels)]
    found = (channels, tuple(depths), tuple(groups))
    name = next((n for n, s in SIZES.items() if found == (s["channels"], s["depths"], s["groups"])), None)
    return {"channels": channels, "depths": depths, "groups": groups}, name


def internimage_style(state: Mapping[str, Tensor], prefix: str = "") -> dict[str, Any]:
    """`layer_scale` and `post_norm` of an InternImage in OpenGVLab's names, where they differ from the published B and L.

    A level of pre-norm blocks ends with one more norm, whose weights show the style.
    """
    style: dict[str, Any] = {}
    if f"{prefix}levels.0.blocks.0.gamma1" not in state:
        style["layer_scale"] = False
    if f"{prefix}levels.0.norm.0.weight" in state:
        style["post_norm"] = False
    return style
