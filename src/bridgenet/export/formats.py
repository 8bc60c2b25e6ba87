"""The files of exported networks. Loads nothing, for the commands that have to know."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".onnx", ".pt2")


def is_exported(source: str | Path) -> bool:
    """Whether a path names an exported file, by its suffix."""
    return Path(source).suffix.lower() in SUFFIXES
