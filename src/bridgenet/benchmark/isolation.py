"""Work in a fresh process: its peak of memory is its own, and its death is not ours."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from bridgenet.errors import UserError, is_out_of_memory

Argument = TypeVar("Argument")


class Failed(Exception):
    """The work gave no result; says why."""


def isolated(work: Callable[[Argument], dict[str, Any]], argument: Argument) -> dict[str, Any]:
    """`work(argument)`, computed in a fresh process.

    Args:
        work: a function of a module: it is sent by name.

    Raises:
        Failed: it raised, or its process was killed.
    """
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sending, work, argument))
    process.start()
    sending.close()  # the worker's is then the only one: the pipe ends with it
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
    if code == -signal.SIGKILL:
        return "killed, for want of memory perhaps"
    return f"killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"


def _work(sending: Connection, work: Callable[[Any], dict[str, Any]], argument: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends this one
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
    """Where memory runs out, this process is to be killed, not the one that waits for it."""
    with contextlib.suppress(OSError):  # another system, or not allowed
        Path("/proc/self/oom_score_adj").write_text("1000")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
