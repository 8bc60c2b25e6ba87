"""Any real numbers, of one or several channels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridgenet.errors import UserError
from bridgenet.imaging.drawing import Key, Range, colour_map
from bridgenet.imaging.writing import write_npy
from bridgenet.tasks.colours import NO_LABEL, PROBABILITY_COLOURS, REGRESSION_COLOURS, percentile_range
from bridgenet.tasks.constants import Constant, Mean
from bridgenet.tasks.kinds.base import Kind, Map, Random
from bridgenet.tasks.kinds.labels import LabelFormat, channels_of, single

if TYPE_CHECKING:
    from torch import Tensor

    from bridgenet.tasks.statistics import Statistics
    from bridgenet.tasks.task import Task


class Regression(Kind):
    """Numbers in the task's unit, (H, W), or (H, W, C) of several channels, float32."""

    name = "regression"
    defaults = {
        "loss": "bridgenet.losses:l1",
        "metric": "bridgenet.metrics:Regression",
        "headline": "mae",
        "headline_title": "MAE",
        "higher_is_better": False,
        "decode": "bridgenet.tasks.decoding:regression",
        "num_outputs": 1,
    }
    label_keys = ("unit", "channels", "scale", "range", "negate_on_flip", "multiply_by_scale")

    def target_channels(self, num_outputs: int | None) -> int:
        return num_outputs or 1

    def read(self, labels: LabelFormat, path: Path, stored: Map) -> Map:
        array = single(path, stored) if labels.channels == 1 else stored
        if array.shape[2] != labels.channels:
            raise UserError(f"{path}: found {channels_of(array)}, expected {labels.channels} (`channels`)")
        unknown = labels.ignored(array)
        values = labels.finite(path, array) * np.float32(1 if labels.scale is None else labels.scale)
        if labels.range is not None:
            low, high = labels.range
            unknown |= ~((values >= low) & (values <= high)).all(axis=2)
        values[unknown] = self.unknown
        return values

    def describe(self, task: Task, found: Statistics, num_classes: int) -> str:
        unit = self.value_unit(task)
        return f"{found.low:.4g} to {found.high:.4g}{unit}, mean {found.mean:.4g}{unit}"

    def best_constant(self, num_outputs: int) -> Constant:
        return Mean(self.target_channels(num_outputs))

    def write(self, folder: Path, name: str, values: Map, num_names: int) -> None:
        write_npy(folder / f"{name}.npy", values)

    def example(self, num_outputs: int, patches: Random, noise: Random) -> tuple[Tensor, Tensor]:
        target = patches(num_outputs)
        prediction = (target * (0.7 + 0.6 * noise(num_outputs))).permute(0, 2, 3, 1)
        return (prediction[..., 0] if num_outputs == 1 else prediction), target

    def value_unit(self, task: Task) -> str:
        return f" {task.unit}".rstrip()

    def as_map(self, task: Task, values: Map) -> Map:
        """All of three channels, of any other number only the first."""
        values = np.asarray(values)
        if values.ndim == 3:
            return values if values.shape[2] == 3 else values[..., 0]
        return super().as_map(task, values)

    def find_range(self, maps: Sequence[Map]) -> Range:
        return percentile_range([values[np.isfinite(values)] for values in maps])

    def colourise(self, values: Map, value_range: Range | None) -> NDArray[np.uint8]:
        low, high = value_range or self.find_range([values])
        known = np.isfinite(values)
        shares = (np.where(known, values, low) - low) / max(high - low, 1e-12)
        if values.ndim == 2:
            colours = colour_map(REGRESSION_COLOURS, shares)
        else:
            colours = np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)
        return np.where(self.known(values)[..., None], colours, NO_LABEL)

    def key(self, task: Task, maps: Sequence[Map], names: Sequence[str] | None, most: int, value_range: Any) -> Key:
        colours = REGRESSION_COLOURS if maps[0].ndim == 2 else PROBABILITY_COLOURS
        return Key(bar=(colours, value_range, self.value_unit(task)))
