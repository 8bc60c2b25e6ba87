"""The Triton kernels: in Triton's interpreter on the CPU, through Triton's compiler without a GPU, and on a GPU."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.ops.cases import NAMES, RANDOM, Case, golden_cases, random_case

triton = pytest.importorskip("triton", reason="Triton is not installed (it comes with PyTorch on Linux)")

BOUNDS = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
"""Of the largest value of a tensor, at least 1: rounding of results (and, for float32, of sums and coordinates)."""
INTERPRETED = [*golden_cases(), *(random_case(seed) for seed in range(6))]
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")


def check(got: dict[str, Tensor], case: Case, dtype: torch.dtype) -> None:
    """Against the plain way in float64 on the same rounded inputs."""
    expected = case.expected if dtype == torch.float32 and case.expected else case.run(torch.float64, "plain")
    for name, tensor in got.items():
        assert tensor.dtype == dtype
        error = (tensor.double().cpu() - expected[name]).abs().max().item()
        bound = BOUNDS[dtype] * max(1.0, expected[name].abs().max().item())
        assert error <= bound, f"{case.geometry}: {name} is off by {error:.3g}, allowed {bound:.3g}"


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[torch.dtype, list[tuple[Case, dict[str, Tensor]]]]:
    """Every case and what the interpreter makes of it, by dtype."""
    folder = tmp_path_factory.mktemp("interpret")
    rounded = {
        dtype: [case.rounded(dtype) if dtype != torch.float32 else case for case in INTERPRETED] for dtype in BOUNDS
    }
    jobs = [
        (dataclasses.astuple(case.geometry), *(x.to(dtype) for x in (*case.inputs, case.grad_output)))
        for dtype, cases in rounded.items()
        for case in cases
    ]
    torch.save(jobs, folder / "in.pt")
    command = [sys.executable, "-m", "tests.ops.interpret", str(folder / "in.pt"), str(folder / "out.pt")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=300)
    assert done.returncode == 0, done.stderr
    results = iter(torch.load(folder / "out.pt", weights_only=True))
    return {dtype: [(case, dict(zip(NAMES, next(results)))) for case in cases] for dtype, cases in rounded.items()}


@pytest.mark.parametrize("index", range(len(INTERPRETED)))
@pytest.mark.parametrize("dtype", BOUNDS, ids=str)
def test_interpreted(interpreted, dtype: torch.dtype, index: int) -> None:
    case, got = interpreted[dtype][index]
    check(got, case, dtype)


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16", "bf16 with fp32 mask"])
@pytest.mark.parametrize("kernel, pointers", [("_forward_kernel", 4), ("_backward_kernel", 7)])
@pytest.mark.parametrize("side, channels", [(3, 16), (2, 5)], ids=["3×3", "2×2 of 5 channels"])
def test_compiles_without_a_gpu(kernel: str, pointers: int, dtype: str, side: int, channels: int) -> None:
    """What the interpreter takes, the compiler may refuse: to machine code for an NVIDIA GPU of compute capability 9.0."""
    compiler = pytest.importorskip("triton.compiler")
    backends = pytest.importorskip("triton.backends.compiler")
    from bridgenet.ops.dcnv3 import triton_kernels

    function = getattr(triton_kernels, kernel)
    constants = dict.fromkeys(("KERNEL_H", "KERNEL_W"), side) | dict.fromkeys(("ORIGIN_H", "ORIGIN_W"), 0.0)
    constants |= dict.fromkeys(("STRIDE_H", "STRIDE_W", "DILATION_H", "DILATION_W"), 1)
    padded = triton.next_power_of_2(channels)
    constants |= {"NUM_GROUPS": 10, "CHANNELS": channels, "PADDED": padded, "BLOCK": 1024 // padded}
    dtype, _, mask_dtype = dtype.partition(" with ")
    special = {"grad_value": "*fp32", **({"mask": "*fp32", "grad_mask": "*fp32"} if mask_dtype else {})}
    signature = {}
    for i, name in enumerate(function.arg_names):
        signature[name] = "constexpr" if name in constants else "fp32" if name == "scale" else "i32"
        if i < pointers:
            signature[name] = special.get(name, f"*{dtype}")
    places = {(function.arg_names.index(name),): value for name, value in constants.items()}
    if "constexprs" not in inspect.signature(compiler.ASTSource).parameters:
        pytest.skip(f"the compiler's interface is another in Triton {triton.__version__}")
    source = compiler.ASTSource(fn=function, signature=signature, constexprs=places)
    compiled = compiler.compile(source, target=backends.GPUTarget("cuda", 90, 32))
    assert kernel in compiled.asm["ptx"]


@needs_gpu
@pytest.mark.parametrize("dtype", BOUNDS, ids=str)
def test_on_a_gpu(dtype: torch.dtype) -> None:
    for case in [*golden_cases(), *(random_case(seed) for seed in range(RANDOM))]:
        rounded = case if dtype == torch.float32 else case.rounded(dtype)
        check(rounded.run(dtype, "operator", device="cuda"), rounded, dtype)
