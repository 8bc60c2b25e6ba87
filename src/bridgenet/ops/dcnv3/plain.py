"""The definition of DCNv3 in PyTorch operations, which autograd can differentiate any number of times."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet.ops.dcnv3.geometry import Geometry


def dcnv3_plain(value: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry, *, use_grid_sample: bool) -> Tensor:
    """Compute DCNv3 by definition. Shapes as in :func:`bridgenet.ops.dcnv3`.

    Args:
        use_grid_sample: sample with PyTorch's `grid_sample`, which exporters know (ONNX: GridSample, opset 16), instead
            of the four neighbours written out, which can be differentiated twice in every version of PyTorch.
    """
    batch, height, width, channels = value.shape
    _, out_h, out_w, _ = offset.shape
    groups, points = geometry.num_groups, geometry.num_points
    # Coordinates and sums are at least float32: bfloat16 cannot distinguish neighbouring pixels beyond the 256th.
    dtype = torch.promote_types(torch.promote_types(value.dtype, offset.dtype), torch.float32)
    offset = offset.to(dtype).reshape(batch, out_h, out_w, groups, points, 2)
    centre_y = geometry.centres(0, out_h, offset).view(-1, 1, 1, 1)
    centre_x = geometry.centres(1, out_w, offset).view(-1, 1, 1)
    x = centre_x + geometry.offset_scale * (geometry.grid(1, offset) + offset[..., 0])
    y = centre_y + geometry.offset_scale * (geometry.grid(0, offset) + offset[..., 1])

    def per_group(tensor: Tensor) -> Tensor:
        """(N, Ho, Wo, G, K) → (N·G, Ho·Wo, K)."""
        return tensor.reshape(batch, out_h * out_w, groups, points).transpose(1, 2).flatten(0, 1)

    maps = (
        value.to(dtype).reshape(batch, height, width, groups, channels // groups).permute(0, 3, 4, 1, 2).flatten(0, 1)
    )
    sample = _grid_sample if use_grid_sample else _four_neighbours
    sampled = sample(maps, per_group(x), per_group(y))  # (N·G, C/G, Ho·Wo, K)
    summed = (sampled * per_group(mask.to(dtype)).unsqueeze(1)).sum(dim=-1)
    return summed.reshape(batch, channels, out_h, out_w).permute(0, 2, 3, 1).to(value.dtype)


def _grid_sample(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bilinear samples (M, C, P, K) of maps (M, C, H, W) at x, y (M, P, K) [pixels]; 0 outside."""
    height, width = maps.shape[-2:]
    # grid_sample's coordinates with align_corners=False: the centre of pixel p is (2p + 1) / size − 1.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _four_neighbours(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The same as :func:`_grid_sample`, written out."""
    count, channels, height, width = maps.shape
    x, y = x.clamp(-2, width + 1), y.clamp(-2, height + 1)  # all neighbours are outside there; also for infinities
    left, top = x.detach().floor(), y.detach().floor()
    right_share, lower_share = x - left, y - top
    flat = maps.flatten(2)
    total = torch.zeros((), dtype=maps.dtype, device=maps.device)
    for row, row_share in ((top, 1 - lower_share), (top + 1, lower_share)):
        for column, column_share in ((left, 1 - right_share), (left + 1, right_share)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            # Integers before the product: float32 is exact to 2²⁴ only.
            index = torch.where(inside, row, 0).long() * width + torch.where(inside, column, 0).long()
            index = index.reshape(count, 1, x.shape[1] * x.shape[2]).expand(-1, channels, -1)
            corner = flat.gather(2, index).view(count, channels, *x.shape[1:])
            total = total + corner * (row_share * column_share * inside).unsqueeze(1)
    return total
