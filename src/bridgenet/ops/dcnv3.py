"""Deformable convolution v3 (DCNv3) in plain PyTorch: no compiler, any device and dtype, double backward by autograd."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Size = int | tuple[int, int]


def _pair(value: Size) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def dcnv3(
    value: Tensor,
    offset: Tensor,
    mask: Tensor,
    *,
    kernel_size: Size = 3,
    stride: Size = 1,
    padding: Size = 1,
    dilation: Size = 1,
    num_groups: int,
    offset_scale: float = 1.0,
) -> Tensor:
    """y = Σ_k mask_k · bilinear(value at p₀ + offset_scale·(grid_k + offset_k)), zero outside the map.

    Sides given as one number or as (height, width). K = kernel height · kernel width points; they run with x (width) as
    the slow index and y as the fast one. The *whole* displacement, grid included, is multiplied by `offset_scale`.

    Args:
        value: (N, H, W, C), channels last; C = num_groups · channels of a group.
        offset: (N, Ho, Wo, num_groups·K·2), (x, y) pairs [pixels].
        mask: (N, Ho, Wo, num_groups·K), already normalised.

    Returns:
        (N, Ho, Wo, C).

    Source: InternImage (Wang et al., CVPR 2023).
    """
    (kernel_h, kernel_w), (stride_h, stride_w) = _pair(kernel_size), _pair(stride)
    (pad_h, pad_w), (dilation_h, dilation_w) = _pair(padding), _pair(dilation)
    batch, height, width, channels = value.shape
    _, out_h, out_w, _ = offset.shape
    points = kernel_h * kernel_w
    # Coordinates and sums stay float32 at least: bfloat16 cannot tell neighbouring pixels apart beyond the 256th.
    dtype = torch.promote_types(offset.dtype, torch.float32)

    def axis(length: int, step: int, pad: int, dilate: int, kernel: int) -> tuple[Tensor, Tensor]:
        half = dilate * (kernel - 1) / 2
        centre = torch.arange(length, device=value.device, dtype=dtype) * step - pad + half
        grid = torch.arange(kernel, device=value.device, dtype=dtype) * dilate - half
        return centre, grid

    centre_x, grid_x = axis(out_w, stride_w, pad_w, dilation_w, kernel_w)
    centre_y, grid_y = axis(out_h, stride_h, pad_h, dilation_h, kernel_h)
    grid = torch.stack(torch.meshgrid(grid_x, grid_y, indexing="ij"), dim=-1).reshape(points, 2)
    centre = torch.stack(torch.meshgrid(centre_x, centre_y, indexing="xy"), dim=-1)  # (Ho, Wo, 2) as (x, y)
    displacement = offset.to(dtype).reshape(batch, out_h * out_w, num_groups, points, 2) + grid
    location = centre.reshape(1, -1, 1, 1, 2) + offset_scale * displacement
    # grid_sample's coordinates with align_corners=False: the centre of pixel p is (2p + 1) / size − 1.
    sizes = torch.tensor([width, height], device=value.device, dtype=dtype)
    normalised = (2 * location + 1) / sizes - 1

    maps = value.to(dtype).reshape(batch, height, width, num_groups, -1).permute(0, 3, 4, 1, 2).flatten(0, 1)
    grids = normalised.transpose(1, 2).flatten(0, 1)  # (N·G, Ho·Wo, K, 2)
    sampled = F.grid_sample(maps, grids, mode="bilinear", padding_mode="zeros", align_corners=False)
    weights = mask.reshape(batch, out_h * out_w, num_groups, points).transpose(1, 2).flatten(0, 1)
    summed = (sampled * weights.unsqueeze(1)).sum(dim=-1)  # (N·G, C/G, Ho·Wo)
    return summed.reshape(batch, channels, out_h, out_w).permute(0, 2, 3, 1).to(value.dtype)
