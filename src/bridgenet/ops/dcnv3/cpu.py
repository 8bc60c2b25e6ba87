"""DCNv3 on the CPU: sampling is a weighted sum of rows of a table, which `embedding_bag` computes.

A row of the table is one pixel of one group. A bag is everything that one output pixel of one group reads: 4 neighbours of
each of the K points, with their bilinear weights times the mask. The map has a border of zeros, so that locations outside
need no special case: they are clamped to where both neighbours are in the border.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet.ops.dcnv3.geometry import Geometry

BORDER = 2
"""Rows and columns of zeros on each side: neighbours of a location clamped to the border are both in it."""
CHUNK = 1 << 19
"""Number of neighbours computed at a time (4 MiB in float32), so that they stay in the processor's cache."""


def _dtype(value: Tensor) -> torch.dtype:
    return torch.promote_types(value.dtype, torch.float32)  # see plain.py


def _table(value_HWC: Tensor, num_groups: int) -> Tensor:
    """One image's map within its border, (rows · columns · G, C/G)."""
    padded = F.pad(value_HWC.to(_dtype(value_HWC)), (0, 0, BORDER, BORDER, BORDER, BORDER))
    return padded.reshape(-1, value_HWC.shape[-1] // num_groups)


@dataclass
class _Bags:
    """Bags of some output rows of one image.

    Attributes:
        image, first, last: number of the image, and its output rows first to last − 1.
        index: (bags, K, 4) int32 (int64 for huge maps), rows of the table: upper left, upper right, lower left, lower right neighbour.
        weight: (bags, K, 4), weights of the neighbours, including the mask.
        mask, right, lower: (bags, K), the mask, and the bilinear weights of the right and the lower neighbours.
    """

    image: int
    first: int
    last: int
    index: Tensor
    weight: Tensor
    mask: Tensor
    right: Tensor
    lower: Tensor


def _bags(value: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> Iterator[_Bags]:
    """All output rows, a few at a time. The tensors of an item are overwritten by the next one."""
    batch, height, width, _ = value.shape
    _, out_h, out_w, _ = offset.shape
    groups, points, dtype = geometry.num_groups, geometry.num_points, _dtype(value)
    columns = width + 2 * BORDER
    step = min(out_h, max(1, CHUNK // (4 * out_w * groups * points)))
    scale, like = geometry.offset_scale, torch.empty(0, dtype=dtype)
    # The part without offsets: p₀ in the bordered map, plus the scaled grid.
    base_x = (geometry.centres(1, out_w, like) + BORDER).view(-1, 1, 1) + scale * geometry.grid(1, like)
    base_y = (geometry.centres(0, out_h, like) + BORDER).view(-1, 1, 1, 1) + scale * geometry.grid(0, like)
    last_row = (height + 2 * BORDER - 2) * columns + columns - 2
    whole = torch.int32 if (last_row + columns + 2) * groups < 2**31 else torch.int64
    group = torch.arange(groups, dtype=whole).view(-1, 1)
    neighbours = torch.tensor([0, groups, columns * groups, columns * groups + groups], dtype=whole)

    shape = (step, out_w, groups, points)
    index = torch.empty(*shape, 4, dtype=whole)
    weight = torch.empty(*shape, 4, dtype=dtype)
    for image in range(batch):
        for first in range(0, out_h, step):
            last = min(first + step, out_h)
            part = offset[image, first:last].to(dtype).view(last - first, out_w, groups, points, 2)
            x = torch.add(base_x, part[..., 0], alpha=scale).clamp_(0, width + BORDER)
            y = torch.add(base_y[first:last], part[..., 1], alpha=scale).clamp_(0, height + BORDER)
            left, top = x.floor(), y.floor()
            right, lower = x.sub_(left), y.sub_(top)
            corner = top.to(whole).mul_(columns).add_(left.to(whole))  # integers first: float32 is exact to 2²⁴ only
            corner = corner.clamp_(0, last_row).mul_(groups).add_(group)  # a NaN may have any index, its weight is NaN
            i, w = index[: last - first], weight[: last - first]
            torch.add(corner.unsqueeze(-1), neighbours, out=i)
            m = mask[image, first:last].to(dtype).view(last - first, out_w, groups, points)
            below = m * lower
            above = m - below
            torch.mul(above, right, out=w[..., 1])
            torch.sub(above, w[..., 1], out=w[..., 0])
            torch.mul(below, right, out=w[..., 3])
            torch.sub(below, w[..., 3], out=w[..., 2])
            flat = [tensor.reshape(-1, points) for tensor in (m, right, lower)]
            yield _Bags(image, first, last, i.view(-1, points, 4), w.view(-1, points, 4), *flat)


def forward(value: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> Tensor:
    """Shapes as in :func:`bridgenet.ops.dcnv3`; contiguous CPU tensors."""
    channels, (_, out_h, out_w, _) = value.shape[-1], offset.shape
    output = value.new_empty(len(value), out_h, out_w, channels)
    table, of_image = None, -1
    for bags in _bags(value, offset, mask, geometry):
        if table is None or of_image != bags.image:
            table, of_image = _table(value[bags.image], geometry.num_groups), bags.image
        summed = F.embedding_bag(bags.index.flatten(1), table, mode="sum", per_sample_weights=bags.weight.flatten(1))
        output[bags.image, bags.first : bags.last] = summed.view(-1, out_w, channels)
    return output


def backward(
    grad_output: Tensor, value: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of value, offset and mask; indices and weights are recomputed instead of stored."""
    _, height, width, channels = value.shape
    groups, dtype = geometry.num_groups, _dtype(value)
    grad_value, grad_offset, grad_mask = (torch.empty_like(tensor) for tensor in (value, offset, mask))
    table, of_image = None, -1
    grads = torch.empty(0)

    def finish(image: int) -> None:
        if image >= 0:
            whole = grads.view(height + 2 * BORDER, width + 2 * BORDER, channels)
            grad_value[image] = whole[BORDER:-BORDER, BORDER:-BORDER]

    for bags in _bags(value, offset, mask, geometry):
        if table is None or of_image != bags.image:
            finish(of_image)
            table, of_image = _table(value[bags.image], groups), bags.image
            grads = torch.zeros_like(table)
        grad = grad_output[bags.image, bags.first : bags.last].to(dtype).reshape(-1, channels // groups)
        _add_weighted(grads, bags.index, bags.weight, grad)
        upper_left, upper_right, lower_left, lower_right = _products(table, bags.index, grad).unbind(-1)
        upper = upper_left + bags.right * (upper_right - upper_left)
        lower = lower_left + bags.right * (lower_right - lower_left)
        along_x = (upper_right - upper_left) * (1 - bags.lower) + (lower_right - lower_left) * bags.lower
        rows = slice(bags.first, bags.last)
        grad_mask[bags.image, rows] = (upper + bags.lower * (lower - upper)).view_as(grad_mask[bags.image, rows])
        both = torch.stack([along_x, lower - upper], dim=-1).mul_((geometry.offset_scale * bags.mask).unsqueeze(-1))
        grad_offset[bags.image, rows] = both.view_as(grad_offset[bags.image, rows])
    finish(of_image)
    return grad_value, grad_offset, grad_mask


def _add_weighted(total: Tensor, index: Tensor, weight: Tensor, grad: Tensor) -> None:
    """total[index[b, j]] += weight[b, j] · grad[b]: a sparse matrix, transposed, times a dense one.

    SciPy's product reads the entries in their order; PyTorch's implementations sort them and take ten times as long.
    """
    from scipy.sparse import csc_array

    lowest, highest = (int(bound) for bound in index.aminmax())
    touched = total[lowest : highest + 1]
    bags, per_bag = len(index), index[0].numel()
    starts = np.arange(0, bags * per_bag + 1, per_bag, dtype=np.int32)
    entries = (weight.reshape(-1).numpy(), (index.reshape(-1) - lowest).numpy(), starts)
    touched += torch.from_numpy(csc_array(entries, shape=(len(touched), bags)) @ grad.numpy())


def _products(table: Tensor, index: Tensor, grad: Tensor) -> Tensor:
    """table[index[b, ...]] · grad[b], of the shape of `index`."""
    per_bag, width = index[0].numel(), table.shape[1]
    products = torch.empty_like(index, dtype=table.dtype)
    step = max(1, CHUNK // 4 // per_bag)
    buffer = table.new_empty(min(step, len(index)) * per_bag, width)
    for first in range(0, len(index), step):
        part = index[first : first + step]
        rows = buffer[: part.numel()]
        torch.index_select(table, 0, part.reshape(-1), out=rows)
        rows.view(len(part), per_bag, width).mul_(grad[first : first + step].unsqueeze(1))
        torch.sum(rows, dim=1, out=products[first : first + step].view(-1))
    return products
