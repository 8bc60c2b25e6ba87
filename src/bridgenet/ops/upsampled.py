"""A 3×3 convolution of a sum of enlarged maps, computed without ever enlarging a map.

By definition: maps Mᵢ of several sizes are projected (1×1, Pᵢ), enlarged to one size (bilinear), added, and convolved
(3×3, W, zeros around). All of it is linear, so it may be done in another order: each of the nine taps of W first takes its
part of all channels at a map's own small size (W·Pᵢ, one 1×1 convolution), and only then are these tap maps enlarged, moved
by their place in the kernel and added. Enlarging and moving is a matrix along each axis: one for the three taps of a row,
one for the three rows, so the zeros around the image come out exactly. At sizes 1/8, 1/4 and 1/2 this is a quarter of the
operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet.ops.linear import pointwise

CHUNK = 1 << 22
"""Elements of the largest tensor in between: channels are done in parts, whose tap maps stay near the processor."""


def conv3x3_of_upsampled_sum(
    maps: Sequence[Tensor],
    taps: Sequence[Tensor],
    size: tuple[int, int],
    *,
    dilation: int = 1,
    bias: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """conv3×3(Σᵢ upsample(Pᵢ·mapᵢ)) + bias, padded with zeros to keep the size, then ReLU if asked for.

    Args:
        maps: (B, Dᵢ, hᵢ, wᵢ), of one dtype.
        taps: (C, Dᵢ, 3, 3), the 3×3 kernel after the projection; see :func:`compose`.
        size: (H, W) of the result.
        dilation: of the 3×3 convolution.
        bias: (C,) or None.

    Returns:
        (B, C, H, W), in memory (B, H, C, W).
    """
    (height, width), batch, channels = size, len(maps[0]), len(taps[0])
    vertical = torch.cat([_rows_matrix(x, height, dilation) for x in maps], dim=1)
    horizontal = [_columns_matrix(x, width, dilation) for x in maps]
    rows = [x.transpose(1, 2).flatten(0, 1).unsqueeze(2).contiguous() for x in maps]  # (B·h, D, 1, w)
    num_rows = [3 * x.shape[2] for x in maps]
    # The 1×1 convolution's outputs in an order such that no step has to move anything: row tap, channel, column tap.
    weights = [x.permute(2, 0, 3, 1) for x in taps]

    per_channel = batch * max(width * sum(num_rows), *(3 * x.shape[-1] * n for x, n in zip(maps, num_rows)))
    step = max(1, CHUNK // per_channel)
    keeps_graph = torch.is_grad_enabled()
    result = maps[0].new_empty(0 if keeps_graph else (batch, height, channels, width))
    parts = []
    for first in range(0, channels, step):
        last = min(first + step, channels)
        widened = []
        for row, weight, across, count in zip(rows, weights, horizontal, num_rows):
            weight = weight[:, first:last].reshape(-1, row.shape[1], 1, 1)
            tap_maps = F.conv2d(row, weight).reshape(-1, across.shape[1])  # (B·h·3·channels, 3·w)
            widened.append(pointwise(tap_maps, across).view(batch, count, -1))
        part = torch.matmul(vertical, torch.cat(widened, dim=1)).unflatten(2, (last - first, width))
        if bias is not None:
            part = part + bias[first:last, None] if keeps_graph else part.add_(bias[first:last, None])
        if relu:
            part = F.relu(part, inplace=not keeps_graph)
        if keeps_graph:
            parts.append(part)
        else:
            result[:, :, first:last] = part
    if keeps_graph:
        result = torch.cat(parts, dim=2)
    return result.transpose(1, 2)


def compose(kernel: Tensor, projection: Tensor | None) -> Tensor:
    """The kernel (C, E, 3, 3) after a projection (E, D, 1, 1): (C, D, 3, 3)."""
    if projection is None:
        return kernel
    return torch.einsum("ceyx,ed->cdyx", kernel, projection.flatten(1))


def _rows_matrix(x_BCHW: Tensor, height: int, dilation: int) -> Tensor:
    """(height, h·3): from the rows of the tap maps, a row's three taps side by side, to the rows of the result."""
    return _tap_matrix(x_BCHW.shape[2], height, dilation).transpose(1, 2).flatten(1).to(x_BCHW)


def _columns_matrix(x_BCHW: Tensor, width: int, dilation: int) -> Tensor:
    """(width, 3·w): from the columns of the three tap maps, one after the other, to the columns of the result."""
    return _tap_matrix(x_BCHW.shape[3], width, dilation).flatten(1).to(x_BCHW)


@cache
def _tap_matrix(small: int, large: int, dilation: int) -> Tensor:
    """(large, 3, small) float64: enlarging along one axis and, of the result, the place before, itself, the one after."""
    identity = torch.eye(small, dtype=torch.float64)[None, None]
    enlarge = F.interpolate(identity, size=(large, small), mode="bilinear", align_corners=False)[0, 0]
    bordered = F.pad(enlarge, (0, 0, dilation, dilation))
    return torch.stack([bordered[k * dilation : k * dilation + large] for k in range(3)], dim=1)
