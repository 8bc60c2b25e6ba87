"""The sampling positions of DCNv3, shared by all implementations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Size = int | tuple[int, int]


DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def _pair(name: str, value: Size, least: int) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, list | tuple) else ()
    if len(pair) != 2 or not all(isinstance(side, int) and side >= least for side in pair):
        raise ValueError(f"{name} is {value!r}, expected a whole number of at least {least}, or two: (height, width)")
    return pair


@dataclass(frozen=True)
class Geometry:
    """Kernel, stride, padding and dilation as (height, width), number of groups, and the factor of the offsets."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    num_groups: int
    offset_scale: float

    @classmethod
    def of(
        cls, kernel_size: Size, stride: Size, padding: Size, dilation: Size, num_groups: int, offset_scale: float
    ) -> Geometry:
        """Parse sides that are one number or (height, width); ValueError for anything else."""
        if not isinstance(num_groups, int) or num_groups < 1:
            raise ValueError(f"num_groups is {num_groups!r}, expected a whole number of at least 1")
        return cls(
            _pair("kernel_size", kernel_size, 1),
            _pair("stride", stride, 1),
            _pair("padding", padding, 0),
            _pair("dilation", dilation, 1),
            num_groups,
            float(offset_scale),
        )

    @property
    def num_points(self) -> int:
        """K, points of the kernel."""
        return self.kernel[0] * self.kernel[1]

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(Ho, Wo) of a map of `size` (H, W)."""
        sides = zip(size, self.kernel, self.stride, self.padding, self.dilation)
        height, width = ((side + 2 * pad - dilate * (k - 1) - 1) // step + 1 for side, k, step, pad, dilate in sides)
        return height, width

    def check(self, value: Tensor, offset: Tensor, mask: Tensor) -> None:
        """ValueError, with actual and expected values, unless dtypes, devices and shapes are consistent."""
        for name, tensor in (("value", value), ("offset", offset), ("mask", mask)):
            if tensor.dtype not in DTYPES or tensor.device != value.device:
                kinds = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
                raise ValueError(
                    f"{name} is {tensor.dtype} on {tensor.device}, expected one of {kinds}, on {value.device} as value is"
                )
        if value.dim() != 4 or value.shape[-1] % self.num_groups or 0 in value.shape[1:]:
            raise ValueError(
                f"value has shape {tuple(value.shape)}, expected (N, H, W, C) with C divisible by {self.num_groups} groups "
                "and nothing but N of 0"
            )
        out = (value.shape[0], *self.output_size((value.shape[1], value.shape[2])))
        if min(out[1:]) < 1:
            raise ValueError(
                f"a map of {value.shape[1]}×{value.shape[2]} is smaller than the kernel, dilated, less padding"
            )
        for name, tensor, channels in (("offset", offset, 2), ("mask", mask, 1)):
            expected = (*out, self.num_groups * self.num_points * channels)
            if tuple(tensor.shape) != expected:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {expected}")

    def centres(self, axis: int, length: int, like: Tensor) -> Tensor:
        """p₀ of `length` output positions along axis 0 (y) or 1 (x) [pixels]."""
        half = self.dilation[axis] * (self.kernel[axis] - 1) / 2
        positions = torch.arange(length, device=like.device, dtype=like.dtype)
        return positions * self.stride[axis] - self.padding[axis] + half

    def grid(self, axis: int, like: Tensor) -> Tensor:
        """grid_k of the K points along an axis [pixels]; x (width) is the slow index, y the fast one."""
        height, width = self.kernel
        steps = torch.arange(self.kernel[axis], device=like.device, dtype=like.dtype)
        steps = steps * self.dilation[axis] - self.dilation[axis] * (self.kernel[axis] - 1) / 2
        return steps.repeat_interleave(height) if axis == 1 else steps.repeat(width)
