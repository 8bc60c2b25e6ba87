"""`torch.compile` for users: refused where it cannot work, told in words where it fails."""

from __future__ import annotations

import pytest
import torch

from bridgenet import compilation
from bridgenet.errors import UserError


@pytest.mark.parametrize(
    ("device", "there", "message"),
    [
        ("cpu", [], r"there is no .+; install one \(or name yours: CXX=…\), or --compile false"),
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


def test_a_failure_is_told_in_words() -> None:
    def backend(graph: object, inputs: object) -> None:
        raise RuntimeError("Python.h: No such file")

    with pytest.raises(UserError, match=r"compiler failed \(.*Python\.h: No such file.*\); try --compile false"):
        compilation.compiled(lambda x: x + 1, backend)(torch.ones(2))
