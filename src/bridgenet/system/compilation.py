"""Precision of a forward pass, and `torch.compile` with checks and errors for users."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet.errors import UserError

Function = TypeVar("Function", bound=Callable[..., Any])
Pair = int | tuple[int, int]


def check_compiler(device: torch.device) -> None:
    """UserError if PyTorch's compiler lacks a C++ compiler or Triton for the device."""
    if device.type == "cuda":
        if importlib.util.find_spec("triton") is None:
            raise UserError(
                "compile needs Triton on a GPU, which is not installed; pip install triton, or do without compile"
            )
        variable, names = "CC", ["cc", "gcc", "clang"]
    else:
        variable, names = "CXX", ["clang++" if sys.platform == "darwin" else "cl" if sys.platform == "win32" else "g++"]
    names = [os.environ[variable]] if os.environ.get(variable) else names
    if not any(map(shutil.which, names)):
        raise UserError(
            f"compile needs a compiler, and there is no {' or '.join(names)}; install one (or name yours: {variable}=…), "
            "or do without compile"
        )


def compiled(function: Function, backend: str) -> Function:
    """Compile a function at its first call, with right gradients. UserError with the start of the compiler's message if that fails."""

    def compile_graph(graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        for node in graph.graph.nodes:
            if node.op == "call_function" and node.target is F.avg_pool2d:
                node.target = average_pool
        graph.recompile()
        return torch._dynamo.lookup_backend(backend)(graph, inputs)

    fast = torch.compile(function, backend=compile_graph)

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return fast(*arguments, **options)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"compile: PyTorch's compiler failed ({reason}); try without compile") from error

    return call  # type: ignore[return-value]


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Create the autocast context of a forward pass in `float32` or `bfloat16`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def average_pool(
    x_BCHW: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Compute `F.avg_pool2d` with partial windows (ceil_mode) completed first and divided afterwards.

    Inductor (torch 2.14) divides the gradient of such windows by their whole size, without an error.
    """
    if not (ceil_mode and count_include_pad and divisor_override is None):
        return F.avg_pool2d(x_BCHW, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    kernels, paddings = _pair(kernel_size), _pair(padding)
    strides = _pair(kernel_size if stride is None else stride)
    around: list[int] = []
    counts = []
    for size, kernel, step, pad in zip(x_BCHW.shape[-2:], kernels, strides, paddings):
        last = -(-(size + 2 * pad - kernel) // step) * step  # where the last window begins
        if last >= size + pad:  # entirely in the padding: there is none
            last -= step
        overhang = max(0, last + kernel - size - 2 * pad)
        around = [pad, pad + overhang, *around]  # the last axis first
        counts.append([min(kernel, size + 2 * pad - begin) for begin in range(0, last + 1, step)])
    rows, columns = (torch.tensor(count, dtype=x_BCHW.dtype, device=x_BCHW.device) for count in counts)
    return F.avg_pool2d(F.pad(x_BCHW, around), kernels, strides) * (kernels[0] * kernels[1] / (rows[:, None] * columns))


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
