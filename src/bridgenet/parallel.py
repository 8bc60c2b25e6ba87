"""Work shared among processes of one machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from bridgenet.errors import UserError

Job = TypeVar("Job")
Result = TypeVar("Result")


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(work: Callable[[Job], Result], jobs: Iterable[Job], workers: int | None = None) -> Iterator[tuple[Job, Result]]:
    """(job, its result), as they are done, by as many processes as there are cores; by this one if that is enough.

    Args:
        work: a function of a module (processes are started afresh: `work` and jobs are sent to them).
        workers: number of processes, one per core if None.

    Raises:
        UserError: a process was killed; also whatever `work` raises.
    """
    jobs = list(jobs)
    workers = min(workers or cores(), len(jobs))
    if workers <= 1:
        for job in jobs:
            yield job, work(job)
        return
    # Not forked: threads of PyTorch's, and their locks, would be copied in whatever state they are.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        futures = {pool.submit(work, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise UserError("a worker process was killed, for want of memory perhaps. Give --workers 1") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(*_: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends the workers
    try:
        import cv2
    except ImportError:
        return
    cv2.setNumThreads(1)  # the processes are the parallelism
