"""Inputs of prediction: files, folders, patterns, web addresses, videos, cameras, the standard input."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bridgenet.downloads import pictures
from bridgenet.errors import UserError
from bridgenet.imaging.reading import SUFFIXES, read_encoded
from bridgenet.system.walking import walk, why_no_file

VIDEO_SUFFIXES = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts"}
"""Suffixes of files that are read as videos."""

MOST_PIXELS = 50_000_000
"""Largest number of pixels of a picture: the results of four tasks take about 60 MB of memory for each million."""
MAX_PATH = 4095
"""Longest file name that any operating system accepts [bytes]."""

Kind = Literal["file", "address", "standard input", "video", "camera"]


@dataclass(frozen=True)
class Input:
    """One picture or stream of pictures.

    Attributes:
        name: name of its results' folder below the output, with `/` between parts; unique in a run.
        source: path, web address, number of a camera, or `-`.
        kind: where it comes from.
    """

    name: str
    source: str
    kind: Kind

    @property
    def is_stream(self) -> bool:
        return self.kind in ("video", "camera")

    def read(self) -> tuple[NDArray[np.uint8], list[str]]:
        """Read a single picture, (H, W, 3) uint8 RGB, and notes about it. UserError if it cannot be read."""
        if self.kind == "address":
            return read_encoded(pictures.fetch_picture(self.source), self.source, MOST_PIXELS)
        if self.kind == "standard input":
            content = sys.stdin.buffer.read(pictures.MAX_BYTES + 1)
            if len(content) > pictures.MAX_BYTES:
                raise UserError(f"standard input is too large: more than {pictures.MAX_BYTES / 1e6:.0f} MB")
            return read_encoded(content, "standard input", MOST_PIXELS)
        return read_encoded(Path(self.source), self.source, MOST_PIXELS)


def find_inputs(entries: Sequence[str], out: Path | None = None) -> tuple[list[Input], list[tuple[str, str]]]:
    """Find all inputs, in their order, and list what was skipped as (source, reason).

    An entry is a picture or video file; a folder, whose pictures are taken recursively, see :func:`bridgenet.system.walking.walk`;
    a pattern (`*`, `?`, `[…]`, `**`), if no file has that name; an http or https address; the number of a camera; or `-`.
    Hidden files in folders and files below `out` are left out. A file is taken once, whatever names it has.
    """
    found: dict[str, Input] = {}
    given: dict[str, str] = {}
    skipped: list[tuple[str, str]] = []
    names: set[str] = set()
    above: set[str] = set()
    for entry in entries:
        for name, source, kind in _expand(entry, out, skipped):
            if source in found:
                continue
            real = os.path.realpath(source) if kind in ("file", "video") else source
            if (other := given.setdefault(real, source)) != source:
                skipped.append((source, f"{source} is {other} under another name"))
                continue
            number, unique = 2, name
            # a.jpg beside a.png, the same name in two folders, or a.jpg beside a/: results must not share a folder.
            while unique in names or unique in above or not names.isdisjoint(_folders_above(unique)):
                unique, number = f"{name}-{number}", number + 1
            names.add(unique)
            above.update(_folders_above(unique))
            found[source] = Input(unique, source, kind)
    return list(found.values()), skipped


def _folders_above(name: str) -> list[str]:
    return [parent.as_posix() for parent in PurePosixPath(name).parents][:-1]


def _expand(entry: str, out: Path | None, skipped: list[tuple[str, str]]) -> Iterator[tuple[str, str, Kind]]:
    path = Path(entry)
    if entry == "-":
        yield "stdin", entry, "standard input"
    elif pictures.is_address(entry):
        yield pictures.name_of(entry), entry, "address"
    elif len(os.fsencode(entry)) > MAX_PATH:
        skipped.append((entry[:100], f"{entry[:100]}… is too long to be a file ({len(entry)} letters)"))
    elif path.is_dir():
        yield from _in_folder(path, out, skipped)
    elif path.is_file():
        yield _name(Path(path.name)), entry, _kind(path)
    elif entry.isdecimal():
        yield f"camera{entry}", entry, "camera"
    elif glob.has_magic(entry):
        matches = map(Path, sorted(glob.glob(entry, recursive=True)))  # noqa: PTH207 (pathlib refuses absolute patterns)
        files = [match for match in matches if not match.is_dir() and not _is_result(match, out)]
        if not files:
            skipped.append((entry, f"{entry} matches nothing"))
        for match in files:
            yield from _if_picture(_name(Path(match.name)), match, skipped, with_videos=True)
    else:
        skipped.append((entry, why_no_file(path)))


def _in_folder(folder: Path, out: Path | None, skipped: list[tuple[str, str]]) -> Iterator[tuple[str, str, Kind]]:
    if out is not None and out.resolve() == folder.resolve():
        raise UserError(f"{out} has the pictures and would get the results too: give another folder with --out")
    found = walk(folder)
    again = {path: f"{path} is {first} under another name" for path, first in found.again.items()}
    files, told = found.files, {**found.odd, **found.loops, **again}
    if out is not None and folder.resolve() in out.resolve().parents:  # results of an earlier run are not inputs
        files = [path for path in files if not _is_result(path, out)]
        told = {path: reason for path, reason in told.items() if out.absolute() not in path.absolute().parents}
    skipped += [(str(path), reason) for path, reason in told.items()]
    if not files and not told:
        skipped.append((str(folder), f"{folder} is an empty folder"))
    for path in files:
        yield from _if_picture(_name(path.relative_to(folder)), path, skipped, with_videos=False)


def _name(file: Path) -> str:
    """The name of a file's results: its path without suffix, changed where it is the folder itself, one above or the manifest."""
    parts = [*file.parent.parts, file.stem]
    if parts[-1] in ("", ".", ".."):  # `..png` and `...png`
        parts[-1] = f"_{parts[-1]}"
    if fnmatch(parts[0], "manifest*.jsonl"):
        parts[0] = f"_{parts[0]}"
    return PurePosixPath(*parts).as_posix()


def _is_result(path: Path, out: Path | None) -> bool:
    return out is not None and out.resolve() in path.resolve().parents


def _if_picture(
    name: str, path: Path, skipped: list[tuple[str, str]], *, with_videos: bool
) -> Iterator[tuple[str, str, Kind]]:
    kind = _kind(path)
    if reason := why_no_file(path):
        skipped.append((str(path), reason))
    elif kind == "video" and not with_videos:
        skipped.append((str(path), f"{path} is a video, which is to be given by its own name"))
    elif kind == "video" or path.suffix.lower() in SUFFIXES:
        yield name, str(path), kind
    else:
        skipped.append((str(path), f"{path} is not an image"))


def _kind(path: Path) -> Kind:
    return "video" if path.suffix.lower() in VIDEO_SUFFIXES else "file"


def share(inputs: Sequence[Input], rank: int, world: int) -> list[Input]:
    """The share of the inputs of one of `world` processes. UserError for inputs that only one process can read."""
    for entry in inputs:
        if world > 1 and entry.kind in ("camera", "standard input"):
            raise UserError(f"{entry.source}: a camera or the standard input cannot be shared among {world} processes")
    return list(inputs[rank::world])
