"""Probabilities of being foreground, 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridgenet.errors import UserError
from bridgenet.imaging.drawing import Key, Range, colour_map
from bridgenet.imaging.writing import write_png
from bridgenet.tasks.colours import NO_LABEL, PROBABILITY_COLOURS
from bridgenet.tasks.constants import Constant, Foreground, Share
from bridgenet.tasks.kinds.base import IGNORE, Errors, Kind, Map, Mask, Random
from bridgenet.tasks.kinds.labels import LabelFormat, single

if TYPE_CHECKING:
    from torch import Tensor

    from bridgenet.tasks.statistics import Statistics
    from bridgenet.tasks.task import Task

EPS = 1e-7
"""Probabilities are clamped to this distance from 0 and 1 where their logits are computed."""


class Probability(Kind):
    """A probability per pixel, (H, W) float32 in [0, 1], from the logits of two classes or of one channel."""

    name = "probability"
    defaults = {
        "loss": "bridgenet.losses:balanced_cross_entropy",
        "metric": "bridgenet.metrics:Saliency",
        "headline": "maxF_clean",
        "headline_title": "maxF",
        "higher_is_better": True,
        "decode": "bridgenet.tasks.decoding:foreground_probability",
        "unit": "%",
        "num_outputs": 2,
    }
    is_share = True
    label_keys = ("scale",)
    change_measure = "mean difference of the probability"

    def read(self, labels: LabelFormat, path: Path, stored: Map) -> Map:
        array = single(path, stored)
        unknown = labels.ignored(array)
        values = labels.finite(path, array)
        scale = labels.scale
        if scale is None:
            scale = 1 / 255 if array.dtype.kind in "iu" else 1.0
            if scale != 1 and array[~unknown].max(initial=0) == 1:
                raise UserError(
                    f"{path}: found the values 0 and 1, expected 0 to 255, where 255 is the foreground. If 1 is: `scale: 1`"
                )
        values = values / np.float32(255) if scale == 1 / 255 else values * np.float32(scale)
        values[unknown] = 0
        if values.min() < 0 or values.max() > 1:
            raise UserError(
                f"{path}: found {values.min():g} to {values.max():g} (stored values times {scale:.4g}), expected 0 to 1; "
                "`scale` brings other numbers there, `ignore` leaves values out"
            )
        positive = (values == 1).astype(np.uint8)
        if np.array_equal(positive, values):
            positive[unknown] = IGNORE
            return positive
        values[unknown] = self.unknown
        return values

    def describe(self, task: Task, found: Statistics, num_classes: int) -> str:
        return f"{100 * found.mean:.1f} % positive"

    def implausible(self, found: Statistics) -> str:
        if found.high < 0.5:
            return "no pixel of any image is positive. Is it stored as 0 and 1 instead of 0 and 255?"
        return ""

    def best_constant(self, num_outputs: int) -> Constant:
        return Share() if num_outputs == 1 else Foreground()

    def averaged(self, task: Task, logits: Tensor) -> Tensor:
        return logits.softmax(dim=1) if logits.shape[1] > 1 else super().averaged(task, logits)

    def logits_of(self, mean: Tensor) -> Tensor:
        return mean.clamp(min=EPS).log() if mean.shape[1] > 1 else mean.logit(eps=EPS)

    def write(self, folder: Path, name: str, values: Map, num_names: int) -> None:
        write_png(folder / f"{name}.png", (values * 255).astype(np.uint8))  # truncated, as the boundary protocol asks

    def change(self, expected: Map, found: Map) -> float:
        return float(np.abs(expected - found).mean())

    def example(self, num_outputs: int, patches: Random, noise: Random) -> tuple[Tensor, Tensor]:
        target = (patches(1) * 2).floor()
        return (0.7 * target + 0.3 * noise(1))[:, 0], target

    def colourise(self, values: Map, value_range: Range | None) -> NDArray[np.uint8]:
        colours = colour_map(PROBABILITY_COLOURS, values)
        return np.where(self.is_unknown(values)[..., None], NO_LABEL, colours)

    def key(self, task: Task, maps: Sequence[Map], names: Sequence[str] | None, most: int, value_range: Any) -> Key:
        return Key(bar=(PROBABILITY_COLOURS, (0.0, 1.0), ""))

    def errors(self, task: Task, prediction: Map, truth: Map, known: Mask) -> Errors:
        return np.abs(prediction - truth), 1.0, ("0", "1")
