"""Capabilities of processor and GPU."""

from __future__ import annotations

from pathlib import Path

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 faster than in float32 (CPUs: AVX-512 BF16, AMX, or Arm's BF16)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:  # not Linux: unknown
        return False
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(words))
