"""The DCNv3 operator against the golden geometries: outputs and all gradients."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from bridgenet.ops import dcnv3
from tests.golden.golden import golden_dir

FILE = golden_dir() / "dcnv3.json"
CASES = json.loads(FILE.read_text())["cases"] if FILE.exists() and FILE.with_suffix(".safetensors").exists() else []


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
        assert error <= bound, f"{name}: off by {error:.3g}"


def test_bfloat16_keeps_its_coordinates() -> None:
    """At widths beyond 256 steps of bfloat16, sampling stays as exact as the values' own rounding."""
    torch.manual_seed(0)
    value, offset = torch.randn(1, 5, 300, 4), torch.randn(1, 5, 300, 36)
    mask = torch.rand(1, 5, 300, 18)
    exact = dcnv3(value.bfloat16().float(), offset.bfloat16().float(), mask.bfloat16().float(), num_groups=2)
    rounded = dcnv3(value.bfloat16(), offset.bfloat16(), mask.bfloat16(), num_groups=2)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=1e-2, atol=1e-2)
