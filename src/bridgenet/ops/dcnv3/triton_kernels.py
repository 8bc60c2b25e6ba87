"""DCNv3 as Triton kernels, forward and backward; sums and coordinates are float32 for all dtypes.

A "bag" is one output pixel of one group. Its channels are contiguous in memory, followed by those of the next bag: a
program computes BLOCK bags and reads, for each point of the kernel, four rows of C/G channels per bag.
Suffixes: B bags, C channels of a group (padded to a power of two).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from bridgenet.ops.dcnv3.geometry import Geometry

BLOCK_ELEMENTS = 1024
"""Number of bags times channels of one program."""
MAX_BAGS = 2**31 - BLOCK_ELEMENTS
"""Bags are numbered in 32 bits (64-bit divisions are slow); addresses have 64."""
SIZES = ["num_bags", "height", "width", "out_h", "out_w"]
"""Arguments that change from image to image and are not specialised."""


@triton.jit
def _place(bag_B, height, width, out_h, out_w, STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr, ORIGIN_H: tl.constexpr,
           ORIGIN_W: tl.constexpr, NUM_GROUPS: tl.constexpr):  # fmt: skip
    """Group, first pixel of the image, and p₀ (y, x) of each bag; ORIGIN: p₀ of output pixel 0."""
    pixel_B = bag_B // NUM_GROUPS
    centre_y_B = ((pixel_B // out_w) % out_h * STRIDE_H).to(tl.float32) + ORIGIN_H
    centre_x_B = (pixel_B % out_w * STRIDE_W).to(tl.float32) + ORIGIN_W
    image_B = (pixel_B // (out_w * out_h)).to(tl.int64) * height * width
    return bag_B % NUM_GROUPS, image_B, centre_y_B, centre_x_B


@triton.jit
def _axis(centre_B, offset_B, grid, scale, size):
    """Floor of the location along an axis, as integer, and the fraction; locations far outside are clamped."""
    at_B = centre_B + scale * (grid + offset_B)
    at_B = tl.maximum(at_B, -2.0, propagate_nan=tl.PropagateNan.ALL)
    at_B = tl.minimum(at_B, size + 1.0, propagate_nan=tl.PropagateNan.ALL)
    floor_B = tl.floor(at_B)
    return floor_B.to(tl.int32), at_B - floor_B


@triton.jit
def _point(offset, mask, bag_B, k, centre_y_B, centre_x_B, scale, height, width, live_B,
           KERNEL_H: tl.constexpr, KERNEL_W: tl.constexpr, DILATION_H: tl.constexpr, DILATION_W: tl.constexpr):  # fmt: skip
    """The k-th point of each bag: its number, its mask, and row and column of its location with their fractions."""
    point_B = bag_B.to(tl.int64) * (KERNEL_H * KERNEL_W) + k
    grid_x = k // KERNEL_H * DILATION_W - DILATION_W * (KERNEL_W - 1) / 2
    grid_y = k % KERNEL_H * DILATION_H - DILATION_H * (KERNEL_H - 1) / 2
    offset_x_B = tl.load(offset + 2 * point_B, mask=live_B, other=0.0).to(tl.float32)
    offset_y_B = tl.load(offset + 2 * point_B + 1, mask=live_B, other=0.0).to(tl.float32)
    mask_B = tl.load(mask + point_B, mask=live_B, other=0.0).to(tl.float32)
    left_B, right_share_B = _axis(centre_x_B, offset_x_B, grid_x, scale, width)
    top_B, lower_share_B = _axis(centre_y_B, offset_y_B, grid_y, scale, height)
    return point_B, mask_B, top_B, lower_share_B, left_B, right_share_B


@triton.jit
def _row(y_B, x_B, height, width, image_B, group_B, live_B, live_C, channel_C,
         NUM_GROUPS: tl.constexpr, CHANNELS: tl.constexpr):  # fmt: skip
    """Addresses of a pixel's channels in the map, and whether the pixel is inside."""
    inside_B = live_B & (y_B >= 0) & (y_B < height) & (x_B >= 0) & (x_B < width)
    row_B = ((image_B + y_B.to(tl.int64) * width + x_B) * NUM_GROUPS + group_B) * CHANNELS
    return row_B[:, None] + channel_C[None, :], inside_B[:, None] & live_C[None, :]


