"""The C library's allocator: what tuning does, who is tuned, who is not. Each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bridgenet.system import allocator

COUNT = """
import ctypes
class Info(ctypes.Structure):  # malloc.h's mallinfo
    _fields_ = [(name, ctypes.c_int) for name in "arena ordblks smblks hblks hblkhd usm fsm uord ford keep".split()]
libc = ctypes.CDLL(None)
libc.mallinfo.restype, libc.malloc.restype = Info, ctypes.c_void_p
def mapped():
    'How many blocks are mapped for the one that is asked for: 1 if the kernel would get it back.'
    before = libc.mallinfo().hblks
    libc.malloc(ctypes.c_size_t(30 << 20))
    return libc.mallinfo().hblks - before
"""

needs_glibc = pytest.mark.skipif(not allocator._is_glibc(), reason="the C library is not glibc")


def python(program: str, **environment: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", COUNT + program],
        env={key: value for key, value in os.environ.items() if key != allocator.VARIABLE} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@needs_glibc
def test_tuning_keeps_large_blocks_and_importing_the_library_does_not() -> None:
    program = """
import sys, os, bridgenet, bridgenet.tasks, bridgenet.cli
print(mapped(), bridgenet.tune_allocator(), mapped(), "torch" in sys.modules, flush=True)
if os.fork() == 0:
    print(mapped(), flush=True)
    os._exit(0)
os.wait()
"""
    assert python(program) == ["1", "True", "0", "False", "0"]


@needs_glibc
def test_the_environment_switches_it_off() -> None:
    assert python("import bridgenet\nprint(bridgenet.tune_allocator(), mapped())", BRIDGENET_ALLOCATOR="system") == [
        "False",
        "1",
    ]


@needs_glibc
def test_the_command_line_tunes_its_own_process() -> None:
    program = """
import sys
sys.argv[1:] = ["--version"]
from bridgenet.__main__ import main
try:
    main()
except SystemExit:
    print(mapped(), "torch" in sys.modules)
"""
    assert python(program)[-2:] == ["0", "False"]


def tuned(shared: None, job: int) -> str:
    """Whether the process that runs this was tuned: for a worker to be asked."""
    namespace: dict = {}
    exec(COUNT, namespace)
    return str(namespace["mapped"]())


@needs_glibc
def test_workers_that_are_started_afresh_are_tuned() -> None:
    from bridgenet.system import parallel

    assert list(parallel.run(tuned, None, [0, 1], workers=2)) == ["0", "0"]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> str:
        raise ValueError("unrecognized configuration name")

    def touched(name: object) -> None:
        raise AssertionError("the library was opened")

    monkeypatch.setattr(allocator.os, "confstr", none, raising=False)
    monkeypatch.setattr(allocator.ctypes, "CDLL", touched)
    assert allocator.tune() is False
    monkeypatch.delattr(allocator.os, "confstr")
    assert allocator.tune() is False


def test_an_old_glibc_gets_the_largest_threshold_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Old:
        @staticmethod
        def mallopt(parameter: int, value: int) -> int:
            calls.append((parameter, value))
            return int(parameter != allocator.M_MMAP_THRESHOLD or value <= 1 << 25)

    monkeypatch.setattr(allocator, "_is_glibc", lambda: True)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: Old)
    monkeypatch.delenv(allocator.VARIABLE, raising=False)
    assert allocator.tune() is True
    assert calls == [(-3, 1 << 30), (-3, 1 << 25), (-1, (1 << 31) - 1)]


@needs_glibc
def test_threads_of_a_server_share_one_heap() -> None:
    program = """
import re, threading
from bridgenet.system import allocator
def heaps():
    'How many there are after four threads asked at the same time.'
    barrier = threading.Barrier(4)
    def ask():
        for _ in range(100):
            libc.malloc(ctypes.c_size_t(1000))
        barrier.wait()
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads: each.start()
    for each in threads: each.join()
    libc.fopen.restype = ctypes.c_void_p
    file = libc.fopen(b"/proc/self/fd/1", b"w")
    libc.malloc_info(0, ctypes.c_void_p(file))
    libc.fflush(ctypes.c_void_p(file))
"""
    one = python(program + "allocator.use_one_arena()\nheaps()")
    several = python(program + "heaps()")
    count = [sum(word == "<heap" for word in words) for words in (one, several)]
    assert count[0] == 1 < count[1]
