"""Checkpoints in the authors' names: how names map to ours, and how the network is told from the weights alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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

# Ours → theirs. {n}: the task's position in the task order, where the authors number instead of naming tasks.
_DECODER = [
    (r"decoder\.laterals\.0\.", r"multi_task_decoder.scale_embed.2."),
    (r"decoder\.laterals\.1\.", r"multi_task_decoder.scale_embed.1."),
    (r"decoder\.tpp\.preliminary\.(\w+)\.(\d)\.conv\.", r"multi_task_decoder.preliminary_decoder.\1.\2.conv."),
    (r"decoder\.tpp\.preliminary\.(\w+)\.(\d)\.bn\.", r"multi_task_decoder.preliminary_decoder.\1.\2.bn1."),
    (r"decoder\.tpp\.production\.(\w+)\.norm\.", r"multi_task_decoder.atten_production.\1.norm1."),
    (
        r"decoder\.tpp\.production\.(\w+)\.query\.(conv|bn)\.",
        r"multi_task_decoder.atten_production.\1.attn_production.conv_proj_q.\2.",
    ),
    (
        r"decoder\.tpp\.production\.(\w+)\.query\.linear\.",
        r"multi_task_decoder.atten_production.\1.attn_production.proj_q.",
    ),
    (
        r"decoder\.tpp\.production\.(\w+)\.(k|v)(?:ey|alue)\.",
        r"multi_task_decoder.atten_production.\1.attn_production.proj_\2.",
    ),
    (r"decoder\.tpp\.fusion\.(\w+)\.fuse\.", r"multi_task_decoder.atten_fusion.\1.attn_fusion.fuse_attn."),
    (r"decoder\.tpp\.fusion\.(\w+)\.projection\.", r"multi_task_decoder.atten_fusion.\1.attn_fusion.proj."),
    (r"decoder\.tpp\.fusion\.(\w+)\.norm\.", r"multi_task_decoder.atten_fusion.\1.norm2."),
    (r"decoder\.tpp\.fusion\.(\w+)\.mlp\.", r"multi_task_decoder.atten_fusion.\1.mlp."),
    (r"decoder\.tpp\.intermediate_heads\.(\w+)\.", r"multi_task_decoder.intermediate_head.\1."),
    (r"decoder\.tpp\.mix\.(\w+)\.", r"multi_task_decoder.trfl.mix_proj.\1.0."),
    (r"decoder\.projections\.(\w+)\.conv\.", r"multi_task_decoder.trfl.mt_proj.\1.0."),
    (r"decoder\.projections\.(\w+)\.bn\.", r"multi_task_decoder.trfl.mt_proj.\1.1."),
    (r"decoder\.stages\.(\d)\.norm\.", r"multi_task_decoder.trfl.norm_mts.\1."),
    (r"decoder\.stages\.(\d)\.project\.(\w+)\.", r"multi_task_decoder.trfl.redu_chan.\1.{n}."),
    (r"heads\.(\w+)\.", r"heads.\1.linear_pred."),
]
_STAGE = [
    (r"up\.(\w+)\.conv1\.conv\.", r"patch_embed.{n}.proj.1."),
    (r"up\.(\w+)\.conv1\.bn\.", r"patch_embed.{n}.proj.2."),
    (r"up\.(\w+)\.conv2\.conv\.", r"patch_embed.{n}.proj.4."),
    (r"up\.(\w+)\.conv2\.bn\.", r"patch_embed.{n}.proj.5."),
    (r"bfe\.side\.conv\.", r"back_feature_embed.0."),
    (r"bfe\.side\.bn\.", r"back_feature_embed.1."),
    (r"bfe\.task_norm\.", r"blocks.0.norm1."),
    (r"bfe\.query\.(conv|bn)\.", r"blocks.0.attn.conv_proj_q.\1."),
    (r"bfe\.query\.linear\.", r"blocks.0.attn.proj_q."),
    (r"bfe\.(k|v)(?:ey|alue)\.", r"blocks.0.attn.proj_\1."),
    (r"bfe\.projection\.", r"blocks.0.attn.proj."),
    (r"bfe\.restore\.", r"blocks.0.attn.restore_proj_q.conv."),
    (r"bfe\.norm\.", r"blocks.0.norm2."),
    (r"bfe\.mlp\.", r"blocks.0.mlp."),
    (r"bfe\.carry\.", r"reduce_channel."),
    (r"tfr\.chains\.(\w+)\.(\d+)\.reduce\.", r"reconv.re_blocks.\2.{n}.conv_layer.0."),
    (r"tfr\.chains\.(\w+)\.(\d+)\.bn1\.", r"reconv.re_blocks.\2.{n}.conv_layer.1."),
    (r"tfr\.chains\.(\w+)\.(\d+)\.depthwise\.", r"reconv.re_blocks.\2.{n}.conv_layer.3."),
    (r"tfr\.chains\.(\w+)\.(\d+)\.bn2\.", r"reconv.re_blocks.\2.{n}.conv_layer.4."),
    (r"tfr\.chains\.(\w+)\.(\d+)\.expand\.", r"reconv.re_blocks.\2.{n}.conv_layer.6."),
]
_INTERNIMAGE = [
    (r"stem\.(conv\d)\.", r"patch_embed.\1."),
    (r"stem\.(norm\d)\.", r"patch_embed.\1.1."),
    (r"(levels\.\d\.blocks\.\d+\.norm\d)\.", r"\1.0."),
    (r"(levels\.\d\.blocks\.\d+\.dcn)\.value\.", r"\1.input_proj."),
    (r"(levels\.\d\.blocks\.\d+\.dcn)\.depthwise\.", r"\1.dw_conv.0."),
    (r"(levels\.\d\.blocks\.\d+\.dcn)\.norm\.", r"\1.dw_conv.1.1."),
    (r"(levels\.\d\.blocks\.\d+\.dcn)\.output\.", r"\1.output_proj."),
    (r"(levels\.\d\.downsample\.norm)\.", r"\1.1."),
    (r"(levels\.\d\.norm)\.", r"\1.0."),
]
_STAGE_PREFIX = re.compile(r"decoder\.stages\.(\d)\.(up|bfe|tfr)\.")

DROPPED = re.compile(
    r"multi_task_decoder\.scale_embed\.0\.|multi_task_decoder\.trfl\.norm_mt\.|"
    r"multi_task_decoder\.trfl\.redu_chan\.0\.|.*num_batches_tracked$"
)
"""Weights of the authors' files that no computation reads."""


