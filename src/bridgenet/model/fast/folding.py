"""Folding of batch norms into the preceding convolution, which is possible with running statistics.

For inference only; equal up to rounding.
"""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bridgenet.model.layers import ConvBNReLU, QueryProjection
from bridgenet.system import allocator

Layer = TypeVar("Layer", bound=ConvBNReLU | QueryProjection)


def folded(conv: nn.Conv2d, bn: nn.Module) -> nn.Conv2d:
    """A convolution that includes the batch norm after it; the given one if there is no norm."""
    return conv if isinstance(bn, nn.Identity) else fuse_conv_bn_eval(conv, bn)  # type: ignore[type-var,return-value,arg-type]


def fold(layer: Layer) -> Layer:
    """Fold the norm of a layer into its convolution, in place, and return the layer."""
    allocator.release()  # gaps between the remaining weights would not be used again
    layer.conv, layer.bn = folded(layer.conv, layer.bn), nn.Identity()
    return layer


def pointwise_conv(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """A 1×1 convolution with these weights, (M, K, 1, 1) and (M,), copied."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None, device="meta")
    conv.weight = nn.Parameter(weight.detach().clone())
    conv.bias = None if bias is None else nn.Parameter(bias.detach().clone())
    return conv
