"""The DCNv3 operator against the golden geometries: outputs and all gradients."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from bridgenet.ops import dcnv3
from tests.golden.golden import golden_dir

FILE = golden_dir() / "dcnv3.json"
CASES = json.loads(FILE.read_text())["cases"] if FILE.exists() else []


@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("index", range(len(CASES)))
def test_dcnv3(index: int, dtype: torch.dtype, bound: float) -> None:
    case = CASES[index]
    tensors = load_file(FILE.with_suffix(".safetensors"))
    golden = {key.split(".", 1)[1]: x.to(dtype) for key, x in tensors.items() if key.startswith(f"{index}.")}
    value, offset, mask = (golden[name].requires_grad_() for name in ("input", "offset", "mask"))
    output = dcnv3(
        value,
        offset,
        mask,
        kernel_size=case["kernel"],
        stride=case["stride"],
        padding=case["pad"],
        dilation=case["dilation"],
        num_groups=case["group"],
        offset_scale=case["offset_scale"],
    )
    output.backward(golden["grad_output"])
    got = {"output": output, "grad_input": value.grad, "grad_offset": offset.grad, "grad_mask": mask.grad}
    for name, tensor in got.items():
        error = (tensor - golden[name]).abs().max().item()
        # Gradients of offsets grow with the values' differences: in float32 the bound is relative to the largest.
        scale = max(1.0, golden[name].abs().max().item()) if dtype == torch.float32 else 1.0
        assert error <= bound * scale, f"{name}: off by {error:.3g}"
