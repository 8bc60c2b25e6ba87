"""Layers and functions shared by several parts of the network. Suffixes: B batch, C channels, H W rows and columns, N tokens."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import add

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bridgenet.ops.exporting import has_size


def resize(x_BCHW: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Resize bilinearly with align_corners=False; returns the input itself if it has that size already."""
    if has_size(x_BCHW, size):
        return x_BCHW
    return F.interpolate(x_BCHW, size=tuple(size), mode="bilinear", align_corners=False)


def sum_of(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of tensors, from left to right."""
    return reduce(add, tensors)


def to_tokens(x_BCHW: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H·W, C)."""
    return x_BCHW.flatten(2).transpose(1, 2)


def to_map(x_BNC: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """(B, H·W, C) to (B, C, H, W) of the given size."""
    return x_BNC.transpose(1, 2).unflatten(2, tuple(size))


def split_heads(x_BNC: Tensor, num_heads: int) -> Tensor:
    """(B, N, C) to (B, heads, N, C/heads); a head is a contiguous part of the channels."""
    return x_BNC.unflatten(2, (num_heads, -1)).transpose(1, 2)


def join_heads(x_BhNC: Tensor) -> Tensor:
    """The inverse of :func:`split_heads`."""
    return x_BhNC.transpose(1, 2).flatten(2)


def drop_path_schedule(rate: float, count: int) -> list[float]:
    """Drop-path rates of `count` blocks, increasing linearly from 0 to `rate`."""
    return [rate * i / max(count - 1, 1) for i in range(count)]


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a (B, C, H, W) map."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return super().forward(x_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvBNReLU(nn.Module):
    """Convolution, batch norm, ReLU; the map keeps its size."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, dilation: int = 1, bias: bool = False):
        super().__init__()
        padding = dilation * (kernel_size // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=bias)
        self.bn: nn.Module = nn.BatchNorm2d(out_channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x_BCHW)), inplace=True)


class Mlp(nn.Module):
    """Linear, GELU and Linear over the last axis."""

    def __init__(self, dim: int, ratio: float = 4):
        super().__init__()
        self.fc1 = nn.Linear(dim, int(dim * ratio))
        self.act = nn.GELU()
        self.fc2 = nn.Linear(int(dim * ratio), dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class QueryProjection(nn.Module):
    """Queries of half the map's size: depthwise 3×3 of stride 2, batch norm, Linear. Returns (tokens, their map size)."""

    def __init__(self, dim: int):
        super().__init__()
        self.conv = nn.Conv2d(dim, dim, 3, stride=2, padding=1, groups=dim, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(dim)
        self.linear = nn.Linear(dim, dim)

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, torch.Size]:
        x_BCHW = self.bn(self.conv(x_BCHW))
        return self.linear(to_tokens(x_BCHW)), x_BCHW.shape[-2:]
