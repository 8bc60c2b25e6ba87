"""Walk through a folder: links are followed, each file is met once, and what is no file is told instead of opened."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""What is neither a file nor a folder."""


@dataclass
class Walk:
    """What lies below a folder; hidden files and folders are left out.

    Attributes:
        files: regular files in the order of their paths; of several names of one file, the one without a link.
        again: other names of a file in `files`: links to it or to a folder above it, and hard links.
        odd: reasons, by path, why something is not among the files: it is no file, a dead link, or cannot be read.
        loops: reasons, by path, why a linked folder was not followed.
        folders: folders that are named like a wanted file.
    """

    files: list[Path] = field(default_factory=list)
    again: dict[Path, Path] = field(default_factory=dict)
    odd: dict[Path, str] = field(default_factory=dict)
    loops: dict[Path, str] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)


class _Folder(NamedTuple):
    path: Path
    real: str
    above: frozenset[str]  # real paths of the folders that lead to it, and its own
    is_linked: bool
    is_repeated: bool  # it was walked under another name


def walk(folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> Walk:
    """Find the files below a folder whose names are `wanted`. Links to folders are followed, but not in circles."""
    found = Walk()
    names: dict[object, list[tuple[bool, Path]]] = {}
    real = os.path.realpath(folder)
    waiting = [_Folder(folder, real, frozenset([real]), False, False)]
    linked: list[_Folder] = []  # walked after all others, so that the names without links are known by then
    seen: set[str] = set()
    while waiting or linked:
        at = waiting.pop() if waiting else linked.pop(0)
        at = at._replace(is_repeated=at.is_repeated or at.real in seen)
        seen.add(at.real)
        for name, is_link in _entries(at.path, found):
            path = at.path / name
            about = _status(path)
            below = f"{at.real.rstrip(os.sep)}{os.sep}{name}"
            if about is None or not stat.S_ISDIR(about.st_mode):
                if not wanted(name):
                    continue
                if about is None or not stat.S_ISREG(about.st_mode):
                    found.odd[path] = why_no_file(path)
                    continue
                real = os.path.realpath(path) if is_link else below
                key = (about.st_dev, about.st_ino) if about.st_nlink > 1 and about.st_ino else real
                names.setdefault(key, []).append((at.is_linked or is_link, path))
                continue
            if wanted(name):
                found.folders.append(path)
            real = os.path.realpath(path)
            is_link = real != below  # also by a junction of Windows
            if is_link and any(Path(above).is_relative_to(real) for above in at.above):
                found.loops[path] = f"{path} is a link to a folder above it, {real}: not followed"
            elif is_link and at.is_repeated:  # else, folders that link to each other would be walked in every order
                found.loops[path] = f"{path} is a link to {real} in a folder that was read already: not followed"
            else:
                inside = _Folder(path, real, at.above | {real}, at.is_linked or is_link, at.is_repeated)
                (linked if is_link else waiting).append(inside)
    for of_one in names.values():
        (_, first), *others = sorted(of_one)
        found.files.append(first)
        found.again.update({path: first for _, path in others})
    found.files.sort()
    return found


def _entries(folder: Path, found: Walk) -> list[tuple[str, bool]]:
    """Names in a folder, sorted, and whether they are links."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry.name, entry.is_symlink()) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        found.odd[folder] = f"{folder} cannot be read: {error.strerror}"
        return []


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def why_no_file(path: Path) -> str:
    """A sentence about what is at `path` if it is no regular file; empty if it is one. Nothing is opened."""
    try:
        mode = path.stat().st_mode
    except ValueError as error:
        return f"{str(path)!r} is no path: {error}"
    except OSError as error:
        if not path.is_symlink():
            return f"{path} does not exist" if error.errno == errno.ENOENT else f"{path}: {error.strerror}"
        if error.errno == errno.ELOOP:
            return f"{path} is a link that leads to itself"
        return f"{path} is a dead link: {path.readlink()} does not exist"
    if stat.S_ISREG(mode):
        return ""
    what = "a folder" if stat.S_ISDIR(mode) else KINDS.get(stat.S_IFMT(mode), "no file")
    return f"{path} is {what}, expected a file"
