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

from bridgenet.errors import UserError

Function = TypeVar("Function", bound=Callable[..., Any])


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
    """Compile a function at its first call. UserError with the start of the compiler's message if that fails."""

    fast = torch.compile(function, backend=backend)

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
