"""Streams of any kind, and texts out of files: no traceback, and nothing that acts on the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridgenet.cli import main as cli
from bridgenet.system.terminal import one_line, printable

LISTED = "import sys; from bridgenet.cli.main import run; sys.exit(run(sys.argv[1:]))"


def started(arguments: list[str], shell: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", LISTED, *arguments]
    if shell:
        command = ["bash", "-c", f'set -o pipefail; "$@" {shell}', "bash", *command]
    return subprocess.run(command, capture_output=True, env={**os.environ, **environment}, timeout=60)


def test_printable() -> None:
    assert printable("Größe\t→\n") == "Größe\t→\n"
    assert printable("a\x1b[2J\r\x00\x9b\u202eb\udcff") == "a\\x1b[2J\\r\\x00\\x9b\\u202eb\\udcff"
    assert one_line("a\nb") == "a\\nb"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-16"])
def test_encodings(encoding: str) -> None:
    for arguments, code in [(["--help"], 0), (["Größe→\udcff"], 2)]:
        done = started(arguments, PYTHONIOENCODING=encoding)
        assert done.returncode == code and b"Traceback" not in done.stderr


def test_plain_locale() -> None:
    done = started(["data", "check", "Größe/data.yaml"], LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert done.returncode == 2 and b"Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="the shell of POSIX")
@pytest.mark.parametrize(
    ("shell", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), ("| (exec <&-; sleep 1)", 130), (">/dev/full", 2)]
)
def test_streams_that_take_nothing(shell: str, code: int) -> None:
    done = started(["weights", "list"], shell)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="the shell of POSIX")
def test_errors_that_nobody_reads() -> None:
    assert started(["none"], "2>&-").returncode == 2
    assert started(["none"], "2>/dev/full").returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "a\0b"],
        ["train", "tiny.yaml", "--out=nul\0byte"],
        ["predict", "w", "a\0.png"],
        ["data", "check", "\0"],
    ],
)
def test_zero_bytes(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 2
    assert "has a zero byte" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/x", "file:///etc/passwd", "https://a.b/net.onnx", "s3://a/b.pt2"]
)
@pytest.mark.parametrize("command", ["inspect", "predict", "evaluate", "export", "convert", "report", "app"])
def test_addresses_where_paths_are_expected(
    command: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    more = {"predict": ["a.png"], "export": ["out.onnx"], "convert": ["out.safetensors"]}.get(command, [])
    assert cli.run([command, address, *more]) == 2
    assert f"{address} is an address" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "w", "a.png", "--out", "https://a.b/c"],
        ["data", "init", "https://a.b/c"],
        ["compare", "https://a.b/c"],
        ["data", "check", "nyud", "--root=https://a.b/c"],
        ["convert", "w", "x", "--config", "https://a.b/c"],
    ],
)
def test_addresses_in_flags(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 2
    assert "https://a.b/c is an address, expected a path here" in capsys.readouterr().err


def test_files_that_begin_like_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-dash.png").touch()
    for arguments in (["predict", "w", "-dash.png"], ["predict", "w", "a.png", "-dash.png"]):
        assert cli.run(arguments) == 2
        assert "a file -dash.png is here: give ./-dash.png" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--fps", "inf"], ["--fps", "nan"], ["--fps", "-1"], ["--max-frames", "0"]])
def test_absurd_frames(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["predict", "w", "a.mp4", *flags]) == 2
    assert flags[0][2:].replace("-", "_") in capsys.readouterr().err
