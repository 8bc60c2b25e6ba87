"""A network made ready for inference: the same network, its weights brought into the form that computes fastest.

What is exchanged for it stands in :mod:`bridgenet.model.fast`; see also `docs/performance.md`.
"""

from __future__ import annotations

import threading
from typing import Any, Literal, cast

import timm.layers
import torch

from bridgenet.errors import UserError
from bridgenet.extensions import is_foreign
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.fast import can_pack, fuse_gelu, pack, prepare_for_inference
from bridgenet.model.layers import Mlp
from bridgenet.system import allocator
from bridgenet.system.compilation import check_compiler
from bridgenet.system.processor import has_bfloat16

Precision = Literal["auto", "float32", "bfloat16"]
preparing = threading.RLock()
"""Held while a network is made ready."""
PRECISIONS = ("auto", "float32", "bfloat16")


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The weights' dtype; `auto` is bfloat16 where the device is faster in it. UserError for any other word."""
    if precision not in PRECISIONS:
        raise UserError(f"precision is '{precision}', expected one of {', '.join(PRECISIONS)}")
    wants = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    return torch.bfloat16 if wants else torch.float32


@torch.no_grad()
def optimize_for_inference(network: BridgeNet, *, precision: Precision = "float32", compile: bool = False) -> BridgeNet:
    """Make a network ready for inference, in place: it cannot be trained, saved or moved to another device afterwards.

    Args:
        network: on the device where it will run; it is put into evaluation mode.
        precision: `"float32"` keeps its results up to rounding; `"bfloat16"` halves weights and computes in bfloat16;
            `"auto"` takes bfloat16 where the device is faster in it.
        compile: have PyTorch compile it at its first call (minutes); on GPUs with CUDA graphs.

    Returns:
        The network.

    Raises:
        UserError: another precision, no compiler where one is needed, or the network has been made ready already.
    """
    with preparing:
        if network.optimized:
            raise UserError("this network is ready for inference already; load it again for another precision")
        try:
            _optimize(network, precision, compile)
        except UserError:
            raise  # found before anything was changed
        except BaseException:
            network.optimized = True  # half of it: of no use for anything
            raise
    return network


def _optimize(network: BridgeNet, precision: Precision, compile: bool) -> None:
    device = next(network.parameters()).device
    dtype = resolve_precision(precision, device)
    if compile:
        check_compiler(device)
    network.eval().requires_grad_(False)
    network.backbone.to(dtype)
    prepare_for_inference(network)
    network.to(dtype)
    if device.type == "cpu":
        if dtype == torch.bfloat16:  # PyTorch's fused attention is the slower one there; the switch is timm's
            for module in cast(Any, network.modules()):
                if hasattr(module, "fused_attn"):
                    module.fused_attn = False
        if can_pack(dtype) and not compile:
            # Not a decoder or backbone of one's own: it may read weights and settings of its layers, which packed ones lack.
            for part in (part for part in network.children() if not is_foreign(part)):
                fuse_gelu(part, (timm.layers.Mlp, Mlp))
                pack(part)
    allocator.release()
    network.optimized = True
    if compile:
        network.compile(mode="reduce-overhead" if device.type == "cuda" else None)
