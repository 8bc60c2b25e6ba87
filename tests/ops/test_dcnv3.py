"""DCNv3: the ways of computing it agree; autograd, autocast, `torch.compile` and exporters take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bridgenet.ops.dcnv3 import Implementation, cpu, dcnv3
from bridgenet.ops.dcnv3.operator import arguments, dcnv3_operator
from tests.ops.cases import NAMES, RANDOM, Case, random_case


def small(dtype: torch.dtype = torch.float64, size: tuple[int, int] = (4, 5)) -> tuple[Tensor, Tensor, Tensor]:
    """Value, offset and mask of 2 groups of 2 channels, 3×3 points."""
    generator = torch.Generator().manual_seed(0)
    channels = (4, 36, 18)
    made = (torch.randn(1, *size, c, generator=generator, dtype=torch.float64) for c in channels)
    value, offset, mask = (tensor.to(dtype).requires_grad_() for tensor in made)
    return value, offset, mask


@pytest.mark.parametrize("seed", range(RANDOM))
def test_operator_equals_the_definition(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "CHUNK", 200)  # several parts, also of one image
    case = random_case(seed)
    got, expected = case.run(torch.float64, "operator"), case.run(torch.float64, "plain")
    for name in NAMES:
        torch.testing.assert_close(got[name], expected[name], rtol=1e-9, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("implementation", ["plain", "operator"])
@pytest.mark.parametrize("dtype, bound", [(torch.bfloat16, 1.6e-2), (torch.float16, 2e-3)], ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_half_precision(seed: int, dtype: torch.dtype, bound: float, implementation) -> None:
    """As exact as the rounding of the results: sums and coordinates are float32."""
    case = random_case(seed).rounded(dtype)
    got, expected = case.run(dtype, implementation), case.run(torch.float64, "plain")
    for name in NAMES:
        assert got[name].dtype == dtype
        error = (got[name].double() - expected[name]).abs().max()
        assert error <= bound * max(1.0, expected[name].abs().max().item()), name


def test_bfloat16_keeps_its_coordinates() -> None:
    """At widths beyond 256 steps of bfloat16, sampling stays as exact as the values' own rounding."""
    torch.manual_seed(0)
    value, offset = torch.randn(1, 5, 300, 4), torch.randn(1, 5, 300, 36)
    mask = torch.rand(1, 5, 300, 18)
    exact = dcnv3(value.bfloat16().float(), offset.bfloat16().float(), mask.bfloat16().float(), num_groups=2)
    for implementation in ("plain", "operator"):
        rounded = dcnv3(
            value.bfloat16(), offset.bfloat16(), mask.bfloat16(), num_groups=2, implementation=implementation
        )
        assert rounded.dtype == torch.bfloat16
        torch.testing.assert_close(rounded.float(), exact, rtol=1e-2, atol=1e-2)


def test_plain_differentiates_twice() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, 2, 3, 2), (1, 1, 2, 8), (1, 1, 2, 4)]
    tensors = [torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]

    def function(*tensors: Tensor) -> Tensor:
        return dcnv3(*tensors, kernel_size=2, padding=0, num_groups=1, implementation="plain")

    assert torch.autograd.gradcheck(function, tensors)
    assert torch.autograd.gradgradcheck(function, tensors)


def test_operator_differentiates_once() -> None:
    value, offset, mask = small()
    output = dcnv3(value, offset, mask, num_groups=2)
    (grad,) = torch.autograd.grad(output.sum(), value, create_graph=True)
    with pytest.raises(RuntimeError, match="use implementation='plain'"):
        grad.square().sum().backward()


def test_forward_derivatives_and_transforms() -> None:
    """They would take an operator's derivative for 0: "auto" computes the plain way, and "operator" refuses."""
    inputs = tuple(tensor.detach() for tensor in small())
    tangents = tuple(torch.ones_like(tensor) for tensor in inputs)

    def function(*tensors: Tensor, implementation: Implementation = "auto") -> Tensor:
        return dcnv3(*tensors, num_groups=2, implementation=implementation)

    _, expected = torch.func.jvp(lambda *x: function(*x, implementation="plain"), inputs, tangents)
    assert expected.abs().max() > 0.1
    assert torch.equal(torch.func.jvp(function, inputs, tangents)[1], expected)
    with torch.autograd.forward_ad.dual_level():
        duals = [torch.autograd.forward_ad.make_dual(*pair) for pair in zip(inputs, tangents)]
        tangent = torch.autograd.forward_ad.unpack_dual(function(*duals)).tangent
        assert torch.equal(tangent, expected)
        with pytest.raises(ValueError, match="forward-mode derivatives; use implementation='plain'"):
            function(*duals, implementation="operator")
    got = torch.func.vmap(function)(*(tensor[:, None] for tensor in inputs))
    torch.testing.assert_close(got[:, 0], function(*inputs))


@pytest.mark.parametrize("implementation", ["plain", "operator"])
def test_maps_of_more_pixels_than_float32_counts(implementation: Implementation) -> None:
    """Row and column are exact in float32, their index is not."""
    side = 4200
    value = torch.arange(side * side, dtype=torch.float32).view(1, side, side, 1).remainder(251)
    settings = {"kernel_size": 1, "stride": 7, "padding": 0, "num_groups": 1, "implementation": implementation}
    out = value[:, ::7, ::7]
    assert torch.equal(dcnv3(value, torch.zeros(*out.shape[:3], 2), torch.ones_like(out), **settings), out)


