from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bridgenet.system.walking import walk, why_no_file

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


def names(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def make(folder: Path, *files: str) -> None:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_each_file_is_met_once(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    make(folder, "z.png", "below/b.png", ".hidden/h.png", "note.txt")
    make(tmp_path / "elsewhere", "c.png")
    (folder / "a.png").symlink_to("z.png")
    (folder / "hard.png").hardlink_to(folder / "below/b.png")
    (folder / "linked").symlink_to("../elsewhere")
    (folder / "twice").symlink_to("../elsewhere")
    found = walk(folder, lambda name: name.endswith(".png"))
    assert names(found.files, folder) == ["below/b.png", "linked/c.png", "z.png"]
    again = {path.relative_to(folder).as_posix(): first.name for path, first in found.again.items()}
    assert again == {"a.png": "z.png", "hard.png": "b.png", "twice/c.png": "c.png"}
    assert not found.odd and not found.loops


def test_circles_end(tmp_path: Path) -> None:
    make(tmp_path, "a/x.png", "b/y.png")
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "a/other").symlink_to("../b")
    (tmp_path / "b/other").symlink_to("../a")
    (tmp_path / "self").symlink_to(".")
    found = walk(tmp_path)
    assert names(found.files, tmp_path) == ["a/x.png", "b/y.png"]
    assert "a/up is a link to a folder above it" in found.loops[tmp_path / "a/up"]
    assert tmp_path / "self" in found.loops


def test_folders_that_link_to_each_other_take_no_time(tmp_path: Path) -> None:
    for name in "abcdefghijklmnop":
        make(tmp_path, f"{name}/{name}.png")
        for other in set("abcdefghijklmnop") - {name}:
            (tmp_path / name / f"to_{other}").symlink_to(f"../{other}")
    assert len(walk(tmp_path).files) == 16


def test_what_is_no_file_is_told_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dead.png").symlink_to("nowhere.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    (tmp_path / "folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.png"))
        found = walk(tmp_path, lambda name: name.endswith(".png"))
    assert {path.name: reason.removeprefix(f"{path} ") for path, reason in found.odd.items()} == {
        "pipe.png": "is a named pipe, expected a file",
        "dead.png": "is a dead link: nowhere.png does not exist",
        "loop.png": "is a link that leads to itself",
        "null.png": "is a device, expected a file",
        "s.png": "is a socket, expected a file",
    }
    assert found.folders == [tmp_path / "folder.png"] and found.files == []


def test_why_no_file(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    assert why_no_file(tmp_path / "a.png") == ""
    assert why_no_file(tmp_path / "b.png").endswith("b.png does not exist")
    assert why_no_file(tmp_path).endswith("is a folder, expected a file")