def _rename(key: str, rules: Sequence[tuple[str, str]], order: Sequence[str]) -> str | None:
    for pattern, replacement in rules:
        if match := re.match(pattern, key):
            number = order.index(match[1]) if "{n}" in replacement and match[1] in order else None
            if "{n}" in replacement and number is None:
                number = order.index(match[2])
            return match.expand(replacement.replace("{n}", str(number))) + key[match.end() :]
    return None


def backbone_name(key: str) -> str:
    """The authors' (OpenGVLab's, timm's) name of a backbone weight, from ours below `backbone.`."""
    return _rename(key, _INTERNIMAGE, ()) or key.removeprefix("model.")


def reference_name(key: str, order: Sequence[str]) -> str:
    """The authors' name of a weight of ours; `order` is the task order. KeyError for what they have no name for."""
    if key.startswith("backbone."):
        return "backbone." + backbone_name(key.removeprefix("backbone."))
    if stage := _STAGE_PREFIX.match(key):
        renamed = _rename(key.removeprefix(f"decoder.stages.{stage[1]}."), _STAGE, order)
        if renamed is not None:
            return f"multi_task_decoder.trfl.trfl_stages.{stage[1]}.{renamed}"
    elif (renamed := _rename(key, _DECODER, order)) is not None:
        return renamed
    raise KeyError(key)


def is_reference(state: Mapping[str, Any]) -> bool:
    """Whether these are weights in the authors' names."""
    return any(key.startswith("multi_task_decoder.") for key in state)


