"""Data sets by name. Loading batches, which needs torch, is in :mod:`bridgenet.data.pipeline.loading`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from bridgenet import extensions
from bridgenet.data.base import DenseDataset
from bridgenet.data.folders.custom_class import CustomSource
from bridgenet.data.folders.description import FILE
from bridgenet.data.folders.folder import FolderSource
from bridgenet.data.info import DataSetInfo, DataSource, data_root
from bridgenet.data.mixed import MixedSource
from bridgenet.data.published.nyud import NYUDv2
from bridgenet.data.published.pascal_context import PASCALContext
from bridgenet.errors import UserError, nearest
from bridgenet.system.members import members

DATASETS: dict[str, type[DenseDataset]] = {
    found.info.name: found
    for found in members("bridgenet.data.published", DenseDataset, without=("download", "readers"))  # type: ignore[type-abstract]
}
"""Published data sets by the name they have in configurations: all that stand in the folder `published`."""
DESCRIPTIONS = (".yaml", ".yml")
"""A name that ends so is the file that describes a folder of one's own."""


def get(name: str | Sequence[str]) -> DataSource:
    """What opens the splits of a data set.

    Args:
        name: of a published data set, the path of a description (`.yaml`), one's own class (`package.module:Class`), or
            several of them, joined in one.

    Raises:
        UserError: there is no such data set, with the nearest known one; all that is wrong in a description.
    """
    if not isinstance(name, str):
        if not name:
            raise UserError("data.name is an empty list, expected data sets")
        if len(set(name)) < len(name):
            raise UserError(f"data.name is {list(name)}: a data set is named twice")
        return get(name[0]) if len(name) == 1 else MixedSource([get(each) for each in name])
    if name in DATASETS:
        return DATASETS[name]
    if (path := description_path(name)) is not None:
        return _folder_source(path, path.stat().st_mtime_ns if path.is_file() else 0)
    if extensions.is_path(name):
        return CustomSource(name)
    raise _unknown(name, ", the YAML file that describes a folder, or package.module:Class")


def description_path(name: str) -> Path | None:
    """The absolute path of the description that a name stands for, also if it is not there: the file itself, or the folder it lies in.

    None for what is no description's name.
    """
    path = Path(name).expanduser().absolute()
    if name.endswith(DESCRIPTIONS):
        return path
    return path / FILE if (path / FILE).is_file() else None


def absolute(names: str | list[str]) -> str | list[str]:
    """Names of data sets, descriptions by their absolute path."""
    if isinstance(names, list):
        return [str(absolute(name)) for name in names]
    return str(names if names in DATASETS else description_path(names) or names)


@functools.cache
def _folder_source(path: Path, changed: int) -> FolderSource:
    """One for each state of a file: reading it again would look at all images again."""
    return FolderSource(path)


def published(name: str) -> type[DenseDataset]:
    """The published data set of that name; UserError with the nearest known one."""
    if name not in DATASETS:
        raise _unknown(name)
    return DATASETS[name]


def _unknown(name: str, others: str = "") -> UserError:
    return UserError(f"'{name}' is not a data set{nearest(name, DATASETS)} (data sets: {', '.join(DATASETS)}{others})")


def info(name: str | Sequence[str]) -> DataSetInfo:
    """What one must know of a data set without opening it; errors as of :func:`get`."""
    return get(name).info


__all__ = [
    "DATASETS",
    "DESCRIPTIONS",
    "CustomSource",
    "DataSetInfo",
    "DataSource",
    "DenseDataset",
    "FolderSource",
    "NYUDv2",
    "PASCALContext",
    "absolute",
    "data_root",
    "description_path",
    "get",
    "info",
    "published",
]