def test_operator_is_well_registered() -> None:
    """PyTorch's own check: schema, autograd, shapes without data, tracing for the compiler."""
    case = random_case(3)
    inputs = tuple(tensor.requires_grad_() for tensor in case.inputs)
    torch.library.opcheck(dcnv3_operator, (*inputs, *arguments(case.geometry)))


def test_compile_sees_one_operator() -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, _inputs):
        graphs.append(graph)
        return graph

    compiled = torch.compile(lambda *x: dcnv3(*x, num_groups=2), backend=backend, fullgraph=True)
    inputs = [tensor.detach() for tensor in small()]
    assert torch.equal(compiled(*inputs), dcnv3(*inputs, num_groups=2))
    called = [str(node.target) for node in graphs[0].graph.nodes if node.op == "call_function"]
    assert called == ["bridgenet.dcnv3.default"]


def test_autocast_sees_one_operator() -> None:
    """Nothing inside is cast again: what goes in decides."""
    value, offset, mask = small(torch.float32)
    plain = dcnv3(value, offset, mask, num_groups=2)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(dcnv3(value, offset, mask, num_groups=2), plain)
        assert dcnv3(value.bfloat16(), offset.bfloat16(), mask, num_groups=2).dtype == torch.bfloat16


@pytest.mark.parametrize("implementation", ["plain", "operator"])
def test_locations_that_are_no_numbers(implementation) -> None:
    """NaN shows in the result instead of reading elsewhere; what is infinitely far is outside."""
    value, offset, mask = (tensor.detach() for tensor in small(torch.float32))
    offset[0, 1, 2, 0], offset[0, 3, 3, 1] = torch.nan, torch.inf
    output = dcnv3(value, offset, mask, num_groups=2, implementation=implementation)
    bad = output.isnan().any(dim=-1)
    assert bad[0, 1, 2]
    assert bad.sum() == 1
    far = offset.clone()
    far[0, 3, 3, 1] = 1e6
    expected = dcnv3(value, far, mask, num_groups=2, implementation=implementation)
    assert torch.equal(output[0, 3, 3], expected[0, 3, 3])


def test_frozen_inputs_and_empty_batches() -> None:
    value, offset, mask = small()
    dcnv3(value.detach(), offset, mask.detach(), num_groups=2).sum().backward()
    assert offset.grad is not None
    for implementation in ("plain", "operator"):
        empty = dcnv3(value[:0], offset[:0], mask[:0], num_groups=2, implementation=implementation)
        assert empty.shape == (0, 4, 5, 4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_groups": 3}, r"value has shape \(1, 4, 5, 4\), expected .* divisible by 3 groups"),
        ({"stride": 2}, r"offset has shape \(1, 4, 5, 36\), expected \(1, 2, 3, 36\)"),
        ({"kernel_size": (1, 3)}, r"offset has shape .*, expected \(1, 6, 5, 12\)"),
        ({"kernel_size": 9}, r"a map of 4×5 is smaller than the kernel"),
        ({"stride": 0}, r"stride is 0, expected a whole number of at least 1"),
        ({"padding": (1,)}, r"padding is \(1,\), expected"),
        ({"padding": 1.0}, r"padding is 1\.0, expected"),
        ({"num_groups": 0}, r"num_groups is 0, expected"),
    ],
)
def test_what_does_not_belong_together(change, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dcnv3(*small(), **({"num_groups": 2} | change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x.int(), r"value is torch\.int32 on cpu, expected one of float64, float32, bfloat16, float16"),
        (lambda x: x[:, :0], r"value has shape \(1, 0, 5, 4\)"),
        (lambda x: x.to("meta"), r"offset is torch\.float64 on cpu, expected .*, on meta as value is"),
    ],
)
def test_tensors_that_are_refused(change, words: str) -> None:
    value, offset, mask = small()
    with pytest.raises(ValueError, match=words):
        dcnv3(change(value.detach()), offset, mask, num_groups=2)


def test_no_operator_for_the_device() -> None:
    inputs = [tensor.to("meta") for tensor in small()]
    assert dcnv3(*inputs, num_groups=2).shape == (1, 4, 5, 4)
    with pytest.raises(ValueError, match=r"no operator for torch\.float64 on meta"):
        dcnv3(*inputs, num_groups=2, implementation="operator")


class Module(nn.Module):
    def __init__(self, case: Case):
        super().__init__()
        self.settings = case.settings

    def forward(self, value: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        return dcnv3(value, offset, mask, **self.settings)


@pytest.mark.parametrize("opset", [18, 20])
def test_onnx(opset: int, tmp_path: Path) -> None:
    """By way of ONNX's GridSample (opset 16 and later), which ONNX Runtime computes."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (it is in the dev extra)")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (it is in the dev extra)")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (it is in the dev extra)")
    case = random_case(0)
    inputs = tuple(tensor.float() for tensor in case.inputs)
    path = tmp_path / "dcnv3.onnx"
    dynamo = hasattr(torch.compiler, "is_exporting")  # torch 2.6 exports by tracing
    torch.onnx.export(Module(case).eval(), inputs, str(path), opset_version=opset, dynamo=dynamo)
    model = onnx.load(path)
    assert "GridSample" in {node.op_type for node in model.graph.node}
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {entry.name: np.asarray(tensor) for entry, tensor in zip(session.get_inputs(), inputs)}
    output = torch.from_numpy(session.run(None, given)[0])
    torch.testing.assert_close(output, dcnv3(*inputs, **case.settings), rtol=1e-5, atol=1e-5)
