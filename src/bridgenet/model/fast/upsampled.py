"""A 3×3 convolution of a sum of enlarged maps, computed without the enlarged maps.

By definition: maps Mᵢ of several sizes are projected (1×1, Pᵢ), enlarged to one size (bilinear), added, and convolved
(3×3, W, zero padding). All steps are linear, so their order may be changed: each of the nine taps of W is first applied to
the channels at a map's own small size (W·Pᵢ, one 1×1 convolution), and only then are these tap maps enlarged, shifted by
their position in the kernel and added. Enlarging and shifting is a matrix along each axis, one for the three taps of a row
and one for the three rows, so that zero padding is exact. At sizes 1/8, 1/4 and 1/2 this needs a quarter of the operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet.model.fast.linear import pointwise

CHUNK = 96
"""Number of output channels computed at a time, so that their tap maps stay in the processor's cache."""
BAND = 16
"""Number of output rows computed at a time; each band needs only a few rows of the maps."""


def arrange(taps: Tensor) -> list[Tensor]:
    """Taps (C, D, 3, 3) as :func:`conv3x3_of_upsampled_sum` reads them: 1×1 kernels (3·channels·3, D, 1, 1), for each chunk.

    Their outputs are in the order (row tap, channel, column tap), so that no later step has to rearrange them.
    """
    return [part.permute(2, 0, 3, 1).reshape(-1, taps.shape[1], 1, 1) for part in taps.split(CHUNK)]


def _kernel_of(arranged: Sequence[Tensor]) -> Tensor:
    """The inverse of :func:`arrange`: (C, D, 3, 3)."""
    return torch.cat([x.reshape(3, -1, 3, x.shape[1]).permute(1, 3, 0, 2) for x in arranged])


def compose(kernel: Tensor, projection: Tensor | None) -> Tensor:
    """The kernel (C, E, 3, 3) after a projection (E, D, 1, 1): (C, D, 3, 3)."""
    if projection is None:
        return kernel
    return torch.einsum("ceyx,ed->cdyx", kernel, projection.flatten(1))


