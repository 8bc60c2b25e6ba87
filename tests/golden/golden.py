"""Where the golden cases are: `data/` beside this file, or the folder that the environment variable BRIDGENET_GOLDEN names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bridgenet import tasks


def golden_dir() -> Path:
    """The folder of golden cases (its README tells the layout)."""
    folder = Path(os.environ.get("BRIDGENET_GOLDEN") or Path(__file__).parent / "data")
    if not folder.is_dir():
        raise FileNotFoundError(f"BRIDGENET_GOLDEN is {folder}, which is no folder")
    return folder


def with_nan(name: str, values: Any) -> Any:
    """A stored array or tensor in which 255 marks unknown pixels of every task: NaN in its place but in class maps."""
    if name == "image" or tasks.get(name).kind == "classes":
        return values
    return (
        torch.where(values == 255, torch.nan, values)
        if torch.is_tensor(values)
        else np.where(values == 255, np.float32(np.nan), values)
    )
