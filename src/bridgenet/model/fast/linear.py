"""Linear layers by way of convolutions, and softmax over a few values.

On the CPU PyTorch gives a float32 `Linear` to the system's BLAS and a convolution to oneDNN, which on many processors is
faster by a tenth to a half; in bfloat16 oneDNN's convolutions are also ahead of its products. A `Linear` over the last axis
is a 1×1 convolution of a map in channels-last memory: the same sums in the same places, gradients included.
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
    """In the place of `nn.Linear`: computed by :func:`pointwise`."""

    def forward(self, x: Tensor) -> Tensor:
        return pointwise(x, self.weight, self.bias)


def pointwise_linear(linear: nn.Linear) -> PointwiseLinear:
    return exchanged(linear, PointwiseLinear)


class SoftmaxOfFew(nn.Softmax):
    """In the place of a softmax over a short last axis, of a map.

    PyTorch's CPU kernel takes it row by row; over the first axis, where the same values lie after a transposition, it is 15
    times as fast.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        return x.movedim(-1, 0).contiguous().softmax(dim=0).movedim(0, -1)


def with_softmax_of_few(conv: DeformableConv) -> DeformableConv:
    """The layer, the softmax over its 9 points exchanged."""
    conv.softmax = exchanged(conv.softmax, SoftmaxOfFew)
    return conv
