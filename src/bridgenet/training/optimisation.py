"""Optimisers of the published recipes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bridgenet.errors import UserError, nearest

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
FUSED_DEVICES = ("cpu", "cuda")


def make_optimizer(
    network: nn.Module, *, name: str, layer_decay: float = 1.0, **settings: Any
) -> torch.optim.Optimizer:
    """Create an optimiser of all trainable parameters, fused where PyTorch has a fused kernel for their device.

    Settings that are not given have PyTorch's defaults. Parameters must be on their device already.

    Args:
        layer_decay: with 1 there is one parameter group, as published. Below 1 each layer of the backbone is a group whose
            learning rate is that of the layer above it times this factor; the layer above the last one is the decoder.
            Decoder and heads are the first group, at the full rate.

    Raises:
        UserError: the name is unknown, or the backbone does not define its layers, which layer decay needs.
    """
    if name not in OPTIMIZERS:
        raise UserError(
            f"optimizer.name: '{name}' is not an optimiser{nearest(name, OPTIMIZERS)} ({', '.join(OPTIMIZERS)})"
        )
    parameters = [p for p in network.parameters() if p.requires_grad]
    settings.setdefault("fused", all(p.device.type in FUSED_DEVICES for p in parameters))
    if layer_decay == 1.0:
        return OPTIMIZERS[name](parameters, **settings)
    groups = [
        {"params": members, "lr": settings["lr"] * layer_decay**above}
        for above, members in _by_layers_above(network).items()
    ]
    return OPTIMIZERS[name](groups, **settings)


def _by_layers_above(network: Any) -> dict[int, list[nn.Parameter]]:
    """Trainable parameters by the number of layers above their own; decoder and heads (0) come first."""
    layers = network.backbone.layers()
    last = max(layers.values())
    above: dict[int, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        is_backbone = name.startswith("backbone.")
        count = last + 1 - layers[name.removeprefix("backbone.")] if is_backbone else 0
        if parameter.requires_grad:
            above.setdefault(count, []).append(parameter)
    return dict(sorted(above.items()))
