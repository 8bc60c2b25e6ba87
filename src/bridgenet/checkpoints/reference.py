"""The authors' names of weights, and how ours map to them. :mod:`detection` says which network such weights belong to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

# Our names → theirs. {n}: the task's position in the task order, where the authors number instead of naming tasks.
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
"""Weights of the authors' files that no computation uses."""


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
    """The authors' name of one of this project's weights; `order` is the task order. KeyError if they have no name for it."""
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
