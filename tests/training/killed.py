"""Runs that end before their last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridgenet.training.run import Run


@contextmanager
def killed_before(step: int, error: type[BaseException] = MemoryError) -> Iterator[None]:
    """A run inside of it raises `error` in place of its step number `step`, counted from 0; it must come that far."""
    take = Run._step

    def take_or_fail(self: Run, number: int, batches: object) -> object:
        if number == step:
            raise error
        return take(self, number, batches)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch, pytest.raises(error):
        patch.setattr(Run, "_step", take_or_fail)
        yield
