"""Convolutions and linear layers whose weights are stored in oneDNN's order.

PyTorch stores a convolution's weights in its own order, and oneDNN rearranges them at every call, which takes 5 to 10 % of
the time at batch 1. Here they are rearranged once, for inference on CPUs, with equal results. PyTorch's compiler uses the
same operators; they are not documented, so layers are not changed where they are missing.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Literal

import timm.layers
import torch
from torch import Tensor, nn

from bridgenet.model.fast.linear import PointwiseLinear
from bridgenet.system import allocator

Activation = Literal["none", "relu", "gelu"]
LARGE = 1 << 20
"""Number of elements from which the freed memory of packed weights is returned to the system."""
_GELUS = (nn.GELU, timm.layers.GELU)


_packing = threading.Lock()


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this PyTorch has the operators, and they support the dtype on this machine."""
    return (
        torch.backends.mkldnn.is_available()
        and (dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()))
        and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


class PackedConv2d(nn.Module):
    """A zero-padded convolution and an activation; its weights are packed at the first call, for that map's size.

    Args:
        conv: the convolution, whose weights are used.
        activation: applied to the result.
    """

    def __init__(self, conv: nn.Conv2d, activation: Activation = "none"):
        super().__init__()
        self.geometry = (conv.padding, conv.stride, conv.dilation, conv.groups)
        self.weight = conv.weight.detach()
        self.bias = None if conv.bias is None else conv.bias.detach()
        self.activation = activation
        self.is_packed = False

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = x_BCHW.contiguous(memory_format=torch.channels_last)
        if not self.is_packed:
            with _packing:  # only one thread packs
                if not self.is_packed:
                    self._pack(x_BCHW.shape)
        padding, stride, dilation, groups = self.geometry
        return torch.ops.mkldnn._convolution_pointwise(
            x_BCHW, self.weight, self.bias, padding, stride, dilation, groups, self.activation, [], "none"
        )

    def _pack(self, shape: torch.Size) -> None:
        # The best order depends on the map's size; other sizes work as well.
        size = self.weight.numel()
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        weight = self.weight if self.weight.dim() == 4 else self.weight[:, :, None, None]
        self.weight = reorder(weight.to_mkldnn(), *self.geometry, shape)
        self.is_packed = True
        if size >= LARGE:
            allocator.release()


class PackedLinear(PackedConv2d):
    """A linear layer over the last axis, as a 1×1 convolution; see :mod:`bridgenet.model.fast.linear`."""

    def __init__(self, linear: nn.Linear, activation: Activation = "none"):
        conv = nn.Conv2d(linear.in_features, linear.out_features, 1, bias=linear.bias is not None, device="meta")
        conv.bias = linear.bias
        super().__init__(conv, activation)
        # (M, K) until the first call: some modules, as Swin V2's, read it themselves and never call the layer.
        self.weight = linear.weight.detach()

    def forward(self, x: Tensor) -> Tensor:
        columns = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)
        return super().forward(columns).permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)


def pack(module: nn.Module) -> None:
    """Replace every zero-padded convolution and linear layer inside a module by a packed one."""
    layer: Any
    for parent in list(module.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) in (nn.Linear, PointwiseLinear):
                setattr(parent, name, PackedLinear(layer))
            elif type(layer) is nn.Conv2d and _is_plain(layer):
                setattr(parent, name, PackedConv2d(layer))


def _is_plain(conv: nn.Conv2d) -> bool:
    return conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def fuse_gelu(module: nn.Module, kinds: Sequence[type[nn.Module]]) -> None:
    """Pack `fc1` together with its GELU in MLPs of these classes, in which `act` directly follows `fc1`."""
    mlp: Any
    for mlp in module.modules():
        first: Any = getattr(mlp, "fc1", None)
        activation = getattr(mlp, "act", None)
        if type(mlp) in kinds and type(first) in (nn.Linear, PointwiseLinear) and type(activation) in _GELUS:
            if getattr(activation, "approximate", "none") != "none":
                continue
            mlp.fc1, mlp.act = PackedLinear(first, "gelu"), nn.Identity()
