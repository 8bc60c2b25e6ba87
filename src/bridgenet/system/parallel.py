"""Parallel work in several processes of a machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
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


def end_with_parent() -> None:
    """Exit this process when its parent process ends: workers of a killed process would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(job: Any) -> Any:
    work, shared = _worker
    return work(shared, job)
