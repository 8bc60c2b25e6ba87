"""The C library's allocator, set up for tensors.

glibc gives every large block back to the kernel when it is freed, and the next tensor of that size is faulted in again,
page by page: a quarter of the time of a network on the CPU. Memory that is kept instead is there for the next tensor.
"""

from __future__ import annotations

import ctypes
import os

VARIABLE = "BRIDGENET_ALLOCATOR"
"""Environment variable; `system` leaves the allocator as it is."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h
MMAP_THRESHOLDS = (1 << 30, 1 << 25)
"""Blocks from this size on [bytes] still go back to the kernel: the largest that is taken (32 MiB before glibc 2.35)."""
TRIM_THRESHOLD = (1 << 31) - 1
"""Free memory at the heap's end that is kept [bytes]: the largest number that mallopt takes."""

_is_tuned = False


def tune() -> bool:
    """Have freed tensors' memory kept for the next ones, in this process and those forked from it; whether it was done.

    Nothing is done where the C library is not glibc, or where the environment has BRIDGENET_ALLOCATOR=system. Between two
    peaks the process keeps what it has. A library leaves this to the program: call it before the first large tensor.
    """
    if os.environ.get(VARIABLE) == "system" or not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    taken = any(mallopt(M_MMAP_THRESHOLD, size) for size in MMAP_THRESHOLDS)
    global _is_tuned
    _is_tuned = bool(mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)) and taken
    return _is_tuned


def use_one_arena() -> None:
    """Before the first thread: have threads share one heap, for a server that answers each request in another one.

    With a heap of each thread's own, what was freed in one of them is there for that thread alone, and a server's memory
    grows with the number of requests at once. Nothing is done where :func:`tune` would do nothing.
    """
    if os.environ.get(VARIABLE) != "system" and _is_glibc():
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def release() -> None:
    """After :func:`tune`: give memory that is free now back to the system, wherever in the heap it lies."""
    if _is_tuned:
        ctypes.CDLL(None).malloc_trim(0)


def _is_glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, ValueError, OSError):  # no such function, or name: another system, another C library
        return False
