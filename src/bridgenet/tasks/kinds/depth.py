"""Metric depth [m], above 0."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridgenet.errors import UserError
from bridgenet.imaging.drawing import Key, Range, colour_map
from bridgenet.imaging.writing import write_npy, write_png
from bridgenet.tasks.colours import DEPTH_COLOURS, percentile_range
from bridgenet.tasks.constants import Constant, Mean
from bridgenet.tasks.kinds.base import Errors, Kind, Map, Mask, Random
from bridgenet.tasks.kinds.labels import LabelFormat, single

if TYPE_CHECKING:
    from torch import Tensor

    from bridgenet.tasks.statistics import Statistics
    from bridgenet.tasks.task import Task

LARGEST_DEPTH = 255.0
"""Without a stated range, larger values are considered a wrong unit [m]."""
MOST_MILLIMETRES = 65535
"""Largest depth in a file of 16 bits [mm]."""
NEAREST_MEAN_DEPTH = 0.5
"""Smaller mean depths of a data set are considered implausible [m]."""


class Depth(Kind):
    """Depth per pixel, (H, W) float32 [m]; as it is read 0 is unknown, after :meth:`mark_unknown` NaN."""

    name = "depth"
    defaults = {
        "loss": "bridgenet.losses:l1",
        "metric": "bridgenet.metrics:Depth",
        "headline": "rmse",
        "headline_title": "RMSE",
        "higher_is_better": False,
        "decode": "bridgenet.tasks.decoding:depth",
        "unit": "m",
        "num_outputs": 1,
        "pad_value": 0,
        "unknown": "zero",
        "divide_by_scale": True,
    }
    has_points = True
    label_keys = ("unit", "range")
    needs_unit = True
    digits = 2
    change_measure = "% mean difference of the mean depth"

    def known(self, values: Map) -> Mask:
        return np.isfinite(values) & (values > 0)

    def read(self, labels: LabelFormat, path: Path, stored: Map) -> Map:
        array = single(path, stored)
        unknown = labels.ignored(array) | (array[..., 0] == 0)
        metres = labels.finite(path, array) * np.float32(labels.scale or 1)
        metres[unknown] = 0
        if labels.range is not None:
            low, high = labels.range
            metres[~((metres >= low) & (metres <= high))] = 0
        else:
            unit = "is it in millimetres (`unit: mm`)?" if (labels.scale or 1) == 1 else "is the unit right?"
            check_metres(
                path,
                metres,
                negative="; or state a `range`",
                large=f": {unit} If it is, state a `range: [0.1, …]` in metres",
            )
        return metres

    def describe(self, task: Task, found: Statistics, num_classes: int) -> str:
        return f"{found.low:.2f} to {found.high:.2f} m, mean {found.mean:.2f} m"

    def implausible(self, found: Statistics) -> str:
        if found.mean < NEAREST_MEAN_DEPTH:
            return (
                f"the mean depth is {found.mean:.3g} m (up to {found.high:.3g} m), expected metres. Was it divided by the "
                "largest depth, or is it in another unit?"
            )
        return ""

    def best_constant(self, num_outputs: int) -> Constant:
        return Mean(1)

    def write(self, folder: Path, name: str, values: Map, num_names: int) -> None:
        write_npy(folder / f"{name}.npy", values)
        millimetres = np.nan_to_num(values, posinf=np.inf) * 1000
        write_png(folder / f"{name}_mm.png", millimetres.round().clip(0, MOST_MILLIMETRES).astype(np.uint16))

    def lost(self, name: str, values: Map) -> str:
        far, unknown = values > MOST_MILLIMETRES / 1000, np.isnan(values)
        texts = []
        if far.any():
            texts.append(f"{100 * far.mean():.3g} % are farther than {MOST_MILLIMETRES / 1000} m")
        if unknown.any():
            texts.append(f"{100 * unknown.mean():.3g} % are no numbers, 0")
        return f"{' and '.join(texts)} in {name}_mm.png, unlike in {name}.npy" if texts else ""

    def example(self, num_outputs: int, patches: Random, noise: Random) -> tuple[Tensor, Tensor]:
        target = patches(1) * 9 + 0.5
        return (target * (0.7 + 0.6 * noise(1)))[:, 0], target

    def value_unit(self, task: Task) -> str:
        return " m"

    def find_range(self, maps: Sequence[Map]) -> Range:
        near, far = percentile_range([values[self.known(values)].ravel() for values in maps])
        return near, max(far, near + 1e-3)

    def colourise(self, values: Map, value_range: Range | None) -> NDArray[np.uint8]:
        near, far = value_range or self.find_range([values])
        known = self.known(values)
        colours = colour_map(DEPTH_COLOURS, (np.where(known, values, near) - near) / max(far - near, 1e-6))
        return np.where(known[..., None], colours, np.uint8(0))

    def key(self, task: Task, maps: Sequence[Map], names: Sequence[str] | None, most: int, value_range: Any) -> Key:
        return Key(bar=(DEPTH_COLOURS, value_range, " m"))

    def errors(self, task: Task, prediction: Map, truth: Map, known: Mask) -> Errors:
        errors = np.abs(prediction - truth)
        largest = max(float(np.percentile(errors[known], 98)), 1e-3) if known.any() else 1.0
        return errors, largest, ("0 m", f"≥ {largest:.2g} m")


def check_metres(path: Path, metres: Map, *, negative: str = "", large: str = "") -> None:
    """UserError for depths of a file for which no range is stated: 0 (unknown) to less than :data:`LARGEST_DEPTH`, finite.

    Args:
        negative, large: what is said after a depth that is so, beside the depth itself.
    """
    low, high = metres.min(initial=0), metres.max(initial=0)
    if low >= 0 and high < LARGEST_DEPTH:  # not so with a NaN
        return
    if not np.isfinite(metres).all():
        raise UserError(f"{path}: {(~np.isfinite(metres)).sum()} depth values are not finite, expected metres >= 0")
    if low < 0:
        raise UserError(f"{path}: found depth {low:g} m, expected >= 0 (0 = unknown){negative}")
    raise UserError(f"{path}: found depth {high:g} m{large}")
