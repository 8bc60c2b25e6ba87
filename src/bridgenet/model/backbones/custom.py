"""Custom backbones, given by dotted path, and the checks of their results."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from bridgenet.errors import UserError
from bridgenet.extensions import load_object, made, subclass_of
from bridgenet.model.backbones.base import Backbone

WHERE = "network.backbone"
NUM_MAPS = 4


def custom_backbone(path: str, settings: Mapping[str, Any], offered: Mapping[str, Any]) -> Backbone:
    """Build the backbone that a dotted path names, with `settings` and the accepted ones of `offered`.

    Raises:
        UserError: there is no such class, it rejects the settings, or it does not define its channels.
    """
    kind = load_object(path, WHERE, subclass_of(Backbone, "bridgenet.Backbone"))
    taken = {name: value for name, value in offered.items() if name in inspect.signature(kind).parameters}
    backbone = made(kind, WHERE, path, **(taken | dict(settings)))
    channels = getattr(backbone, "channels", None)
    if not isinstance(channels, list | tuple) or len(channels) != NUM_MAPS:
        raise UserError(f"{WHERE}: {path} has channels {channels}, expected those of its four maps, fine to coarse")
    for name in ("size_divisor", "base_divisor"):
        if type(getattr(backbone, name, None)) is not int:
            raise UserError(f"{WHERE}: {path} has no whole number {name}; see bridgenet.Backbone")
    return backbone


def check_maps(where: str, maps: Any, channels: Sequence[int]) -> None:
    """UserError unless `maps` are valid results of a backbone."""
    if not isinstance(maps, list | tuple) or not all(isinstance(x, Tensor) and x.ndim == 4 for x in maps):
        raise UserError(f"{where} gives a {type(maps).__name__}, expected a list of four maps (B, C, h, w)")
    if (found := [x.shape[1] for x in maps]) != list(channels):
        raise UserError(f"{where} gives maps of {found} channels, but says {list(channels)}")
