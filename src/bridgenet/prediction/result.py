"""The predictions for one picture."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bridgenet.prediction.writing import lost, save
from bridgenet.tasks import visualize


@dataclass
class Prediction:
    """Decoded predictions for one picture, as attributes by task name: `result.depth`, `result.semseg`, …

    Attributes:
        image: the picture, (H, W, 3) uint8 RGB.
        maps: {task: map}; classes (H, W) int64, probabilities (H, W) float32 in [0, 1], depth (H, W) float32 [m],
            normals (H, W, 3) float32 unit vectors in the training data's convention (NYUD-v2's, PASCAL-Context's),
            regressions (H, W) or (H, W, C) float32 in the task's unit.
        class_names: names of the classes by task, in the order of their indices, for tasks that have classes.
        class_values: values of the classes in label files of the training data by task, in the same order, if known.
    """

    image: NDArray[np.uint8]
    maps: dict[str, NDArray[Any]]
    class_names: dict[str, list[str]] = field(default_factory=dict)
    class_values: dict[str, list[int]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> NDArray[Any]:
        maps = self.__dict__.get("maps", {})
        if name in maps:
            return maps[name]
        raise AttributeError(f"this prediction has no '{name}' (tasks: {', '.join(maps)})")

    def panel(self) -> Image.Image:
        """Draw the picture and every task in colour, with titles and legends; depth has a colour bar [m]."""
        return visualize.panel(self.image, self.maps, class_names=self.class_names)

    def coloured(self, task: str, *, opacity: float | None = None) -> Image.Image:
        """Draw a task in colour in the size of the picture, with its legend below; with an opacity (0 to 1), over the picture."""
        names = self.class_names.get(task)
        if opacity is None:
            return visualize.coloured(task, self.maps[task], names=names)
        return visualize.coloured(task, self.maps[task], names=names, over=self.image, opacity=opacity)

    def save(
        self,
        folder: str | Path,
        outputs: Sequence[str] = ("raw", "panel"),
        *,
        field_of_view: float | None = None,
        opacity: float = 0.5,
    ) -> list[Path]:
        """Write outputs into a folder (created if necessary), all of them or none, and return the files.

        Args:
            folder: folder of the files.
            outputs: `raw`: classes `TASK.png`, class index, 8 bits (16 for more than 256 classes); probabilities
                `TASK.png`, 0..255; depth `depth.npy` float32 [m] and `depth_mm.png`, 16 bits [mm]; normals `normals.png`,
                255·(n + 1)/2; regressions `TASK.npy` float32. `labels`: classes `TASK_labels.png` with the values of the
                label files, e.g. Cityscapes' label ids. `colour`: `TASK_colour.png`. `overlay`: `TASK_overlay.png`.
                `panel`: `panel.png`. `ply`: `depth.ply`, see :func:`bridgenet.prediction.points.point_cloud`.
            field_of_view: horizontal [deg], for `ply`.
            opacity: opacity of the colours in overlays, 0 to 1.

        Warns of values that a file cannot hold, like depths of more than 65.535 m in `depth_mm.png`.
        """
        for note in lost(self, outputs):
            warnings.warn(note, stacklevel=2)
        return save(self, Path(folder), outputs, field_of_view=field_of_view, opacity=opacity)
