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
"""Suffixes of names that are the description of a custom folder."""


def get(name: str | Sequence[str]) -> DataSource:
    """The source that opens the splits of a data set.

    Args:
        name: a published data set, the path of a description (`.yaml`), a custom class (`package.module:Class`), or
            several of them, to be mixed.

    Raises:
        UserError: the data set is unknown (with the nearest name), or the description has mistakes (all are listed).
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
    """The absolute path of the description with this name, the file itself or its folder; the file need not exist.

    None for other names.
    """
    path = Path(name).expanduser().absolute()
    if name.endswith(DESCRIPTIONS):
        return path
    return path / FILE if (path / FILE).is_file() else None


def absolute(names: str | list[str]) -> str | list[str]:
    """Replace the names of descriptions by absolute paths."""
    if isinstance(names, list):
        return [str(absolute(name)) for name in names]
    return str(names if names in DATASETS else description_path(names) or names)


@functools.cache
def _folder_source(path: Path, changed: int) -> FolderSource:
    """Cached for each state of the file: reading it lists all images."""
    return FolderSource(path)


def published(name: str) -> type[DenseDataset]:
    """The published data set of that name. Raises UserError with the nearest name for an unknown one."""
    if name not in DATASETS:
        raise _unknown(name)
    return DATASETS[name]


def _unknown(name: str, others: str = "") -> UserError:
    return UserError(f"'{name}' is not a data set{nearest(name, DATASETS)} (data sets: {', '.join(DATASETS)}{others})")


def info(name: str | Sequence[str]) -> DataSetInfo:
    """The properties of a data set, without opening it; raises what :func:`get` does."""
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
