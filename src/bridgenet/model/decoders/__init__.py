"""Decoders: backbone maps in, per-task features and intermediate logits out. One folder or file each.

`bridgenet` is the paper's; `multi_task`, `single_task` and `dpt` are what it is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from bridgenet.errors import UserError

BRIDGENET = "bridgenet"
BASELINES = ("multi_task", "single_task", "dpt")
DECODERS = (BRIDGENET, *BASELINES)


def build_baseline(
    name: str,
    in_channels: Sequence[int],
    num_outputs: Mapping[str, int],
    base_divisor: int,
    settings: Mapping[str, Any],
) -> nn.Module:
    """A decoder that BridgeNet is compared with.

    Args:
        name: of :data:`BASELINES`.
        in_channels: of the backbone's four maps, fine to coarse; of `single_task` those of one task's backbone.
        num_outputs: channels of each task's logits, in task order.
        base_divisor: of the backbone.
        settings: `width` of the features.

    Raises:
        UserError: another setting, or a width that is not a positive multiple of 8.
    """
    if unknown := set(settings) - {"width"}:
        raise UserError(f"network.decoder_kwargs: {name} has no setting {sorted(unknown)[0]} (settings: width)")
    width = settings.get("width", 256)
    if type(width) is not int or width < 8 or width % 8:
        raise UserError(f"network.decoder_kwargs: width is {width!r}, expected a positive multiple of 8")
    from bridgenet.model.decoders.dpt import DPTDecoder
    from bridgenet.model.decoders.multi_task import MultiTaskDecoder, SingleTaskDecoder

    kinds = {"multi_task": MultiTaskDecoder, "single_task": SingleTaskDecoder, "dpt": DPTDecoder}
    return kinds[name](in_channels, num_outputs, width=width, base_divisor=base_divisor)
