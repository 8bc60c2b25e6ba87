"""Backbones and decoders of one's own, by dotted path: made, and tried on small maps before anything is trained."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bridgenet.errors import UserError, nearest
from bridgenet.extensions import in_words, load_object, subclass_of
from bridgenet.model.backbones.base import Backbone
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.decoders import DECODERS
from bridgenet.model.records import record_of

NUM_MAPS = 4
BATCH = 2
"""Images that parts are tried on."""


def own_decoder(
    path: str, in_channels: Sequence[int], num_outputs: Mapping[str, int], settings: Mapping[str, Any]
) -> nn.Module:
    """The decoder that a dotted path names: `Class(in_channels, num_outputs, **settings)`.

    Raises:
        UserError: there is no such class, it does not take that, or has no `out_channels`.
    """
    where = "network.decoder"
    if ":" not in path and "." not in path:
        raise UserError(
            f"{where}: '{path}' is not a decoder{nearest(path, DECODERS)} ({', '.join(DECODERS)}, or package.module:Class)"
        )
    decoder = _made(
        load_object(path, where, subclass_of(nn.Module, "torch.nn.Module")),
        where,
        path,
        list(in_channels),
        dict(num_outputs),
        **settings,
    )
    if type(getattr(decoder, "out_channels", None)) is not int:
        raise UserError(
            f"{where}: {path} has no attribute out_channels, the width of the features that it gives the heads"
        )
    return decoder


def own_backbone(path: str, settings: Mapping[str, Any], offered: Mapping[str, Any]) -> Backbone:
    """The backbone that a dotted path names, made with `settings`, and with those of `offered` that it takes.

    Raises:
        UserError: there is no such class, it does not take that, or does not say its channels.
    """
    where = "network.backbone"
    kind = load_object(path, where, subclass_of(Backbone, "bridgenet.Backbone"))
    taken = {name: value for name, value in offered.items() if name in inspect.signature(kind).parameters}
    backbone = _made(kind, where, path, **(taken | dict(settings)))
    channels = getattr(backbone, "channels", None)
    if not isinstance(channels, list | tuple) or len(channels) != NUM_MAPS:
        raise UserError(f"{where}: {path} has channels {channels}, expected those of its four maps, fine to coarse")
    for name in ("size_divisor", "base_divisor"):
        if type(getattr(backbone, name, None)) is not int:
            raise UserError(f"{where}: {path} has no whole number {name}; see bridgenet.Backbone")
    return backbone


def _made(kind: Any, where: str, path: str, /, *arguments: Any, **settings: Any) -> Any:
    try:
        return kind(*arguments, **settings)
    except UserError:
        raise
    except Exception as error:  # whatever the user's code raises
        raise UserError(f"{where}: {path} cannot be made: {in_words(error)}") from error


@torch.no_grad()
def try_own_parts(network: BridgeNet) -> None:
    """Run a network with parts of one's own on two small images; UserError that tells what they give instead of what they should."""
    known = record_of(network)
    if known is None or not {"network.decoder", "network.backbone"} & set(known.config.own_parts()):
        return
    was_training, divisor = network.training, network.backbone.size_divisor
    side = -(-64 // divisor) * divisor
    network.eval()
    where = f"network.backbone: {known.config.backbone}"
    try:
        maps = network.backbone(torch.zeros(BATCH, 3, side, side, device=next(network.parameters()).device))
        _check_maps(where, maps, network.backbone.channels)
        where = f"network.decoder: {known.config.decoder}"
        found = network.decoder(maps)
        _check_decoded(where, found, network)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{where} fails on images of {side}×{side}: {in_words(error)}") from error
    finally:
        network.train(was_training)


def _check_maps(where: str, maps: Any, channels: Sequence[int]) -> None:
    if not isinstance(maps, list | tuple) or not all(isinstance(x, Tensor) and x.ndim == 4 for x in maps):
        raise UserError(f"{where} gives a {type(maps).__name__}, expected a list of four maps (B, C, h, w)")
    if (found := [x.shape[1] for x in maps]) != list(channels):
        raise UserError(f"{where} gives maps of {found} channels, but says {list(channels)}")


def _check_decoded(where: str, found: Any, network: BridgeNet) -> None:
    if not isinstance(found, tuple) or len(found) != 2 or not all(isinstance(part, Mapping) for part in found):
        raise UserError(
            f"{where} gives a {type(found).__name__}, expected (features by task, intermediate logits by task)"
        )
    features, intermediate = found
    tasks, width = network.tasks, network.decoder.out_channels
    if set(features) != set(tasks):
        raise UserError(f"{where} gives features of {', '.join(map(str, features))}, expected {', '.join(tasks)}")
    if intermediate and set(intermediate) != set(tasks):
        raise UserError(
            f"{where} gives intermediate logits of {', '.join(map(str, intermediate))}, expected all tasks or none"
        )
    for task, channels in tasks.items():
        for what, maps, wanted in (("features", features, width), ("intermediate logits", intermediate, channels)):
            if maps and (maps[task].ndim != 4 or tuple(maps[task].shape[:2]) != (BATCH, wanted)):
                raise UserError(
                    f"{where} gives {what} of {task} {tuple(maps[task].shape)}, expected ({BATCH}, {wanted}, h, w)"
                )