# The keys of a golden case's description that say what the network is; others (statistics, training) are not looked at.
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
class Told:
    """What the names and shapes of a BridgeNet's weights tell of it.

    Attributes:
        num_outputs: n_t by task, in task order.
        embed_dim: E.
        width: C.
        depths: refiner blocks of each stage.
        squeezes: width over hidden width of each stage's refiner blocks.
        is_vit: a ViT, else an InternImage.
        backbone: a name, and with the settings `backbone_kwargs` what it is.
        image_size: (H, W) [pixels] of training, where it can be told.
        published: one of the networks that the authors trained, so that everything is known.
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


def tell(state: State, path: Path) -> Told:
    """What weights in the authors' names tell by themselves; UserError if they are no whole BridgeNet."""
    try:
        return _tell(state, path)
    except KeyError as error:
        raise UserError(f"{path} is not a whole BridgeNet checkpoint: {error.args[0]} is missing") from None
    except (IndexError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{path} has weights of shapes that no BridgeNet has ({error})") from None


def _tell(state: State, path: Path) -> Told:
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
    return Told(
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
    """The configuration of the network that these weights belong to, told from names and shapes.

    Args:
        state: weights in the authors' names.
        given: what the file cannot tell (networks other than the eight published), in the keys of the authors'
            configuration: `backbone_kwargs`, `image_size`, `mtt_resolution_downsample_rate`, `dilated_ratio`.
            What the file does tell may be there too; it must then agree.

    Raises:
        UserError: not a BridgeNet, something is missing, or `given` contradicts the file.
    """
    told, given = tell(state, path), dict(given or {})
    kwargs, missing = dict(told.backbone_kwargs), []
    given_kwargs = given.get("backbone_kwargs") or {}
    if not isinstance(given_kwargs, Mapping):
        raise UserError(f"{path}: the given backbone_kwargs is {given_kwargs!r}, expected settings by name")
    if not isinstance(given.get("tasks", []), list | tuple):
        raise UserError(f"{path}: the given tasks is {given['tasks']!r}, expected a list of names")
    if not isinstance(scale := given_kwargs.get("offset_scale", 1.0), int | float):
        raise UserError(f"{path}: the given offset_scale is {scale!r}, expected a number")
    _check_agreement(given_kwargs, kwargs, path)
    base_divisor = 2 if told.is_vit else 1
    if told.published:
        known = _known_of_vit(kwargs) if told.is_vit else {"offset_scale": SIZES[told.backbone]["offset_scale"]}
        _check_agreement(given_kwargs, known, path)
        _check_agreement(given, {"mtt_resolution_downsample_rate": base_divisor}, path)
        kwargs = {}  # the name says it all
    else:
        for name in ("num_heads", "select_list") if told.is_vit else ("offset_scale",):
            if name in given_kwargs:
                kwargs["blocks_read" if name == "select_list" else name] = given_kwargs[name]
            else:
                missing.append(f"backbone_kwargs.{name}")
        missing += [key for key in ("mtt_resolution_downsample_rate", "dilated_ratio") if key not in given]
    image_size = given.get("image_size", told.image_size)
    if image_size is None:
        missing.append("image_size")
    if missing or image_size is None:
        unused = [key for key in given if key not in _CONFIG_KEYS]
        hints = "".join(f"; '{key}' is not a key{nearest(key, _CONFIG_KEYS)}" for key in unused)
        raise UserError(
            f"{path} is not one of the published networks, and its weights cannot tell: {', '.join(missing)}. "
            f"Give them with --config FILE (in Python: config=) to bridgenet predict, inspect, or once and for all convert{hints}"
        )
    if not (isinstance(image_size, list | tuple) and [type(side) for side in image_size] == [int, int]):
        raise UserError(f"{path}: the given image_size is {image_size!r}, expected [height, width]")

    order = list(told.num_outputs)
    _check_agreement(
        given,
        {
            "num_outputs": told.num_outputs,
            "embed_dim": told.embed_dim,
            "pred_out_num_constant": told.width - told.embed_dim,
            "refine_depth": told.depths,
            "squeeze_ratio": told.squeezes,
            **({"tasks": order} if "tasks" in given else {}),
        },
        path,
    )
    dataset = next(
        (name for name in data.DATASETS if told.num_outputs.items() <= data.info(name).num_outputs.items()), None
    )
    names = data.info(dataset).class_names if dataset else {}
    decoder = {
        "name": BRIDGENET,
        "embed_dim": told.embed_dim,
        "extra_channels": told.width - told.embed_dim,
        "refine_depth": told.depths,
        "dilations": given.get("dilated_ratio") or [1, 2, 5],
        "squeezes": told.squeezes,
        "base_divisor": given.get("mtt_resolution_downsample_rate") or base_divisor,
        "drop_path": 0.0,  # of training, which the file does not tell
    }
    description = {
        "num_outputs": told.num_outputs,
        "backbone": {"name": told.backbone, **kwargs},
        "image_size": image_size,
        "decoder": decoder,
        "class_names": {task: list(names[task]) for task in order if task in names},
        "dataset": dataset,
    }
    try:
        return NetworkConfig.from_dict(description)
    except UserError as error:
        raise UserError(f"{path}: with the given configuration {error}") from None


def _check_agreement(given: Mapping[str, Any], told: Mapping[str, Any], path: Path) -> None:
    """Raise UserError if what was given contradicts what the file tells."""
    for key, value in told.items():
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
    """Depth d of each stage and every block's width over hidden width."""
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
"""Name, settings as far as the weights tell them, image size if they do, and whether it is a published one."""


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many blocks there are; KeyError for a gap between them."""
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


def _known_of_vit(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from a published ViT's width and depth."""
    return {"num_heads": kwargs["embed_dim"] // 64, "select_list": [kwargs["depth"] * i // 4 for i in (1, 2, 3)]}


def _internimage(state: State) -> Backbone:
    kwargs, name = internimage_size(state, "backbone.")
    style = internimage_style(state, "backbone.")
    kwargs |= style
    if name in _PUBLISHED_INTERNIMAGE and not style:
        has_parts = any(key.startswith("heads.human_parts") for key in state)
        return name, kwargs, (512, 512) if has_parts else (448, 576), True
    return "internimage_b", kwargs, None, False


def internimage_size(state: Mapping[str, Tensor], prefix: str = "") -> tuple[dict[str, Any], str | None]:
    """Channels, depths and groups of an InternImage in OpenGVLab's names, and its name if it is one of ours.

    KeyError for what is missing.
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
    """`layer_scale` and `post_norm` of an InternImage in OpenGVLab's names, where they are not as published for B and L.

    Blocks whose norms come first need one more at the level's end, so that its weights tell them.
    """
    style: dict[str, Any] = {}
    if f"{prefix}levels.0.blocks.0.gamma1" not in state:
        style["layer_scale"] = False
    if f"{prefix}levels.0.norm.0.weight" in state:
        style["post_norm"] = False
    return style
