"""Custom data sets: classes named by dotted path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridgenet.data.base import DataSetInfo, DenseDataset
from bridgenet.errors import UserError
from bridgenet.extensions import failing_as, load_object, subclass_of


def is_dataset(found: Any) -> str:
    """What is wrong with a data set; empty for a subclass of `DenseDataset` or an object with the same interface."""
    if not isinstance(found, type) and callable(found) and hasattr(found, "choose_tasks"):
        return ""
    return subclass_of(DenseDataset, "bridgenet.DenseDataset")(found)


class CustomSource:
    """Open the splits of a custom class, or of an object with the same interface; its errors become UserErrors.

    Args:
        path: `package.module:Class`.

    Raises:
        UserError: the class does not exist or has no `info`.
    """

    def __init__(self, path: str) -> None:
        self.where = f"data.name: {path}"
        self.kind: Any = load_object(path, "data.name", is_dataset)
        if not isinstance(getattr(self.kind, "info", None), DataSetInfo):
            raise UserError(f"{self.where} has no `info`, expected a bridgenet.DataSetInfo")

    @property
    def info(self) -> DataSetInfo:
        return self.kind.info

    def choose_tasks(self, tasks: Sequence[str] | None = None) -> list[str]:
        return self.kind.choose_tasks(tasks)

    def __call__(self, root: str | Path, split: str, tasks: Sequence[str] | None = None, **how: bool) -> DenseDataset:
        """Open a split. Raises UserError for whatever the class raises."""
        with failing_as(self.where):
            return self.kind(root, split, tasks, **how)
