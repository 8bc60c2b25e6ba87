"""Decoders: backbone maps in, per-task features and intermediate logits out. One folder or file each.

`bridgenet` is the paper's; `multi_task`, `single_task` and `dpt` are baselines. A decoder is a class

    Decoder(in_channels, num_outputs, *, base_divisor=…, **options)

whose arguments are the channels of the backbone's four maps, fine to coarse, the channels of each task's logits, in task
order, and r of the backbone. Arguments with a default are its options in configurations and descriptions.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from bridgenet.errors import UserError, nearest
from bridgenet.system.validation import arguments_of, lines, validated

BRIDGENET = "bridgenet"
DECODERS = {
    BRIDGENET: "bridgenet.model.decoders.bridgenet:BridgeNetDecoder",
    "multi_task": "bridgenet.model.decoders.multi_task:MultiTaskDecoder",
    "single_task": "bridgenet.model.decoders.multi_task:SingleTaskDecoder",
    "dpt": "bridgenet.model.decoders.dpt:DPTDecoder",
}
"""The class of each decoder, imported on demand."""


def is_custom(name: str) -> bool:
    """Whether a name is the dotted path of a custom class instead of one of :data:`DECODERS`."""
    return name not in DECODERS and (":" in name or "." in name)


@functools.cache
def decoder_class(name: str) -> Any:
    """The class of one of :data:`DECODERS`."""
    module, _, attribute = DECODERS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


@functools.cache
def _options(name: str) -> type:
    return arguments_of(decoder_class(name))


def default_options(name: str) -> dict[str, Any]:
    """All options of one of :data:`DECODERS` with their defaults, as JSON types."""
    options = dataclasses.asdict(_options(name)())
    return {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}


def wrong_options(name: str, options: Mapping[str, Any]) -> list[str]:
    """Check the name of a decoder and its options, and return a line for each problem; custom decoders are not checked."""
    if name in DECODERS:
        return validated(_options(name), options, "network.decoder.")[1] if options else []
    if is_custom(name):
        return []
    known = f"{', '.join(DECODERS)}, or package.module:Class"
    return [f"network.decoder: '{name}' is not a decoder{nearest(name, DECODERS)} ({known})"]


def build_decoder(
    name: str,
    options: Mapping[str, Any],
    in_channels: Sequence[int],
    num_outputs: Mapping[str, int],
    base_divisor: int,
) -> Any:
    """Build one of :data:`DECODERS`.

    Args:
        options: arguments of its constructor; without `base_divisor`, or with None, it is the backbone's.
        in_channels: channels of the backbone's four maps, fine to coarse; for `single_task`, of one task's backbone.
        num_outputs: channels of each task's logits, in task order.
        base_divisor: r of the backbone.

    Raises:
        UserError: lists all problems of the name and the options.
    """
    if problems := wrong_options(name, options):
        raise UserError(lines(problems))
    chosen = {key: value for key, value in options.items() if value is not None}
    return decoder_class(name)(in_channels, num_outputs, **({"base_divisor": base_divisor} | chosen))
