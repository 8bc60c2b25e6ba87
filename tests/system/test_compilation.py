"""`torch.compile` for users: refused where it cannot work, told in words where it fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet.errors import UserError
from bridgenet.system import compilation


@pytest.mark.parametrize(
    ("device", "there", "message"),
    [
        ("cpu", [], r"there is no .+; install one \(or name yours: CXX=…\), or do without compile"),
        ("cuda", ["triton"], r"there is no cc or gcc or clang; .* CC=…"),
        ("cuda", ["gcc"], r"needs Triton"),
    ],
)
def test_what_is_missing(device: str, there: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation.shutil, "which", lambda name: name if name in there else None)
    monkeypatch.setattr(compilation.importlib.util, "find_spec", lambda name: name if name in there else None)
    for variable in ("CC", "CXX"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match=message):
        compilation.check_compiler(torch.device(device))


def test_ones_own_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "my-g++")
    monkeypatch.setattr(compilation.shutil, "which", lambda name: name if name == "my-g++" else None)
    compilation.check_compiler(torch.device("cpu"))


@pytest.fixture
def broken_backend() -> Iterator[str]:
    """The name of a compiler that always fails."""
    from torch._dynamo.backends import registry

    def broken(graph: object, inputs: object) -> None:
        raise RuntimeError("Python.h: No such file")

    registry.register_backend(broken, name="broken")
    yield "broken"
    registry._COMPILER_FNS.pop("broken")


def test_a_failure_is_told_in_words(broken_backend: str) -> None:
    with pytest.raises(UserError, match=r"compiler failed \(.*Python\.h: No such file.*\); try without compile"):
        compilation.compiled(lambda x: x + 1, broken_backend)(torch.ones(2))


POOLS = [
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 4, "stride": 4, "ceil_mode": True},
    {"kernel_size": (2, 3), "stride": (3, 2), "padding": (1, 0), "ceil_mode": True},
    {"kernel_size": 2, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    {"kernel_size": 3},
]


def pooled(function: object, x: Tensor, **options: object) -> tuple[Tensor, Tensor]:
    """What a pooling gives, and a gradient of it."""
    x = x.clone().requires_grad_()
    y = function(x, **options)  # type: ignore[operator]
    (gradient,) = torch.autograd.grad((y * torch.arange(y.numel()).view_as(y)).sum(), x)
    return y.detach(), gradient


@pytest.mark.parametrize("options", POOLS, ids=str)
@pytest.mark.parametrize("size", [(6, 8), (5, 7), (6, 7), (9, 4), (4, 5)], ids=str)
def test_the_pooling_that_is_compiled_is_the_pooling(options: dict, size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for got, expected in zip(pooled(compilation.average_pool, x, **options), pooled(F.avg_pool2d, x, **options)):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
