"""Unpacking: all or nothing, and nothing outside."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bridgenet.downloads.archives import CorruptArchive, unpack
from bridgenet.errors import UserError

NOISE = np.random.default_rng(0).bytes(50_000)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "root" / "Rooms"


def member(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def pack(tmp_path: Path, *members: tarfile.TarInfo, folder: str = "Rooms/") -> Path:
    """An archive with a list, a file of noise, and the members; files among these hold zeros."""
    path = tmp_path / "rooms.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in (("lists/train.txt", b"1\n"), ("images/1.png", NOISE)):
            tar.addfile(member(folder + name, size=len(content)), io.BytesIO(content))
        for info in members:
            tar.addfile(info, io.BytesIO(bytes(info.size)) if info.isreg() else None)
    return path


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("folder", ["Rooms/", "./Rooms/", "", "./"])
def test_folder_appears(tmp_path: Path, target: Path, folder: str) -> None:
    steps: list[tuple[int, int]] = []
    archive = pack(tmp_path, folder=folder)
    unpack(archive, target, "lists/train.txt", progress=lambda done, total: steps.append((done, total)))
    assert files(target) == ["images/1.png", "lists/train.txt"]
    assert (target / "images/1.png").read_bytes() == NOISE
    assert list(target.parent.iterdir()) == [target]
    assert steps[-1] == (archive.stat().st_size, archive.stat().st_size)


def test_links_inside_are_fine(tmp_path: Path, target: Path) -> None:
    link = member("Rooms/val.txt", type=tarfile.SYMTYPE, linkname="lists/train.txt")
    unpack(pack(tmp_path, link), target, "lists/train.txt")
    assert (target / "val.txt").read_text() == "1\n"


@pytest.mark.parametrize(
    "bad",
    [
        member("/tmp/evil", size=3),
        member("../evil", size=3),
        member("Rooms/../../evil", size=3),
        member("Rooms/link", type=tarfile.SYMTYPE, linkname="/etc"),
        member("Rooms/link", type=tarfile.SYMTYPE, linkname="../../evil"),
        member("Rooms/link", type=tarfile.LNKTYPE, linkname="../evil"),
        member("Rooms/device", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("Rooms/pipe", type=tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name} {info.linkname}".strip(),
)
def test_member_that_leaves_the_folder_is_named(tmp_path: Path, target: Path, bad: tarfile.TarInfo) -> None:
    (tmp_path / "evil").write_text("mine")
    archive = pack(tmp_path, bad)
    with pytest.raises(UserError, match=f"rooms.tar.gz: refused to unpack its member {bad.name}: ") as error:
        unpack(archive, target, "lists/train.txt")
    assert not isinstance(error.value, CorruptArchive)
    assert list(target.parent.iterdir()) == []
    assert (tmp_path / "evil").read_text() == "mine"
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize("through", ["a", "b"])
def test_member_below_a_link_is_refused(tmp_path: Path, target: Path, through: str) -> None:
    link = member("Rooms/a", type=tarfile.SYMTYPE, linkname="images")
    hard_link = member("Rooms/b", type=tarfile.LNKTYPE, linkname="Rooms/a")
    below = member(f"Rooms/{through}/2.png", size=3)
    with pytest.raises(UserError, match=f"member {below.name}: it lies below a link"):
        unpack(pack(tmp_path, link, hard_link, below), target, "lists/train.txt")


def test_file_written_through_a_link_that_turned_outward(tmp_path: Path, target: Path) -> None:
    """Each link alone points inside when it is made; together they would lead out."""
    links = [
        member("a", type=tarfile.SYMTYPE, linkname="b/../evil"),
        member("b", type=tarfile.SYMTYPE, linkname="."),
    ]
    with pytest.raises(UserError, match="refused to unpack its member a: "):
        unpack(pack(tmp_path, *links, member("a", size=3)), target, "lists/train.txt")
    assert not (target.parent / "evil").exists()


def flip_a_byte(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-4],
        flip_a_byte,
        lambda content: b"<html>not found</html>",
        lambda content: b"",
    ],
    ids=["half", "end", "byte", "page", "empty"],
)
def test_damaged_archive(tmp_path: Path, target: Path, damage: Callable[[bytes], bytes]) -> None:
    archive = pack(tmp_path)
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(CorruptArchive, match=r"rooms.tar.gz is damaged or not a .tar.gz archive"):
        unpack(archive, target, "lists/train.txt")
    assert list(target.parent.iterdir()) == []


def test_archive_of_something_else(tmp_path: Path, target: Path) -> None:
    with pytest.raises(CorruptArchive, match=r"found Kitchens, expected Rooms/lists/train.txt"):
        unpack(pack(tmp_path, folder="Kitchens/"), target, "lists/train.txt")


def test_more_than_the_disk_holds(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(tmp_path, member("Rooms/bomb", size=2_000_000))
    assert archive.stat().st_size < 100_000
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(UserError, match=r"that are free would be needed to unpack it \(at Rooms/bomb\). Make room"):
        unpack(archive, target, "lists/train.txt")
    assert list(target.parent.iterdir()) == []


def test_folder_that_is_there_is_left_alone(tmp_path: Path, target: Path) -> None:
    target.mkdir(parents=True)
    unpack(pack(tmp_path), target, "lists/train.txt")  # an empty one may be filled
    (target / "mine").write_text("mine")
    with pytest.raises(UserError, match="Rooms exists and is not empty"):
        unpack(pack(tmp_path), target, "lists/train.txt")
    assert (target / "mine").read_text() == "mine"


def test_what_a_killed_process_left_is_cleared(tmp_path: Path, target: Path) -> None:
    left = target.parent / ".Rooms.unpacking"
    left.mkdir(parents=True)
    (left / "half").write_text("x")
    unpack(pack(tmp_path), target, "lists/train.txt")
    assert files(target) == ["images/1.png", "lists/train.txt"]
    assert not left.exists()


def test_python_without_a_safe_way(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(tmp_path)
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(UserError, match=r"Use Python 3.10.12, 3.11.4 or newer, or unpack it by hand: tar -xzf"):
        unpack(archive, target, "lists/train.txt")
    assert archive.exists()


def test_hard_links_to_what_is_not_there(tmp_path: Path, target: Path) -> None:
    archive = pack(tmp_path, member("Rooms/x.txt", type=tarfile.LNKTYPE, linkname="Rooms/none.txt"))
    with pytest.raises(CorruptArchive, match=r"is damaged: Rooms/x\.txt links to what is not in it"):
        unpack(archive, target, "lists/train.txt")
    assert not target.exists()


def test_names_that_the_system_does_not_take(tmp_path: Path, target: Path) -> None:
    archive = pack(tmp_path, member("Rooms/" + "x" * 300))
    with pytest.raises(UserError, match=r"its member Rooms/x+ cannot be unpacked: File name too long"):
        unpack(archive, target, "lists/train.txt")
    assert not target.exists()
