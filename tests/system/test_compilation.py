"""`torch.compile` for users: refused where it cannot work, told in words where it fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

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
