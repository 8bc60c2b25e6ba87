"""Runs that end before their last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bridgenet.training import run as training
from bridgenet.training.prepare import Prepared


@contextmanager
def killed_before(step: int, error: type[BaseException] = MemoryError) -> Iterator[None]:
    """A run inside of it raises `error` in place of its step number `step`, counted from 0; it must come that far."""
    take = training.make_step

    def take_or_fail(run: Prepared, number: int, batches: Any) -> object:
        if number == step:
            raise error
        return take(run, number, batches)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(error):
        patch.setattr(training, "make_step", take_or_fail)
        yield
