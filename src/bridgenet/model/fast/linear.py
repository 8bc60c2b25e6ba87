"""Linear layers computed as convolutions, and softmax over a few values.

On the CPU PyTorch computes a float32 `Linear` with the system's BLAS and a convolution with oneDNN, which is faster by a
tenth to a half on many processors; in bfloat16 oneDNN's convolutions are also faster than its products. A `Linear` over the
last axis is a 1×1 convolution of a map in channels-last memory: the same sums in the same layout, gradients included.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bridgenet.model.backbones.internimage import DeformableConv
from bridgenet.model.fast.exchange import exchanged

_DTYPES = (torch.float32, torch.bfloat16)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x · weightᵀ + bias over the last axis: (..., K), (M, K), (M,) → (..., M)."""
    if x.device.type != "cpu" or x.dtype not in _DTYPES or x.numel() == 0:
        return F.linear(x, weight, bias)
    columns = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)
    y = F.conv2d(columns, weight[:, :, None, None], bias)
    return y.permute(0, 2, 3, 1).reshape(*x.shape[:-1], len(weight))


class PointwiseLinear(nn.Linear):
    """Replaces `nn.Linear`; computed by :func:`pointwise`."""

    def forward(self, x: Tensor) -> Tensor:
        return pointwise(x, self.weight, self.bias)


def pointwise_linear(linear: nn.Linear) -> PointwiseLinear:
    return exchanged(linear, PointwiseLinear)


class SoftmaxOfFew(nn.Softmax):
    """Replaces a softmax over a short last axis of a map.

    PyTorch's CPU kernel computes it row by row; after a transposition, over the first axis, it is 15 times as fast.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        return x.movedim(-1, 0).contiguous().softmax(dim=0).movedim(0, -1)


def with_softmax_of_few(conv: DeformableConv) -> DeformableConv:
    """Replace the softmax over the 9 points of a layer, in place, and return the layer."""
    conv.softmax = exchanged(conv.softmax, SoftmaxOfFew)
    return conv
