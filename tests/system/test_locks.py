"""One process writes a folder, however the last one ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridgenet import UserError
from bridgenet.system.locks import LOCK, only_writer

HOLD = """
import os, sys, time
from pathlib import Path
from bridgenet.system.locks import only_writer
with only_writer(Path(sys.argv[1])):
    if os.fork() == 0:  # as loaders of data do
        time.sleep(60)
    print("locked", flush=True)
    time.sleep(60)
"""


@contextmanager
def held_by_another_process(folder: Path) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_second_writer_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    with held_by_another_process(tmp_path) as process:
        for _ in range(2):  # trying changes nothing
            with pytest.raises(UserError, match=rf"is written by process {process.pid} on "), only_writer(tmp_path):
                pass
        process.kill()
        process.wait()
        assert (tmp_path / LOCK).exists()
        started = time.monotonic()
        with only_writer(tmp_path):  # although its child lives
            assert (tmp_path / LOCK).read_text().startswith(f"process {os.getpid()} on ")
        assert time.monotonic() - started < 1
    assert not list(tmp_path.iterdir())


def test_twice_in_one_process(tmp_path: Path) -> None:
    with only_writer(tmp_path):
        with pytest.raises(UserError, match=f"written by process {os.getpid()}"), only_writer(tmp_path):
            pass
        with pytest.raises(UserError, match="is written by"), only_writer(tmp_path):
            pass
    with only_writer(tmp_path):
        pass


def test_what_is_made_and_stays_empty_is_deleted(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), only_writer(tmp_path / "runs" / "one"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with only_writer(tmp_path / "runs" / "one"):
        (tmp_path / "runs" / "one" / "file").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["runs", "one", "file"]


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="permissions")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"), only_writer(tmp_path):
        pass
