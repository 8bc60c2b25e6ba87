"""Where the golden cases are: `data/` beside this file, or the folder that the environment variable BRIDGENET_GOLDEN names."""

from __future__ import annotations

import os
from pathlib import Path


def golden_dir() -> Path:
    """The folder of golden cases (its README tells the layout)."""
    folder = Path(os.environ.get("BRIDGENET_GOLDEN") or Path(__file__).parent / "data")
    if not folder.is_dir():
        raise FileNotFoundError(f"BRIDGENET_GOLDEN is {folder}, which is no folder")
    return folder
