"""Results of benchmarks in a JSON file, which is complete after every case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bridgenet.benchmark.isolation import Failed, isolated
from bridgenet.benchmark.machine import describe, versions
from bridgenet.errors import UserError
from bridgenet.system.files import write_json

NOTE = "Weights are random: these are costs, no results of a network."


class Results:
    """The file NAME.json in a folder, which is created if needed. An existing file is overwritten.

    UserError if it cannot be written, before anything is measured.
    """

    def __init__(self, folder: Path, name: str, devices: Sequence[str] = ("cpu",)) -> None:
        self.path = folder / f"{name}.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"--out {folder} cannot be made ({error.strerror}); give a folder that can be written"
            ) from None
        self.content: dict[str, Any] = {
            "kind": name,
            "note": NOTE,
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "machine": describe(devices),
            "versions": versions(),
            "records": [],
        }
        self.write()

    @property
    def records(self) -> list[dict[str, Any]]:
        """`{"case": …, "result": … or None, "error": … or None}`, in the order of measurement."""
        return self.content["records"]

    @property
    def is_whole(self) -> bool:
        """Whether every case gave a result."""
        return all(record["result"] is not None for record in self.records)

    def write(self) -> None:
        """Write the file atomically."""
        write_json(self.path, self.content)

    def measure(self, work: Callable[[Any], dict[str, Any]], case: Any, recorded: dict[str, Any]) -> dict[str, Any]:
        """Measure in a new process; write and return the record, which holds `recorded` as the case."""
        record: dict[str, Any] = {"case": recorded, "result": None, "error": None}
        try:
            record["result"] = isolated(work, case)
        except Failed as failure:
            record["error"] = str(failure)
        self.records.append(record)
        self.write()
        return record

    def add(self, **values: Any) -> None:
        """Add values beside the records."""
        self.content.update(values)
        self.write()
