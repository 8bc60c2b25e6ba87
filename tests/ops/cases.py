"""Inputs of DCNv3 that tests share: the golden geometries and random ones."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from bridgenet.ops.dcnv3 import Implementation, dcnv3
from bridgenet.ops.dcnv3.geometry import Geometry
from tests.golden.golden import golden_dir

NAMES = ("output", "grad_value", "grad_offset", "grad_mask")
RANDOM = 50


@dataclass
class Case:
    """value, offset, mask and the gradient of the output, float64; `expected`: output and gradients, where stored."""

    geometry: Geometry
    inputs: tuple[Tensor, Tensor, Tensor]
    grad_output: Tensor
    expected: dict[str, Tensor] | None = None

    def run(
        self, dtype: torch.dtype, implementation: Implementation = "auto", device: str = "cpu"
    ) -> dict[str, Tensor]:
        """Output and gradients by the names of NAMES."""
        tensors = [tensor.detach().to(device, dtype, copy=True).requires_grad_() for tensor in self.inputs]
        output = dcnv3(*tensors, **self.settings, implementation=implementation)
        output.backward(self.grad_output.to(device, dtype))
        return dict(zip(NAMES, (output.detach(), *(tensor.grad for tensor in tensors))))

    @property
    def settings(self) -> dict[str, Any]:
        g = self.geometry
        return {
            "kernel_size": g.kernel,
            "stride": g.stride,
            "padding": g.padding,
            "dilation": g.dilation,
            "num_groups": g.num_groups,
            "offset_scale": g.offset_scale,
        }

    def rounded(self, dtype: torch.dtype) -> Case:
        """The case with inputs that `dtype` holds exactly."""
        round_ = [tensor.to(dtype).double() for tensor in (*self.inputs, self.grad_output)]
        return Case(self.geometry, (round_[0], round_[1], round_[2]), round_[3])


def golden_cases() -> list[Case]:
    """The stored geometries; none if the golden folder has none."""
    file = golden_dir() / "dcnv3.json"
    if not (file.exists() and file.with_suffix(".safetensors").exists()):
        return []
    tensors = load_file(file.with_suffix(".safetensors"))
    cases = []
    for i, case in enumerate(json.loads(file.read_text())["cases"]):
        geometry = Geometry.of(
            case["kernel"], case["stride"], case["pad"], case["dilation"], case["group"], case["offset_scale"]
        )
        inputs = (tensors[f"{i}.input"], tensors[f"{i}.offset"], tensors[f"{i}.mask"])
        stored = ("output", "grad_input", "grad_offset", "grad_mask")
        expected = {name: tensors[f"{i}.{theirs}"] for name, theirs in zip(NAMES, stored)}
        cases.append(Case(geometry, inputs, tensors[f"{i}.grad_output"], expected))
    return cases


def random_case(seed: int) -> Case:
    """Any kernel, stride, padding, dilation and groups; locations inside, at and far outside the borders."""
    draw, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    kernel = (draw.randint(1, 4), draw.randint(1, 4))
    dilation, stride = (draw.randint(1, 3), draw.randint(1, 3)), (draw.randint(1, 3), draw.randint(1, 3))
    padding = (draw.randint(0, 3), draw.randint(0, 3))
    spans = [d * (k - 1) + 1 - 2 * p for d, k, p in zip(dilation, kernel, padding)]
    height, width = (max(1, span) + draw.randint(0, 6) for span in spans)
    groups, per_group, batch = draw.randint(1, 4), draw.choice([1, 3, 4, 16, 20]), draw.randint(1, 3)
    geometry = Geometry.of(kernel, stride, padding, dilation, groups, draw.choice([0.5, 1.0, 2.0]))
    out = (batch, *geometry.output_size((height, width)))

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    offset = normal(*out, groups * geometry.num_points * 2) * draw.choice([0.3, 3.0, 30.0])
    mask = normal(*out, groups * geometry.num_points)
    value = normal(batch, height, width, groups * per_group)
    return Case(geometry, (value, offset, mask), normal(*out, groups * per_group))
