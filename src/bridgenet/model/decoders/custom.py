"""Custom decoders, given by dotted path, and the checks of their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from bridgenet.errors import UserError
from bridgenet.extensions import load_object, made, subclass_of

WHERE = "network.decoder"


def custom_decoder(
    path: str, options: Mapping[str, Any], in_channels: Sequence[int], num_outputs: Mapping[str, int]
) -> nn.Module:
    """Build the decoder that a dotted path names: `Class(in_channels, num_outputs, **options)`.

    Raises:
        UserError: there is no such class, it rejects the arguments, or it has no `out_channels`.
    """
    kind = load_object(path, WHERE, subclass_of(nn.Module, "torch.nn.Module"))
    decoder = made(kind, WHERE, path, list(in_channels), dict(num_outputs), **options)
    if type(getattr(decoder, "out_channels", None)) is not int:
        raise UserError(
            f"{WHERE}: {path} has no attribute out_channels, the width of the features that it gives the heads"
        )
    return decoder


def check_decoded(where: str, found: Any, num_outputs: Mapping[str, int], width: int, batch: int) -> None:
    """UserError unless `found` is a decoder's result: features of `width` by task, and intermediate logits by task."""
    if not isinstance(found, tuple) or len(found) != 2 or not all(isinstance(part, Mapping) for part in found):
        raise UserError(
            f"{where} gives a {type(found).__name__}, expected (features by task, intermediate logits by task)"
        )
    features, intermediate = found
    if set(features) != set(num_outputs):
        raise UserError(f"{where} gives features of {', '.join(map(str, features))}, expected {', '.join(num_outputs)}")
    if intermediate and set(intermediate) != set(num_outputs):
        raise UserError(
            f"{where} gives intermediate logits of {', '.join(map(str, intermediate))}, expected all tasks or none"
        )
    for task, channels in num_outputs.items():
        for what, maps, wanted in (("features", features, width), ("intermediate logits", intermediate, channels)):
            if maps and (maps[task].ndim != 4 or tuple(maps[task].shape[:2]) != (batch, wanted)):
                raise UserError(
                    f"{where} gives {what} of {task} {tuple(maps[task].shape)}, expected ({batch}, {wanted}, h, w)"
                )