@triton.jit(do_not_specialize=SIZES)
def _forward_kernel(value, offset, mask, output, num_bags, height, width, out_h, out_w, scale,
                    KERNEL_H: tl.constexpr, KERNEL_W: tl.constexpr, STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr,
                    DILATION_H: tl.constexpr, DILATION_W: tl.constexpr, ORIGIN_H: tl.constexpr, ORIGIN_W: tl.constexpr,
                    NUM_GROUPS: tl.constexpr, CHANNELS: tl.constexpr, PADDED: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    bag_B = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live_B = bag_B < num_bags
    channel_C = tl.arange(0, PADDED)
    live_C = channel_C < CHANNELS
    group_B, image_B, centre_y_B, centre_x_B = _place(
        bag_B, height, width, out_h, out_w, STRIDE_H, STRIDE_W, ORIGIN_H, ORIGIN_W, NUM_GROUPS
    )
    sum_BC = tl.zeros([BLOCK, PADDED], tl.float32)
    for k in range(KERNEL_H * KERNEL_W):
        _, mask_B, top_B, lower_share_B, left_B, right_share_B = _point(
            offset, mask, bag_B, k, centre_y_B, centre_x_B, scale, height, width, live_B,
            KERNEL_H, KERNEL_W, DILATION_H, DILATION_W,
        )  # fmt: skip
        for down in tl.static_range(2):
            for aside in tl.static_range(2):
                share_y_B = lower_share_B if down else 1 - lower_share_B
                share_x_B = right_share_B if aside else 1 - right_share_B
                row_BC, inside_BC = _row(top_B + down, left_B + aside, height, width, image_B, group_B, live_B, live_C,
                                         channel_C, NUM_GROUPS, CHANNELS)  # fmt: skip
                pixel_BC = tl.load(value + row_BC, mask=inside_BC, other=0.0).to(tl.float32)
                sum_BC += (mask_B * share_y_B * share_x_B)[:, None] * pixel_BC
    where_BC = bag_B.to(tl.int64)[:, None] * CHANNELS + channel_C[None, :]
    tl.store(output + where_BC, sum_BC.to(output.dtype.element_ty), mask=live_B[:, None] & live_C[None, :])


@triton.jit(do_not_specialize=SIZES)
def _backward_kernel(grad_output, value, offset, mask, grad_value, grad_offset, grad_mask,
                     num_bags, height, width, out_h, out_w, scale,
                     KERNEL_H: tl.constexpr, KERNEL_W: tl.constexpr, STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr,
                     DILATION_H: tl.constexpr, DILATION_W: tl.constexpr, ORIGIN_H: tl.constexpr, ORIGIN_W: tl.constexpr,
                     NUM_GROUPS: tl.constexpr, CHANNELS: tl.constexpr, PADDED: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    bag_B = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live_B = bag_B < num_bags
    channel_C = tl.arange(0, PADDED)
    live_C = channel_C < CHANNELS
    group_B, image_B, centre_y_B, centre_x_B = _place(
        bag_B, height, width, out_h, out_w, STRIDE_H, STRIDE_W, ORIGIN_H, ORIGIN_W, NUM_GROUPS
    )
    where_BC = bag_B.to(tl.int64)[:, None] * CHANNELS + channel_C[None, :]
    grad_BC = tl.load(grad_output + where_BC, mask=live_B[:, None] & live_C[None, :], other=0.0).to(tl.float32)
    for k in range(KERNEL_H * KERNEL_W):
        point_B, mask_B, top_B, lower_share_B, left_B, right_share_B = _point(
            offset, mask, bag_B, k, centre_y_B, centre_x_B, scale, height, width, live_B,
            KERNEL_H, KERNEL_W, DILATION_H, DILATION_W,
        )  # fmt: skip
        sample_B = tl.zeros([BLOCK], tl.float32)  # the sample times the gradient, and its slopes along x and y
        slope_x_B = tl.zeros([BLOCK], tl.float32)
        slope_y_B = tl.zeros([BLOCK], tl.float32)
        for down in tl.static_range(2):
            for aside in tl.static_range(2):
                share_y_B = lower_share_B if down else 1 - lower_share_B
                share_x_B = right_share_B if aside else 1 - right_share_B
                row_BC, inside_BC = _row(top_B + down, left_B + aside, height, width, image_B, group_B, live_B, live_C,
                                         channel_C, NUM_GROUPS, CHANNELS)  # fmt: skip
                pixel_BC = tl.load(value + row_BC, mask=inside_BC, other=0.0).to(tl.float32)
                product_B = tl.sum(pixel_BC * grad_BC, axis=1)
                sample_B += share_y_B * share_x_B * product_B
                slope_x_B += (share_y_B if aside else -share_y_B) * product_B
                slope_y_B += (share_x_B if down else -share_x_B) * product_B
                weight_B = mask_B * share_y_B * share_x_B
                tl.atomic_add(grad_value + row_BC, weight_B[:, None] * grad_BC, mask=inside_BC, sem="relaxed")
        tl.store(grad_mask + point_B, sample_B.to(grad_mask.dtype.element_ty), mask=live_B)
        scaled_B = scale * mask_B
        tl.store(grad_offset + 2 * point_B, (scaled_B * slope_x_B).to(grad_offset.dtype.element_ty), mask=live_B)
        tl.store(grad_offset + 2 * point_B + 1, (scaled_B * slope_y_B).to(grad_offset.dtype.element_ty), mask=live_B)


def forward(value: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry) -> Tensor:
    """Shapes as in :func:`bridgenet.ops.dcnv3`; contiguous tensors in float32, bfloat16 or float16."""
    output = value.new_empty(value.shape[0], offset.shape[1], offset.shape[2], value.shape[3])
    _launch(_forward_kernel, (value, offset, mask, output), value, offset, geometry)
    return output


def backward(
    grad_output: Tensor, value: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of value, offset and mask. The gradient of value is summed by atomic additions, in no fixed order."""
    grad_value = torch.zeros_like(value, dtype=torch.float32)
    grad_offset, grad_mask = torch.empty_like(offset), torch.empty_like(mask)
    tensors = (grad_output, value, offset, mask, grad_value, grad_offset, grad_mask)
    _launch(_backward_kernel, tensors, value, offset, geometry)
    return grad_value.to(value.dtype), grad_offset, grad_mask


def _launch(
    kernel: triton.JITFunction, tensors: tuple[Tensor, ...], value: Tensor, offset: Tensor, geometry: Geometry
) -> None:
    _, height, width, channels = value.shape
    batch, out_h, out_w, _ = offset.shape
    groups = geometry.num_groups
    padded = triton.next_power_of_2(channels // groups)
    block = max(1, BLOCK_ELEMENTS // padded)
    num_bags = batch * out_h * out_w * groups
    if num_bags == 0:
        return
    if num_bags > MAX_BAGS:
        raise ValueError(f"{batch} maps of {out_h}×{out_w} in {groups} groups are too many at once; give fewer")
    origin = [
        dilation * (kernel_side - 1) / 2 - padding
        for dilation, kernel_side, padding in zip(geometry.dilation, geometry.kernel, geometry.padding)
    ]
    kernel[(triton.cdiv(num_bags, block),)](
        *tensors,
        num_bags,
        height,
        width,
        out_h,
        out_w,
        geometry.offset_scale,
        KERNEL_H=geometry.kernel[0],
        KERNEL_W=geometry.kernel[1],
        STRIDE_H=geometry.stride[0],
        STRIDE_W=geometry.stride[1],
        DILATION_H=geometry.dilation[0],
        DILATION_W=geometry.dilation[1],
        ORIGIN_H=origin[0],
        ORIGIN_W=origin[1],
        NUM_GROUPS=groups,
        CHANNELS=channels // groups,
        PADDED=padded,
        BLOCK=block,
    )
