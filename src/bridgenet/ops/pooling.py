"""Average pooling whose last windows may hang over the map, also where the map's size is not known yet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet.ops.exporting import is_exporting


def average_pool(x_BCHW: Tensor, kernel: int, stride: int, padding: int = 0) -> Tensor:
    """`F.avg_pool2d` with `ceil_mode=True`: means over `kernel`² pixels, zeros of the padding included.

    While a network is exported or compiled it is written without `ceil_mode`, whose number of windows PyTorch decides by the
    example's size, which ONNX's runtimes compute differently, and whose gradient Inductor (torch 2.14) gets silently wrong:
    zeros are put around the map, and each window is divided by its own share.
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