def conv3x3_of_upsampled_sum(
    maps: Sequence[Tensor],
    taps: Sequence[Sequence[Tensor]],
    size: tuple[int, int],
    *,
    dilation: int = 1,
    bias: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """conv3×3(Σᵢ upsample(Pᵢ·mapᵢ)) + bias, padded with zeros to keep the size, then an optional ReLU.

    Args:
        maps: (B, Dᵢ, hᵢ, wᵢ), of one dtype.
        taps: for each map, :func:`arrange` of the kernel after the map's projection (:func:`compose`).
        size: (H, W) of the result.
        dilation: dilation of the 3×3 convolution.
        bias: (C,) or None.

    Returns:
        (B, C, H, W), in memory (B, H, C, W).
    """
    if whole := [i for i, x in enumerate(maps) if tuple(x.shape[-2:]) == tuple(size)]:
        return _with_whole_maps(maps, taps, whole, size, dilation, bias, relu)
    width, batch = size[1], len(maps[0])
    rows = [x.transpose(1, 2).flatten(0, 1).unsqueeze(2).contiguous() for x in maps]  # (B·h, D, 1, w)
    sides = tuple((int(x.shape[2]), int(x.shape[3])) for x in maps)
    make = _matrices if torch.compiler.is_compiling() else _kept_matrices  # the compiler does not look into a cache
    across, bands = make(sides, (int(size[0]), int(width)), dilation, maps[0].dtype, maps[0].device)
    biases = None if bias is None else bias.split(CHUNK)
    keeps_graph = torch.is_grad_enabled()
    # A convolution would store the tap maps, by far the largest tensors, for the gradient of the constant matrix.
    widen = F.linear if keeps_graph else pointwise
    num_channels = sum(len(kernel) for kernel in taps[0]) // 9
    result = maps[0].new_empty(0 if keeps_graph else (batch, size[0], num_channels, width))
    parts = result.split(CHUNK, dim=2) if not keeps_graph else [None] * len(taps[0])
    done = []
    for chunk, (kernels, part) in enumerate(zip(zip(*taps), parts)):
        widened = []  # (B, 3·h, channels·W) of each map
        for row, kernel, matrix in zip(rows, kernels, across):
            tap_maps = F.conv2d(row, kernel).reshape(-1, matrix.shape[1])  # (B·h·3·channels, 3·w)
            widened.append(widen(tap_maps, matrix).view(batch, 3 * (len(row) // batch), -1))
        down = []
        for matrix, windows in bands:
            needed = torch.cat([x[:, first:last] for x, (first, last) in zip(widened, windows)], dim=1)
            down.append(torch.matmul(matrix, needed))
        if part is None:
            part = torch.cat(down, dim=1).unflatten(2, (-1, width))
        else:  # written directly into the result
            torch.cat(down, dim=1, out=part.flatten(2))
        if biases is not None:
            part = part.add_(biases[chunk][:, None])
        done.append(F.relu(part, inplace=True) if relu else part)
    return (torch.cat(done, dim=2) if keeps_graph else result).transpose(1, 2)


def _with_whole_maps(
    maps: Sequence[Tensor],
    taps: Sequence[Sequence[Tensor]],
    whole: Sequence[int],
    size: tuple[int, int],
    dilation: int,
    bias: Tensor | None,
    relu: bool,
) -> Tensor:
    """The same if some maps already have the size of the result: these are convolved directly."""
    small = [i for i in range(len(maps)) if i not in whole]
    parts = [F.conv2d(maps[i], _kernel_of(taps[i]), padding=dilation, dilation=dilation) for i in whole]
    if small:
        enlarged = [maps[i] for i in small], [taps[i] for i in small]
        parts.append(conv3x3_of_upsampled_sum(*enlarged, size, dilation=dilation, bias=bias))
    elif bias is not None:
        parts.append(bias[:, None, None])
    result = sum(parts[1:], parts[0])
    return F.relu(result, inplace=True) if relu else result


def _matrices(
    small: Sequence[tuple[int, int]], large: tuple[int, int], dilation: int, dtype: torch.dtype, device: torch.device
) -> tuple[list[Tensor], list[tuple[Tensor, list[tuple[int, int]]]]]:
    """From the columns of each map's three tap maps, one after the other, to the result's: (W, 3·w); and :func:`_row_bands`."""
    across = [_tap_matrix(width, large[1], dilation).flatten(1).to(device, dtype) for _, width in small]
    bands = _row_bands([height for height, _ in small], large[0], dilation)
    return across, [(matrix.to(device, dtype), windows) for matrix, windows in bands]


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # cached tensors may be used by inference first and by training later
def _kept_matrices(*arguments: Any) -> tuple[list[Tensor], list[tuple[Tensor, list[tuple[int, int]]]]]:
    return _matrices(*arguments)


def _row_bands(small: Sequence[int], large: int, dilation: int) -> list[tuple[Tensor, list[tuple[int, int]]]]:
    """For each band of the result's rows: a matrix (rows, n) float64, and which rows of each map's tap maps are the n.

    Rows of a map's tap maps are numbered with the three taps of a row next to each other.
    """
    matrices = [_tap_matrix(side, large, dilation).transpose(1, 2).flatten(1) for side in small]
    bands = []
    for first in range(0, large, BAND):
        last = min(first + BAND, large)
        top, bottom = max(first - dilation, 0), min(last - 1 + dilation, large - 1)  # rows of the enlarged map
        windows = [(3 * _source(top, side, large), 3 * min(_source(bottom, side, large) + 2, side)) for side in small]
        parts = [matrix[first:last, left:right] for matrix, (left, right) in zip(matrices, windows)]
        bands.append((torch.cat(parts, dim=1), windows))
    return bands


def _source(place: int, small: int, large: int) -> int:
    """The first of the two rows of a map that a row of the enlarged map lies between."""
    return max(((2 * place + 1) * small - large) // (2 * large), 0)


def _tap_matrix(small: int, large: int, dilation: int) -> Tensor:
    """(large, 3, small) float64: enlarging along one axis and, of the result, the place before, itself, the one after."""
    identity = torch.eye(small, dtype=torch.float64)[None, None]
    enlarge = F.interpolate(identity, size=(large, small), mode="bilinear", align_corners=False)[0, 0]
    bordered = F.pad(enlarge, (0, 0, dilation, dilation))
    return torch.stack([bordered[k * dilation : k * dilation + large] for k in range(3)], dim=1)
