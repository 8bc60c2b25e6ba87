"""Data sets by name. Loading batches, which needs torch, is in :mod:`bridgenet.data.loading`."""

from __future__ import annotations

from bridgenet.data.base import DataSetInfo, DenseDataset, data_root
from bridgenet.data.nyud import NYUDv2
from bridgenet.data.pascal_context import PASCALContext
from bridgenet.errors import UserError, nearest

DATASETS: dict[str, type[DenseDataset]] = {"nyud": NYUDv2, "pascal": PASCALContext}
"""Data sets by the name they have in configurations. Add your own subclass of DenseDataset here."""


def get(name: str) -> type[DenseDataset]:
    """The data set of that name, or UserError with the nearest known one."""
    if name not in DATASETS:
        raise UserError(f"'{name}' is not a data set{nearest(name, DATASETS)} (data sets: {', '.join(DATASETS)})")
    return DATASETS[name]


def info(name: str) -> DataSetInfo:
    """What one must know of a data set without opening it; UserError for an unknown name."""
    return get(name).info


__all__ = ["DATASETS", "DataSetInfo", "DenseDataset", "NYUDv2", "PASCALContext", "data_root", "get", "info"]
