"""DCNv3 as one operator, `bridgenet::dcnv3`, that is opaque to autograd, autocast and `torch.compile`.

On the CPU it is computed by :mod:`cpu`, on CUDA by the Triton kernels in :mod:`triton_kernels`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from bridgenet.ops.dcnv3 import cpu
from bridgenet.ops.dcnv3.geometry import Geometry


def applies_to(value: Tensor) -> bool:
    """Whether the operator supports a tensor: any on the CPU; on CUDA up to float32, if Triton works."""
    if value.device.type == "cpu":
        return True
    return value.device.type == "cuda" and value.dtype != torch.float64 and triton_works()


@torch.compiler.assume_constant_result
@cache
def triton_works() -> bool:
    """Whether Triton is installed and can start kernels, for which it builds a launcher with the system's C compiler."""
    try:
        import triton

        triton.runtime.driver.active.get_current_device()
    except ImportError:
        return False
    except Exception as error:  # the build may raise anything
        warnings.warn(f"DCNv3 uses its slow implementation, as Triton does not work here: {error}", stacklevel=2)
        return False
    return True


def arguments(geometry: Geometry) -> tuple[Any, ...]:
    """A geometry as arguments of the operator (operators accept no objects)."""
    sides = (geometry.kernel, geometry.stride, geometry.padding, geometry.dilation)
    return (*map(list, sides), geometry.num_groups, geometry.offset_scale)


def _geometry(
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    num_groups: int,
    offset_scale: float,
) -> Geometry:
    return Geometry.of(tuple(kernel), tuple(stride), tuple(padding), tuple(dilation), num_groups, offset_scale)  # type: ignore[arg-type]


@torch.library.custom_op("bridgenet::dcnv3", mutates_args=(), device_types="cpu")
def dcnv3_operator(
    value: Tensor,
    offset: Tensor,
    mask: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    num_groups: int,
    offset_scale: float,
) -> Tensor:
    """Shapes as in :func:`bridgenet.ops.dcnv3`, which has checked the arguments."""
    geometry = _geometry(kernel, stride, padding, dilation, num_groups, offset_scale)
    return cpu.forward(value.contiguous(), offset.contiguous(), mask.contiguous(), geometry)


@torch.library.custom_op("bridgenet::dcnv3_backward", mutates_args=(), device_types="cpu")
def dcnv3_backward_operator(
    grad_output: Tensor,
    value: Tensor,
    offset: Tensor,
    mask: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    num_groups: int,
    offset_scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of value, offset and mask."""
    geometry = _geometry(kernel, stride, padding, dilation, num_groups, offset_scale)
    grad_output = grad_output.contiguous()
    return cpu.backward(grad_output, value.contiguous(), offset.contiguous(), mask.contiguous(), geometry)


@dcnv3_operator.register_kernel("cuda")
def _forward_cuda(value: Tensor, offset: Tensor, mask: Tensor, *geometry: Any) -> Tensor:
    from bridgenet.ops.dcnv3 import triton_kernels

    with torch.cuda.device_of(value):
        return triton_kernels.forward(value.contiguous(), offset.contiguous(), mask.contiguous(), _geometry(*geometry))


@dcnv3_backward_operator.register_kernel("cuda")
def _backward_cuda(
    grad_output: Tensor, value: Tensor, offset: Tensor, mask: Tensor, *geometry: Any
) -> tuple[Tensor, Tensor, Tensor]:
    from bridgenet.ops.dcnv3 import triton_kernels

    grad_output, value = grad_output.contiguous(), value.contiguous()
    with torch.cuda.device_of(value):
        return triton_kernels.backward(grad_output, value, offset.contiguous(), mask.contiguous(), _geometry(*geometry))


@dcnv3_operator.register_fake
def _forward_fake(value: Tensor, offset: Tensor, mask: Tensor, *geometry: Any) -> Tensor:
    return value.new_empty((value.shape[0], offset.shape[1], offset.shape[2], value.shape[3]))


@dcnv3_backward_operator.register_fake
def _backward_fake(
    grad_output: Tensor, value: Tensor, offset: Tensor, mask: Tensor, *geometry: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return value.new_empty(value.shape), offset.new_empty(offset.shape), mask.new_empty(mask.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.geometry = inputs[3:]


def _differentiate(ctx: Any, grad_output: Tensor) -> tuple[Any, ...]:
    grads = dcnv3_backward_operator(grad_output, *ctx.saved_tensors, *ctx.geometry)
    return (*grads, *(None for _ in ctx.geometry))


def _refuse(ctx: Any, *grads: Tensor) -> Any:
    raise RuntimeError("DCNv3's operator is differentiable once; for more use implementation='plain'")


dcnv3_operator.register_autograd(_differentiate, setup_context=_save)
dcnv3_backward_operator.register_autograd(_refuse)
