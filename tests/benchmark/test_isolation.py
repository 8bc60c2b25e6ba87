"""Work in a process of its own: results come back, and whatever ends the process is told."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from bridgenet.benchmark.isolation import Failed, isolated
from tests.benchmark import work


def test_result_comes_back_from_another_process() -> None:
    result = isolated(work.echo, {"a": [1, 2]})
    assert result["got"] == {"a": [1, 2]}
    assert result["process"] != os.getpid()


@pytest.mark.parametrize(
    ("work", "argument", "words"),
    [
        (work.die, signal.SIGKILL, "killed, for want of memory perhaps"),
        (work.die, signal.SIGSEGV, "killed by signal 11"),
        (work.leave, 3, "ended with exit code 3"),
        (work.fail, "user", "no such thing"),
        (work.fail, "of another kind", "RuntimeError: of another kind"),
        (work.fail, "CUDA out of memory. Tried to allocate 2 GiB", "out of memory"),
        (work.fail, "DefaultCPUAllocator: can't allocate memory", "out of memory"),
    ],
    ids=["killed", "crashed", "left", "user error", "error", "GPU memory", "memory"],
)
def test_failures_are_told(work, argument, words: str) -> None:
    with pytest.raises(Failed) as failure:
        isolated(work, argument)
    assert str(failure.value) == words


def test_interruption_ends_the_process(tmp_path: Path) -> None:
    """As Ctrl-C does: the parent is in the middle of waiting."""
    main, begun = threading.main_thread().ident, tmp_path / "begun"
    assert main is not None

    def interrupt() -> None:
        while not begun.exists():
            time.sleep(0.01)
        signal.pthread_kill(main, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        threading.Thread(target=interrupt, daemon=True).start()
        isolated(work.wait, begun)
    assert not multiprocessing.active_children()
