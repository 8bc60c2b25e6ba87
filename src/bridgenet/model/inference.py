"""Preparation of networks for inference: equal results from weights in the fastest form.

The faster modules are in :mod:`bridgenet.model.fast`; see also `docs/performance.md`.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

import timm.layers
import torch
from torch import nn

from bridgenet.errors import UserError
from bridgenet.extensions import is_foreign
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.fast import can_pack, fuse_gelu, pack, prepare_for_inference
from bridgenet.model.layers import Mlp
from bridgenet.model.records import copy_record
from bridgenet.system import allocator
from bridgenet.system.compilation import check_compiler
from bridgenet.system.processor import has_bfloat16

Precision = Literal["auto", "float32", "bfloat16"]
PRECISIONS = ("auto", "float32", "bfloat16")


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of the weights; `auto` is bfloat16 where the device is faster in it. UserError for any other value."""
    if precision not in PRECISIONS:
        raise UserError(f"precision is '{precision}', expected one of {', '.join(PRECISIONS)}")
    wants = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    return torch.bfloat16 if wants else torch.float32


class PreparedNetwork(BridgeNet):
    """A network whose weights are in the fastest form; it is only for inference, and is not trained or saved."""

    def train(self, mode: bool = True) -> PreparedNetwork:
        if mode:
            raise UserError(
                "a network that was prepared for inference cannot be trained; train the one it was made from"
            )
        return super().train(mode)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        raise UserError("a network that was prepared for inference cannot be saved; save the one it was made from")


def optimize_for_inference(
    network: BridgeNet, *, precision: Precision = "float32", compile: bool = False
) -> PreparedNetwork:
    """Make a copy of a network that is faster and only for inference. The network itself is not changed.

    Weights that need no other form are shared: make a new copy after the network was trained further.

    Args:
        network: network on the device where the copy will run.
        precision: `"float32"` gives equal results up to rounding; `"bfloat16"` stores and computes in bfloat16; `"auto"`
            is bfloat16 where the device is faster in it.
        compile: have PyTorch compile it at its first call (minutes); on GPUs with CUDA graphs.

    Returns:
        The copy, in evaluation mode.

    Raises:
        UserError: the precision is unknown, a compiler is missing, or the network was prepared already.
    """
    if isinstance(network, PreparedNetwork):
        raise UserError("this network was prepared for inference already")
    return consume(twin(network), precision=precision, compile=compile)


def twin(network: BridgeNet) -> BridgeNet:
    """A copy that shares the memory of weights and buffers; its parameters do not require gradients."""
    shared: dict[int, Any] = {id(x): nn.Parameter(x.detach(), requires_grad=False) for x in network.parameters()}
    shared |= {id(x): x.detach() for x in network.buffers()}
    found = copy.deepcopy(network, shared)
    copy_record(network, found)
    return found


@torch.no_grad()
def consume(network: BridgeNet, *, precision: Precision = "float32", compile: bool = False) -> PreparedNetwork:
    """As :func:`optimize_for_inference`, but reuses the network's memory: the network must not be used afterwards."""
    device = next(network.parameters()).device
    dtype = resolve_precision(precision, device)
    if compile:
        check_compiler(device)
    mean, deviation = network.mean, network.deviation
    prepared = PreparedNetwork(network.backbone, network.decoder, network.heads)
    network._modules.clear()  # it would keep replaced weights in memory
    _prepare(prepared, dtype, packs=not compile)
    prepared.mean, prepared.deviation = mean, deviation  # in float32 even if the weights are not
    copy_record(network, prepared)
    if compile:
        prepared.compile(mode="reduce-overhead" if device.type == "cuda" else None)
    return prepared


def _prepare(network: PreparedNetwork, dtype: torch.dtype, *, packs: bool) -> None:
    """Bring the weights of a network into the fastest form for their device."""
    device = next(network.parameters()).device
    network.eval().requires_grad_(False)
    network.backbone.to(dtype)
    prepare_for_inference(network)
    network.to(dtype)
    if device.type == "cpu":
        if dtype == torch.bfloat16:  # PyTorch's fused attention is slower there; timm has a switch
            module: Any
            for module in network.modules():
                if hasattr(module, "fused_attn"):
                    module.fused_attn = False
        if can_pack(dtype) and packs:
            # Except custom parts, which may read weights and settings of their layers that packed layers do not have.
            for part in (part for part in network.children() if not is_foreign(part)):
                fuse_gelu(part, (timm.layers.Mlp, Mlp))
                pack(part)
    allocator.release()
