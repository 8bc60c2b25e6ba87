"""Errors of the machine in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bridgenet.cli import main
from bridgenet.errors import UserError, failure_of_machine


def test_memory() -> None:
    for make in (lambda: np.empty(2**50), lambda: torch.empty(2**50)):
        with pytest.raises((MemoryError, RuntimeError)) as error:
            make()
        words = failure_of_machine(error.value)
        assert words is not None
        assert words.startswith("memory ran out. Choose smaller images, batches")
        assert "\n" not in words


@pytest.mark.parametrize(
    "text",
    [
        "DataLoader worker (pid 12345) is killed by signal: Killed. ",
        "DataLoader worker (pid(s) 123, 456) exited unexpectedly",
        "DataLoader worker (pid 3) exited unexpectedly with exit code 1. Details are lost\nbecause",
    ],
)
def test_killed_workers(text: str) -> None:
    words = failure_of_machine(RuntimeError(text))
    assert words is not None
    assert f"({text.splitlines()[0].strip()})" in words
    assert "--data.workers 0" in words


def test_errors_of_the_program_are_not_hidden(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    assert failure_of_machine(RuntimeError("shape mismatch")) is None
    assert failure_of_machine(UserError("x")) is None
    for error, code in ((RuntimeError("shape mismatch"), None), (MemoryError(), 2)):

        def fail(*_: object, error: Exception = error) -> int:
            raise error

        monkeypatch.setitem(main.COMMANDS, "inspect", fail)
        if code is None:
            with pytest.raises(RuntimeError, match="shape mismatch"):
                main.run(["inspect", "x"])
        else:
            assert main.run(["inspect", "x"]) == code
            assert capsys.readouterr().err.startswith("error: memory ran out")
