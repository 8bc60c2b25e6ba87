"""The record of a run of predictions: a line of JSON for each input in `manifest.jsonl`, or in one part per process.

A line is appended when all files of its input are written, so that an interrupted run can be resumed. A line has
`input`, `name` (folder of the results), `time` (UTC), and either `error`, or `width`, `height` [pixels], `tasks`, `files`,
`seconds`, `notes`, `settings`; for videos also `frames` and `fps`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import Any

from bridgenet.errors import UserError


class Manifest:
    """The manifest of a folder; each process appends to its own part.

    Args:
        folder: folder of the results; created when the first line is written.
        rank: rank of this process.
        world: number of processes; with several, part RANK is `manifest-RANK.jsonl`.
    """

    def __init__(self, folder: Path, rank: int = 0, world: int = 1):
        self.folder = folder
        self.part = folder / ("manifest.jsonl" if world == 1 else f"manifest-{rank:05d}.jsonl")
        if os.path.lexists(self.part) and not _is_own(self.part):
            raise UserError(
                f"{self.part} is no regular file; expected the record of earlier predictions. Give another --out"
            )
        lines = _read_lines(folder)
        self.known = _last_of_each(lines)
        self.by_name = {line["name"]: line for line in lines if "files" in line}
        self.files: dict[str, set[str]] = {}
        for line in lines:
            if "files" in line:
                self.files.setdefault(line["name"], set()).update(line["files"])

    def append(self, line: Mapping[str, Any]) -> None:
        """Append a line in a single write."""
        timed = {**line, "time": datetime.now(timezone.utc).isoformat(timespec="microseconds")}
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.part.open("ab+", buffering=0) as file:
            torn = False
            if size := file.seek(0, 2):
                file.seek(size - 1)
                torn = file.read(1) != b"\n"  # after a killed process, or on a full disk
            file.write((("\n" if torn else "") + json.dumps(timed) + "\n").encode())

    def is_done(self, source: str, name: str, settings: Mapping[str, Any]) -> bool:
        """Whether an input has been predicted with these settings into that folder and all its files are still there."""
        line = self.known.get((source, name))
        if line is None or "error" in line or line.get("settings") != settings:
            return False
        return all((self.folder / name / file).is_file() for file in line["files"])

    def clear(self, source: str, name: str, settings: Mapping[str, Any], files: Collection[str]) -> None:
        """Delete the files that an earlier run wrote into a folder, except `files`, which were written now.

        If the earlier run differs only in its outputs, its files are kept. Nothing outside the folder is deleted, whatever the
        manifest says and wherever links lead.
        """
        line = self.by_name.get(name)
        if line is None or _is_same_but_outputs(line, source, settings):
            return
        folder = self.folder / name
        gone = [folder / file for file in self.files[name] - set(files)]
        for path in gone:
            if is_inside(path.parent, folder) and (path.is_file() or path.is_symlink()):
                path.unlink()
        for inside in sorted(
            {above for path in gone for above in path.parents if folder in above.parents}, reverse=True
        ):
            if is_inside(inside, folder):
                with suppress(OSError):  # not empty, or not there
                    inside.rmdir()


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or below it, wherever links lead."""
    return path.resolve().is_relative_to(folder.resolve())


def _is_same_but_outputs(line: Mapping[str, Any], source: str, settings: Mapping[str, Any]) -> bool:
    before = line.get("settings")
    return (
        line["input"] == source and isinstance(before, dict) and {**before, "outputs": settings["outputs"]} == settings
    )


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """Read the last line of every input and name from all parts in a folder, ordered by time; truncated lines are ignored.

    For an input that was skipped before it had a name, only its last line is returned.
    """
    return sorted(_last_of_each(_read_lines(folder)).values(), key=lambda line: str(line["time"]))


def _read_lines(folder: Path) -> list[dict[str, Any]]:
    """All lines, ordered by time."""
    lines = []
    for part in filter(_is_own, sorted(folder.glob("manifest*.jsonl"))):
        for text in part.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if _is_sound(line):
                lines.append(line)
    return sorted(lines, key=lambda line: str(line["time"]))


def _is_own(part: Path) -> bool:
    return part.is_file() and not part.is_symlink()


def _is_sound(line: Any) -> bool:
    """Whether a line may be of a run: the types are right, and its names are places below the folder."""
    if not isinstance(line, dict) or not isinstance(line.get("input"), str) or "time" not in line:
        return False
    if "name" in line and not _is_below(line["name"]):
        return False
    if "files" not in line:
        return True
    files = line["files"]
    return "name" in line and isinstance(files, list) and all(map(_is_below, files))


def _is_below(name: Any) -> bool:
    """Whether a name is that of a file or folder below another one, on this system."""
    if not isinstance(name, str) or "\0" in name:
        return False
    path = PurePath(name)
    return bool(path.parts) and not path.anchor and ".." not in path.parts


def _last_of_each(lines: Sequence[dict[str, Any]]) -> dict[tuple[str, str | None], dict[str, Any]]:
    last: dict[tuple[str, str | None], dict[str, Any]] = {}
    for line in lines:
        last.pop((line["input"], None), None)
        last[line["input"], line.get("name")] = line
    return last
