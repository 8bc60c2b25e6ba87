"""What a run of predictions made: one line of JSON per input in `manifest.jsonl`, or a part per process.

A line is appended when all files of its input are in place, so that an interrupted run can go on where it stopped. A line:
`input`, `name` (folder of the results), `time` (UTC), and either `error`, or `width`, `height` [pixels], `tasks`, `files`,
`seconds`, `notes`, `settings`; of videos also `frames` and `fps`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any


class Manifest:
    """The lines of a folder, those of this process written to its own part.

    Args:
        folder: of the results; made when the first line is written.
        rank: of this process.
        world: number of processes; with several, part RANK is `manifest-RANK.jsonl`.
    """

    def __init__(self, folder: Path, rank: int = 0, world: int = 1):
        self.folder = folder
        self.part = folder / ("manifest.jsonl" if world == 1 else f"manifest-{rank:05d}.jsonl")
        self.known = {line["input"]: line for line in read_manifest(folder)}

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line, at once and whole."""
        timed = {**line, "time": datetime.now(timezone.utc).isoformat(timespec="microseconds")}
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.part.open("ab+", buffering=0) as file:
            torn = False
            if size := file.seek(0, 2):
                file.seek(size - 1)
                torn = file.read(1) != b"\n"  # of a process that was killed, or of a full disk
            file.write((("\n" if torn else "") + json.dumps(timed) + "\n").encode())

    def is_done(self, source: str, name: str, settings: Mapping[str, Any]) -> bool:
        """Whether an input has been predicted with these settings into that folder and all its files are still there."""
        line = self.known.get(source)
        if line is None or "error" in line or line.get("name") != name or line.get("settings") != settings:
            return False
        return all((self.folder / name / file).is_file() for file in line["files"])


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """The last line of every input of all parts in a folder, in the order of time; lines that were cut are left out."""
    lines = []
    for part in sorted(folder.glob("manifest*.jsonl")):
        for text in part.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and {"input", "time"} <= line.keys():
                lines.append(line)
    lines.sort(key=lambda line: str(line["time"]))
    last = {line["input"]: line for line in lines}
    return sorted(last.values(), key=lambda line: str(line["time"]))
