"""Average pooling with partial windows at the border, also for maps of symbolic size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet.ops.exporting import is_exporting


def average_pool(x_BCHW: Tensor, kernel: int, stride: int, padding: int = 0) -> Tensor:
    """`F.avg_pool2d` with `ceil_mode=True`: means over `kernel`² pixels, zeros of the padding included.

    For export and compilation it is computed without `ceil_mode`: zeros are padded around the map, and each window is divided
    by its own number of pixels. With `ceil_mode` PyTorch would fix the number of windows by the example's size, ONNX
    runtimes compute other values, and Inductor (torch 2.14) computes a wrong gradient without an error.
    """
    if not (is_exporting() or torch.compiler.is_compiling()):
        return F.avg_pool2d(x_BCHW, kernel, stride=stride, padding=padding, ceil_mode=True)
    after = padding + stride - 1
    pooled = F.avg_pool2d(F.pad(x_BCHW, (padding, after, padding, after)), kernel, stride=stride)
    rows, columns = (
        (side + 2 * padding - stride * torch.arange(count, device=x_BCHW.device)).clamp(max=kernel).to(x_BCHW.dtype)
        for side, count in zip(x_BCHW.shape[-2:], pooled.shape[-2:])
    )
    return pooled * (kernel * kernel / (rows[:, None] * columns))
