"""Atomic writing: leftovers of killed writes, and names that survive a loss of power."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridgenet.system import files
from bridgenet.system.files import PARTIAL, clear_partial, replacing, write_atomically, writing_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from bridgenet.system.files import replacing, writing_folder
path = Path(sys.argv[1])
with replacing(path / "file.bin"), writing_folder(path / "folder") as partial:
    (partial / "part").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_leftovers_of_killed_writes_are_cleared_by_the_next(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 2
    assert all(PARTIAL.fullmatch(name) for name in left)
    (tmp_path / f".mine.partial-{os.getpid()}").touch()  # still being written
    (tmp_path / ".other.partial-99999999-zzzz").touch()  # no name of ours
    (tmp_path / ".old.partial-99999999").touch()
    elsewhere = tmp_path / f".far.partial-99999999-{int(files._host(), 16) ^ 1:04x}"  # of another machine
    elsewhere.touch()
    clear_partial.cache_clear()
    write_atomically(tmp_path / "another", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["another", f".mine.partial-{os.getpid()}", ".other.partial-99999999-zzzz", elsewhere.name]
    )


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", "old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "file") as partial:
        partial.write_text("new")
        raise RuntimeError
    with pytest.raises(RuntimeError), writing_folder(tmp_path / "folder") as partial:
        (partial / "new").touch()
        raise RuntimeError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


@pytest.mark.skipif(os.name == "nt", reason="Windows syncs no folders")
def test_renames_are_followed_by_a_sync_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        files.os,
        "fsync",
        lambda handle: synced.append((str(Path(f"/proc/self/fd/{handle}").readlink()), (tmp_path / "file").exists())),
    )
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    write_atomically(tmp_path / "file", "text")
    assert Path(synced[0][0]).name.startswith(".file.partial-")
    assert synced[1] == (str(tmp_path.resolve()), True)
    synced.clear()
    with writing_folder(tmp_path / "folder"):
        pass
    assert [Path(name) for name, _ in synced] == [tmp_path.resolve() / "folder", tmp_path.resolve()]
