"""Processes end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RANK = """
import signal, sys, time
from bridgenet.system import parallel
parallel.GRACE = 1.0
if sys.argv[1] == "stuck":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
parallel.end_with_launcher()
print("waits", flush=True)
time.sleep(60)
"""
LAUNCHER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
        return status.rpartition(")")[2].split()[0] != "Z"  # dead, but nobody waits for it here
    except OSError:
        return True


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
@pytest.mark.parametrize("how", ["asked", "stuck"])
def test_a_process_of_torchrun_ends_when_torchrun_is_killed(how: str) -> None:
    environment = os.environ | {"TORCHELASTIC_RUN_ID": "none"}
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, RANK, how], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert launcher.stdout is not None
    rank = int(launcher.stdout.readline())
    try:
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
        deadline = time.monotonic() + 10
        while is_running(rank) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_running(rank)
    finally:
        launcher.stdout.close()
        if is_running(rank):
            os.kill(rank, signal.SIGKILL)
