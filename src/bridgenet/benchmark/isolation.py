"""Runs work in a new process, with its own peak memory, whose end does not end this process."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from bridgenet.errors import UserError, is_out_of_memory
from bridgenet.system.parallel import end_with_parent

Argument = TypeVar("Argument")


class Failed(Exception):
    """The work failed; the message is the reason."""


def isolated(work: Callable[[Argument], dict[str, Any]], argument: Argument) -> dict[str, Any]:
    """Compute `work(argument)` in a new process.

    Args:
        work: a module-level function, which the process imports by name.

    Raises:
        Failed: it raised an exception, or its process was killed.
    """
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sending, work, argument))
    process.start()
    sending.close()  # the pipe then ends with the worker
    try:
        result, problem = receiving.recv()
        process.join()
    except EOFError:
        process.join()
        raise Failed(_death(process.exitcode)) from None
    finally:
        if process.is_alive():  # interrupted
            process.kill()
            process.join()
        receiving.close()
    if problem:
        raise Failed(problem)
    return result


def _death(code: int | None) -> str:
    if code == -9:  # SIGKILL, which Windows has no name for
        return "killed, for want of memory perhaps"
    return f"killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"


def _work(sending: Connection, work: Callable[[Any], dict[str, Any]], argument: Any) -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the main process, which ends this one
    _offer_to_the_kernel()
    try:
        answer: tuple[dict[str, Any] | None, str] = (work(argument), "")
    except UserError as error:
        answer = (None, str(error))
    except Exception as error:
        memory = is_out_of_memory(error)
        if not memory:
            traceback.print_exc(file=sys.stderr)
        answer = (None, "out of memory" if memory else f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    sending.send(answer)


def _offer_to_the_kernel() -> None:
    """Let the kernel kill this process rather than its parent when memory runs out."""
    with contextlib.suppress(OSError):  # another system, or not allowed
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
