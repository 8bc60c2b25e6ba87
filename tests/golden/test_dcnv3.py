"""The DCNv3 operator against the golden geometries: outputs and all gradients. (The Triton kernels: tests/ops.)"""

from __future__ import annotations

import os

import pytest
import torch

from bridgenet.ops.dcnv3 import Implementation
from tests.ops.cases import golden_cases

CASES = golden_cases()


def test_cases_are_there() -> None:
    """The project's own golden folder has them; another one may have none."""
    assert CASES or os.environ.get("BRIDGENET_GOLDEN")


@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("implementation", ["plain", "operator"])
@pytest.mark.parametrize("index", range(len(CASES)))
def test_dcnv3(index: int, implementation: Implementation, dtype: torch.dtype, bound: float) -> None:
    case = CASES[index]
    assert case.expected is not None
    for name, tensor in case.run(dtype, implementation).items():
        error = (tensor.double() - case.expected[name]).abs().max().item()
        assert error <= bound, f"{name}: off by {error:.3g}"
