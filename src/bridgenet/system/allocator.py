"""Tuning of the C library's allocator for tensors.

glibc returns every large block to the kernel when it is freed, and page faults bring it back for the next tensor of that
size: a quarter of the time of a network on the CPU. Memory that is kept instead is reused for the next tensor.
"""

from __future__ import annotations

import ctypes
import os

VARIABLE = "BRIDGENET_ALLOCATOR"
"""Environment variable; `system` leaves the allocator as it is."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h
MMAP_THRESHOLDS = (1 << 30, 1 << 25)
"""Blocks from this size on [bytes] are still returned to the kernel: the first value that glibc accepts (32 MiB before 2.35)."""
TRIM_THRESHOLD = (1 << 31) - 1
"""Free memory at the end of the heap that is kept [bytes]: the largest value that mallopt accepts."""

_is_tuned = False


def tune() -> bool:
    """Keep the memory of freed tensors for new ones, in this process and its forks; returns whether that succeeded.

    Nothing changes if the C library is not glibc, or if the environment has BRIDGENET_ALLOCATOR=system. The process keeps
    its memory between two peaks. Programs, not libraries, call it, before the first large tensor.
    """
    if os.environ.get(VARIABLE) == "system" or not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    taken = any(mallopt(M_MMAP_THRESHOLD, size) for size in MMAP_THRESHOLDS)
    global _is_tuned
    _is_tuned = bool(mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)) and taken
    return _is_tuned


def use_one_arena() -> None:
    """Let all threads share one heap, for a server with a thread per request. Call it before the first thread starts.

    If each thread has its own heap, only that thread reuses its freed memory, and the memory of a server grows with the
    number of concurrent requests. Nothing changes where :func:`tune` would change nothing.
    """
    if os.environ.get(VARIABLE) != "system" and _is_glibc():
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def release() -> None:
    """After :func:`tune`: return all free memory of the heap to the system."""
    if _is_tuned:
        ctypes.CDLL(None).malloc_trim(0)


def _is_glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, ValueError, OSError):  # no such function, or name: another system, another C library
        return False
