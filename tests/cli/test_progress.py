from __future__ import annotations

import sys
import time

import pytest

from bridgenet.cli.progress import ProgressLine


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_terminal(clock: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The speed is that of this process: what was there before does not count."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    line = ProgressLine("downloading", "bytes")
    for clock[0], done in ((0.0, 500_000_000), (0.1, 501_000_000), (10.0, 600_000_000), (50.0, 10**9), (50.1, 10**9)):
        line(done, 10**9)
    assert capsys.readouterr().err.split("\r") == [
        "",
        "downloading 600.0/1000.0 MB  10.0 MB/s  0:00:40 left",
        "downloading 1000.0/1000.0 MB  10.0 MB/s             \n",
    ]


def test_file(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine("checking")
    for clock[0] in range(0, 61, 10):
        line(int(clock[0]), 7300)
    line(7300, 7300)
    assert capsys.readouterr().err == "checking 30/7300  2:01:10 left\nchecking 60/7300  2:00:40 left\n"


def test_unknown_total(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine("downloading", "bytes")
    line(0, None)
    clock[0] = 40.0
    line(80_000_000, None)
    assert capsys.readouterr().err == "downloading 80.0 MB  2.0 MB/s\n"
