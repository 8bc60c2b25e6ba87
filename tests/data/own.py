"""Tiny folders of one's own, and their descriptions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.data.layouts import write

SIZE = (12, 16)
NAMES = ("a", "b", "c", "d", "e", "f")
YAML = """
name: roofs
split: {val: 0.3, seed: 0}
size: [32, 32]
tasks:
  semseg: {folder: labels, classes: {7: road, 11: building}, ignore: [255]}
  depth: {folder: depth, unit: mm, range: [0.1, 80]}
  normals: {folder: normals, axes: [right, down, away]}
  edge: {folder: edges}
  roofs_damage: {kind: classes, folder: damage, classes: [none, light, heavy], weight: 2.0}
  roofs_height: {kind: regression, folder: height, unit: m, scale: 0.01, title: Height}
"""


def write_16_bit(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint16)).save(path)


def make_folder(folder: Path, yaml: str = YAML, names: tuple[str, ...] = NAMES) -> Path:
    """Images with sound labels of all tasks of the description; the path of the description, data.yaml."""
    rng = np.random.default_rng(0)
    for name in names:
        write(folder / f"images/{name}.png", rng.integers(0, 256, (*SIZE, 3), np.uint8))
        write(folder / f"labels/{name}.png", rng.choice(np.array([7, 11, 255], np.uint8), SIZE))
        write_16_bit(folder / f"depth/{name}.png", rng.integers(1000, 9000, SIZE))
        write(folder / f"normals/{name}.png", np.full((*SIZE, 3), (128, 128, 0), np.uint8))
        write(folder / f"edges/{name}.png", rng.integers(0, 2, SIZE, np.uint8) * np.uint8(255))
        write(folder / f"damage/{name}.png", rng.integers(0, 3, SIZE, np.uint8))
        write(folder / f"height/{name}.npy", rng.uniform(0, 900, SIZE).astype(np.float32))
    path = folder / "data.yaml"
    path.write_text(yaml)
    return path
