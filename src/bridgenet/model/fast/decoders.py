"""Faster parts of decoders: 3×3 convolutions of enlarged maps without computing the enlarged maps.

The algorithm is explained in :mod:`bridgenet.model.fast.upsampled`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bridgenet.model.decoders.bridgenet.decoder import BridgeNetDecoder, UpBlock
from bridgenet.model.decoders.multi_task import ConvHead
from bridgenet.model.fast.exchange import exchanged
from bridgenet.model.fast.folding import fold
from bridgenet.model.fast.upsampled import arrange, compose, conv3x3_of_upsampled_sum
from bridgenet.model.layers import ConvBNReLU, sum_of


class UpsampledConv(ConvBNReLU):
    """Replaces a 3×3 :class:`ConvBNReLU` and the steps before it: projecting (1×1), enlarging and adding maps."""

    projections: Sequence[nn.Conv2d | None]
    """The projection of each map, or None. Modules in a tuple are not children: they belong to another module."""

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:  # type: ignore[override]
        """Maps (B, Dᵢ, hᵢ, wᵢ) → (B, C, *size)."""
        y_BCHW = _convolve(maps, self.arranged(), size, self.conv.dilation, self.conv.bias)
        return F.relu(self.bn(y_BCHW.contiguous(memory_format=torch.channels_last)), inplace=True)

    def arranged(self) -> list[list[Tensor]]:
        """The weights in the convolution's layout: for each map, and one more for the biases of the projections."""
        kernel = self.conv.weight
        taps = [compose(kernel, None if project is None else project.weight) for project in self.projections]
        biases = [p.bias for p in self.projections if p is not None and p.bias is not None]
        if biases:
            taps.append(compose(kernel, sum_of(biases)[:, None, None, None]))
        return [arrange(x) for x in taps]


class PreparedUpsampledConv(nn.Module):
    """The same for inference: the norm is folded, and the weights are composed and arranged once."""

    def __init__(self, layer: UpsampledConv):
        super().__init__()
        fold(layer)
        self.dilation, self.bias = layer.conv.dilation, layer.conv.bias
        self.taps = nn.ModuleList(
            nn.ParameterList(nn.Parameter(x.contiguous(), requires_grad=False) for x in chunks)
            for chunks in layer.arranged()
        )

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Maps (B, Dᵢ, hᵢ, wᵢ) → (B, C, *size)."""
        return _convolve(maps, self.taps, size, self.dilation, self.bias, relu=True)


def _convolve(
    maps: Sequence[Tensor], taps: Any, size: tuple[int, int], dilation: Sequence[int], bias: Tensor | None, **how: bool
) -> Tensor:
    if len(taps) > len(
        maps
    ):  # the projections' biases are constant over the enlarged map: a map of one pixel of value 1
        maps = [*maps, maps[0].new_ones(len(maps[0]), 1, 1, 1)]
    return conv3x3_of_upsampled_sum(maps, taps, size, dilation=dilation[0], bias=bias, **how)


def upsampled_conv(layer: ConvBNReLU, projections: Sequence[nn.Conv2d | None]) -> UpsampledConv:
    other = exchanged(layer, UpsampledConv)
    other.projections = tuple(projections)
    return other


class FastUpBlock(UpBlock):
    """Replaces an up block; enlarging and the first convolution are one step."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        height, width = x_BCHW.shape[-2:]
        return self.conv2(self.conv1([x_BCHW], (2 * height, 2 * width)))


def fast_up_block(block: UpBlock) -> FastUpBlock:
    block.conv1 = upsampled_conv(block.conv1, [None])
    return exchanged(block, FastUpBlock)


class FastConvHead(ConvHead):
    """Replaces a head of the multi-task baseline; laterals, enlarging, sum and convolution are one step."""

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        return self.fuse(features, size)


def fast_conv_head(head: ConvHead) -> FastConvHead:
    head.fuse = upsampled_conv(head.fuse, list(head.laterals))  # type: ignore[arg-type]
    return exchanged(head, FastConvHead)


def prepared_conv_head(head: FastConvHead) -> FastConvHead:
    head.laterals = nn.ModuleList()  # they are part of the convolution's weights now
    return head


class FastDecoder(BridgeNetDecoder):
    """Replaces BridgeNet's decoder; the stages' projections, enlarging, sum and last convolution are one step."""

    def forward(self, features: Sequence[Tensor]) -> tuple[Mapping[str, Tensor], dict[str, Tensor]]:
        maps, intermediate_logits, size = self.run_stages(features)
        return _Features(self.projections, maps, size), intermediate_logits


def fast_decoder(decoder: BridgeNetDecoder) -> FastDecoder:
    for task, final in decoder.projections.items():
        decoder.projections[task] = upsampled_conv(final, decoder.projects_of(task))  # type: ignore[arg-type]
    return exchanged(decoder, FastDecoder)


def prepared_decoder(decoder: FastDecoder) -> FastDecoder:
    for stage in cast(Any, decoder.stages):
        stage.project = None  # it is part of the last convolution's weights now
    return decoder


class _Features(Mapping[str, Tensor]):
    """The features by task, computed on access: they are the largest maps, so only one is in memory at a time."""

    def __init__(self, convs: nn.ModuleDict, maps: Mapping[str, Sequence[Tensor]], size: tuple[int, int]):
        self.convs, self.maps, self.size = convs, maps, size

    def __getitem__(self, task: str) -> Tensor:
        return self.convs[task](self.maps[task], self.size)

    def __iter__(self) -> Iterator[str]:
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)
