"""Small pieces that several parts of the network share. Suffixes: B batch, C channels, H W rows and columns, N tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bridgenet.ops.definitions import follow_definitions, has_size
from bridgenet.ops.upsampled import arrange, compose, conv3x3_of_upsampled_sum


def resize(x_BCHW: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Bilinear resizing with align_corners=False; the input itself when it has that size already."""
    if has_size(x_BCHW, size):
        return x_BCHW
    return F.interpolate(x_BCHW, size=tuple(size), mode="bilinear", align_corners=False)


def sum_of(tensors: Iterable[Tensor]) -> Tensor:
    """Their sum, from left to right."""
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


def rising_rates(rate: float, count: int) -> list[float]:
    """Drop-path rates of `count` blocks, growing linearly from 0 to `rate`."""
    return [rate * i / max(count - 1, 1) for i in range(count)]


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a (B, C, H, W) map."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return super().forward(x_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def folded(conv: nn.Conv2d, bn: nn.Module) -> nn.Conv2d:
    """A convolution that does the batch norm after it too, by its running statistics."""
    return conv if isinstance(bn, nn.Identity) else fuse_conv_bn_eval(conv, bn)  # type: ignore[type-var,return-value]


def pointwise_conv(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """A 1×1 convolution with these weights, (M, K, 1, 1) and (M,), copied."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None, device="meta")
    conv.weight = nn.Parameter(weight.detach().clone())
    conv.bias = None if bias is None else nn.Parameter(bias.detach().clone())
    return conv


class ConvBNReLU(nn.Module):
    """Convolution, batch norm, ReLU; the map keeps its size."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, dilation: int = 1, bias: bool = False):
        super().__init__()
        padding = dilation * (kernel_size // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=bias)
        self.bn: nn.Module = nn.BatchNorm2d(out_channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x_BCHW)), inplace=True)

    def prepare_for_inference(self) -> None:
        self.conv, self.bn = folded(self.conv, self.bn), nn.Identity()


class UpsampledConvBNReLU(ConvBNReLU):
    """:class:`ConvBNReLU`, 3×3, of a sum of maps that are each projected (1×1) and enlarged first."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.taps = nn.ModuleList()
        """What is read in place of the weights once they are prepared for inference."""

    def forward(  # type: ignore[override]
        self, maps: Sequence[Tensor], projections: Sequence[nn.Conv2d | None], size: tuple[int, int]
    ) -> Tensor:
        """Maps (B, Dᵢ, hᵢ, wᵢ), for each a projection to the same width or None for the map itself → (B, C, H, W)."""
        if len(self.taps):
            return self._convolve(maps, self.taps, size, self.conv.bias, relu=True)
        if follow_definitions():
            projected = [x if project is None else project(x) for x, project in zip(maps, projections)]
            return super().forward(sum_of(resize(x, size) for x in projected))
        y_BCHW = self._convolve(maps, self._arranged(self.conv.weight, projections), size, self.conv.bias)
        return F.relu(self.bn(y_BCHW.contiguous(memory_format=torch.channels_last)), inplace=True)

    def _arranged(self, kernel: Tensor, projections: Sequence[nn.Conv2d | None]) -> list[list[Tensor]]:
        taps = [compose(kernel, None if project is None else project.weight) for project in projections]
        biases = [project.bias for project in projections if project is not None]
        if biases:
            taps.append(compose(kernel, sum_of(biases)[:, None, None, None]))
        return [arrange(x) for x in taps]

    def _convolve(
        self, maps: Sequence[Tensor], taps: Any, size: tuple[int, int], bias: Tensor | None, **how: bool
    ) -> Tensor:
        if len(taps) > len(maps):  # the projections' biases, a constant over the enlarged map: of a map of one pixel, 1
            maps = [*maps, maps[0].new_ones(len(maps[0]), 1, 1, 1)]
        return conv3x3_of_upsampled_sum(maps, taps, size, dilation=self.conv.dilation[0], bias=bias, **how)

    def prepare_for_inference(self, projections: Sequence[nn.Conv2d | None] | None = None) -> None:
        """With the projections that :meth:`forward` will be given, by whoever gives them."""
        if projections is None or len(self.taps):
            return
        super().prepare_for_inference()
        for chunks in self._arranged(self.conv.weight, projections):
            self.taps.append(nn.ParameterList(nn.Parameter(x.contiguous(), requires_grad=False) for x in chunks))
        self.conv.register_parameter("weight", None)


class Mlp(nn.Module):
    """Linear, GELU, Linear on the last axis."""

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

    def prepare_for_inference(self) -> None:
        self.conv, self.bn = folded(self.conv, self.bn), nn.Identity()
