"""The machine of a benchmark, and checks of devices and precisions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridgenet.errors import UserError
from bridgenet.system.parallel import cores
from bridgenet.version import __version__

LIBRARIES = ("torch", "timm", "numpy", "scipy", "opencv-python-headless", "accelerate")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Flags of bfloat16 products in /proc/cpuinfo, on x86 and ARM."""


def describe(devices: Sequence[str]) -> dict[str, Any]:
    """Describe the machine: processor, cores, threads, memory [bytes], system, and GPU if one is used."""
    import torch

    memory = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found: dict[str, Any] = {
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": cores(),
        "cores_of_the_machine": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": memory,
        "system": platform.platform(),
    }
    if "cuda" in devices:
        properties = torch.cuda.get_device_properties(0)
        found["gpu"] = {
            "name": properties.name,
            "memory": properties.total_memory,
            "cuda": torch.version.cuda,
            "tf32": {"matmul": torch.backends.cuda.matmul.allow_tf32, "cudnn": torch.backends.cudnn.allow_tf32},
        }
    return found


def versions() -> dict[str, str]:
    """The versions of this package, Python and the main libraries."""
    found = {"bridgenet": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def in_words(machine: dict[str, Any], libraries: dict[str, str]) -> str:
    """Format machine and versions as two lines of text."""
    parts = [f"{machine['processor']} ({machine['capability']})"]
    parts += [f"{machine[f'{name}s']} {name}{'s' * (machine[f'{name}s'] != 1)}" for name in ("core", "thread")]
    if machine["memory"]:
        parts.append(f"{machine['memory'] / 1e9:.0f} GB")
    if gpu := machine.get("gpu"):
        parts.append(f"{gpu['name']}, {gpu['memory'] / 1e9:.0f} GB, CUDA {gpu['cuda']}")
    return ", ".join(parts) + "\n" + ", ".join(f"{name} {version}" for name, version in libraries.items())


def choose_devices(asked: Sequence[str]) -> list[str]:
    """The unique devices `cpu` and `cuda`; `auto` is the GPU if there is one. UserError for a missing GPU."""
    import torch

    available = torch.cuda.is_available()
    if "cuda" in asked and not available:
        raise UserError("--device cuda: there is no GPU that PyTorch can use here; give --device cpu")
    chosen = [("cuda" if available else "cpu") if device == "auto" else device for device in asked]
    return list(dict.fromkeys(chosen))


def check_precisions(devices: Sequence[str], precisions: Sequence[str]) -> None:
    """UserError for bfloat16 on a device that only emulates it."""
    import torch

    if "bfloat16" not in precisions:
        return
    if "cuda" in devices and torch.cuda.get_device_capability() < (8, 0):
        raise UserError(
            f"--precision bfloat16: {torch.cuda.get_device_name()} does not compute in it; give --precision float32"
        )
    flags = (_cpuinfo("flags") or _cpuinfo("Features")).split()  # empty where the system does not report them
    if "cpu" in devices and flags and not BFLOAT16_FLAGS & set(flags):
        raise UserError("--precision bfloat16: this processor does not compute in it; give --precision float32")


def _cpuinfo(key: str) -> str:
    """The first value of a key in Linux's description of the processor, or nothing."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")
