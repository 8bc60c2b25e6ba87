"""Data sets by name. Loading batches, which needs torch, is in :mod:`bridgenet.data.loading`."""

from __future__ import annotations

from collections.abc import Sequence

from bridgenet.data.base import DataSetInfo, DataSource, DenseDataset, data_root
from bridgenet.data.cityscapes import Cityscapes
from bridgenet.data.cityscapes_mtan import CityscapesMTAN, CityscapesMTAN19
from bridgenet.data.nyud import NYUDv2
from bridgenet.data.pascal_context import PASCALContext
from bridgenet.errors import UserError, nearest

DATASETS: dict[str, type[DenseDataset]] = {
    kind.info.name: kind for kind in (NYUDv2, PASCALContext, Cityscapes, CityscapesMTAN, CityscapesMTAN19)
}
"""Published data sets by the name they have in configurations."""
DESCRIPTIONS = (".yaml", ".yml")
"""A name that ends so is the file that describes a folder of one's own."""


def get(name: str | Sequence[str]) -> DataSource:
    """What opens the splits of a data set.

    Args:
        name: of a published data set, the path of a description (`.yaml`), or several of them, joined in one.

    Raises:
        UserError: there is no such data set, with the nearest known one; all that is wrong in a description.
    """
    names = [name] if isinstance(name, str) else list(name)
    if len(names) != 1:
        raise UserError(f"data.name is {names}, expected one data set")
    if names[0] in DATASETS:
        return DATASETS[names[0]]
    raise UserError(
        f"'{names[0]}' is not a data set{nearest(names[0], DATASETS)} (data sets: {', '.join(DATASETS)}, "
        "or the YAML file that describes a folder)"
    )


def published(name: str) -> type[DenseDataset]:
    """The published data set of that name; UserError with the nearest known one."""
    if name not in DATASETS:
        raise UserError(f"'{name}' is not a data set{nearest(name, DATASETS)} (data sets: {', '.join(DATASETS)})")
    return DATASETS[name]


def info(name: str | Sequence[str]) -> DataSetInfo:
    """What one must know of a data set without opening it; errors as of :func:`get`."""
    return get(name).info


__all__ = [
    "DATASETS",
    "DESCRIPTIONS",
    "DataSetInfo",
    "DataSource",
    "DenseDataset",
    "NYUDv2",
    "PASCALContext",
    "data_root",
    "get",
    "info",
    "published",
]
