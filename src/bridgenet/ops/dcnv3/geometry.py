"""Where DCNv3 samples: the numbers that say so, shared by all ways of computing it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Size = int | tuple[int, int]


def _pair(value: Size) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


@dataclass(frozen=True)
class Geometry:
    """Kernel, stride, padding and dilation as (height, width), number of groups, and the displacements' factor."""

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
        """From sides given as one number or as (height, width)."""
        sides = (_pair(kernel_size), _pair(stride), _pair(padding), _pair(dilation))
        return cls(*sides, int(num_groups), float(offset_scale))

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
        """ValueError, naming what was got and expected, unless the shapes belong together."""
        if value.dim() != 4 or value.shape[-1] % self.num_groups:
            raise ValueError(
                f"value has shape {tuple(value.shape)}, expected (N, H, W, C) with C divisible by {self.num_groups} groups"
            )
        out = (value.shape[0], *self.output_size((value.shape[1], value.shape[2])))
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
