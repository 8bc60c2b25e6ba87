"""Data sets that are classes of one's own, named by dotted path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridgenet.data.base import DataSetInfo, DenseDataset
from bridgenet.errors import UserError
from bridgenet.extensions import failing_as, load_object, subclass_of


def is_dataset(found: Any) -> str:
    """What is wrong with a data set; empty for a subclass of `DenseDataset`, or an object that stands for a data set."""
    if not isinstance(found, type) and callable(found) and hasattr(found, "choose_tasks"):
        return ""
    return subclass_of(DenseDataset, "bridgenet.DenseDataset")(found)


class CustomSource:
    """Opens the splits of a class of one's own (or of an object that stands for a data set); what it raises is told in words.

    Args:
        path: `package.module:Class`.

    Raises:
        UserError: there is no such data set, or it does not say what it is.
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
        """As of :meth:`DenseDataset.choose_tasks`."""
        return self.kind.choose_tasks(tasks)

    def __call__(self, root: str | Path, split: str, tasks: Sequence[str] | None = None, **how: bool) -> DenseDataset:
        """A split. UserError for whatever the class raises."""
        with failing_as(self.where):
            return self.kind(root, split, tasks, **how)
