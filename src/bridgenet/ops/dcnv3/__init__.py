"""Deformable convolution v3 (DCNv3) without a compiler: one function with three implementations.

- *plain*: the definition in PyTorch operations, for any device and dtype, differentiable twice, exportable;
- on the CPU, sampling by `embedding_bag`, several times as fast (:mod:`cpu`);
- on NVIDIA GPUs, Triton kernels (:mod:`triton_kernels`).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from bridgenet.ops.dcnv3.geometry import Geometry, Size
from bridgenet.ops.dcnv3.operator import applies_to, arguments, dcnv3_operator
from bridgenet.ops.dcnv3.plain import dcnv3_plain
from bridgenet.ops.exporting import is_exporting

Implementation = Literal["auto", "plain", "operator"]


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
    implementation: Implementation = "auto",
) -> Tensor:
    """y = Σ_k mask_k · bilinear(value at p₀ + offset_scale·(grid_k + offset_k)), zero outside the map.

    Sides are one number or (height, width). There are K = kernel height · kernel width points, with x (width) as the slow
    index and y as the fast one. The *whole* displacement, grid included, is multiplied by `offset_scale`.
    Coordinates and sums are at least float32.

    Args:
        value: (N, H, W, C), channels last, floating point; C = num_groups · channels of a group.
        offset: (N, Ho, Wo, num_groups·K·2), (x, y) pairs [pixels].
        mask: (N, Ho, Wo, num_groups·K), already normalised.
        implementation: `"operator"`, one operator for autograd, autocast and `torch.compile`: fast on the CPU and, where
            Triton works, on CUDA in float32, bfloat16 and float16; differentiable once, backward. On CUDA the gradient of
            `value` is summed in no fixed order. `"plain"`, the definition: everywhere, differentiable twice, and forward.
            `"auto"` takes the operator where there is one; otherwise, and while a network is exported, the definition on
            PyTorch's `grid_sample`; under forward-mode derivatives and `torch.func`, plain.

    Returns:
        (N, Ho, Wo, C), of the dtype of `value`.

    Raises:
        ValueError: tensors or settings are inconsistent, or there is no operator for these tensors.

    Source: InternImage (Wang et al., CVPR 2023).
    """
    geometry = Geometry.of(kernel_size, stride, padding, dilation, num_groups, offset_scale)
    geometry.check(value, offset, mask)
    looked_into = _is_looked_into()
    if implementation == "operator" and (looked_into or not applies_to(value)):
        where = (
            "under torch.func or forward-mode derivatives" if looked_into else f"for {value.dtype} on {value.device}"
        )
        raise ValueError(f"no operator {where}; use implementation='plain'")
    if implementation == "plain" or looked_into:
        return dcnv3_plain(value, offset, mask, geometry, use_grid_sample=False)
    if is_exporting() or not applies_to(value):
        return dcnv3_plain(value, offset, mask, geometry, use_grid_sample=True)
    return dcnv3_operator(value, offset, mask, *arguments(geometry))


def _is_looked_into() -> bool:
    """Whether transforms are active that do not support an operator: they would take its derivatives for 0."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._are_functorch_transforms_active() or torch.autograd.forward_ad._current_level >= 0
