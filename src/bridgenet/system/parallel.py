"""Parallel work in several processes of a machine."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from bridgenet.errors import UserError
from bridgenet.system import allocator

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Result = TypeVar("Result")


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    work: Callable[[Shared, Job], Result],
    shared: Shared,
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    chunk: int = 1,
) -> Iterator[Result]:
    """Yield `work(shared, job)` of all jobs in their order.

    Args:
        work: a module-level function: new processes are spawned, which import it by name.
        shared: first argument, sent to each process once.
        jobs: second arguments.
        workers: number of processes, one per core if None; 1 runs all in this process.
        chunk: number of jobs sent together, for short jobs.

    Raises:
        UserError: a process was killed, or `workers` is less than 1. Exceptions of `work` are raised, too.
    """
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: expected 1 or more")
    workers = min(workers or cores(), len(jobs))
    if workers <= 1:
        yield from (work(shared, job) for job in jobs)
        return
    # Not forked: PyTorch's threads may hold locks, which would be copied.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(work, shared))
    try:
        yield from pool.map(_work, jobs, chunksize=chunk)
    except BrokenProcessPool:
        raise UserError("a worker process was killed, for want of memory perhaps. Try fewer workers") from None
    finally:
        pool.shutdown(cancel_futures=True)


_worker: tuple[Callable[[Any, Any], Any], Any]


def _start_worker(work: Callable[[Any, Any], Any], shared: Any) -> None:
    global _worker
    import cv2

    _worker = (work, shared)
    allocator.tune()
    threading.Thread(target=end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)  # the processes are the parallelism
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the main process, which ends the workers


GRACE = 60.0
"""Time that a process may take to save its work after its launcher was killed [s]."""


def is_first() -> bool:
    """Whether this is the first, or only, process that torchrun started."""
    return int(os.environ.get("RANK", "0")) == 0


def leave_process_group() -> None:
    """End the connections of torchrun's processes in order: at Python's exit their threads might still be using them."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


@functools.cache
def end_with_launcher() -> None:
    """Let a process that torchrun started end when torchrun is killed: it would train on, where no one sees it.

    It is asked to stop by SIGTERM, as torchrun does, and ends after :data:`GRACE` in any case.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        threading.Thread(target=stop_with_parent, args=(os.getppid(), GRACE), daemon=True).start()


def stop_with_parent(parent: int, grace: float | None = None) -> None:
    """Wait until the process `parent`, which started this one, ends; then send this one SIGTERM, and end it after `grace` [s]."""
    while os.getppid() == parent:  # another process becomes the parent then
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    if grace is not None:  # the other processes may be gone, and waiting for them has no end
        time.sleep(grace)
        os._exit(1)


def end_with_parent() -> None:
    """Exit this process when its parent process ends: workers of a killed process would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(job: Any) -> Any:
    work, shared = _worker
    return work(shared, job)
