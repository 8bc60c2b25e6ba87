"""Class maps: an index per pixel, 0..n-1; IGNORE where unknown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridgenet.errors import UserError
from bridgenet.imaging.drawing import MAX_LEGEND, Key, Range
from bridgenet.imaging.writing import write_png
from bridgenet.tasks.colours import NO_LABEL, PALETTE, RIGHT, WRONG
from bridgenet.tasks.constants import Constant, MostFrequent
from bridgenet.tasks.kinds.base import IGNORE, ErrorMap, Kind, Map, Mask, Random
from bridgenet.tasks.kinds.labels import LabelFormat, single
from bridgenet.tasks.references import resolve

if TYPE_CHECKING:
    from torch import Tensor

    from bridgenet.tasks.statistics import Statistics
    from bridgenet.tasks.task import Task

LEFT = re.compile(r"left|(?<![^\W_])l(?![^\W_])")
"""The left side in the name of a class in lower case."""
EPS = 1e-7
"""Shares of classes are at least this value where their logarithm is taken."""


class Classes(Kind):
    """A class per pixel. Predictions are (H, W) int64; targets hold whole numbers, IGNORE where unknown."""

    name = "classes"
    defaults = {
        "loss": "bridgenet.losses:cross_entropy",
        "metric": "bridgenet.metrics:Segmentation",
        "headline": "mIoU",
        "headline_title": "mIoU",
        "higher_is_better": True,
        "decode": "bridgenet.tasks.decoding:class_index",
        "unit": "%",
        "num_outputs": None,
    }
    unknown = IGNORE
    has_classes = True
    label_keys = ("classes", "swap")
    change_measure = "% of pixels with another class"

    def is_unknown(self, values: Any) -> Any:
        return values == IGNORE

    def known(self, values: Map) -> Mask:
        return values != IGNORE

    def expanded(self, stored: NDArray[np.uint8]) -> NDArray[np.float32]:
        return stored.astype(np.float32)

    def finish(self, task: Task, target: Tensor, mirrored: Tensor) -> Tensor:
        return target.float()

    def read(self, labels: LabelFormat, path: Path, stored: Map) -> Map:
        array = single(path, stored)
        ignored = labels.ignored(array)
        with np.errstate(invalid="ignore"):
            whole = array.astype(np.int64)
        if array.dtype.kind == "f" and not (whole == array)[~ignored].all():
            raise UserError(f"{path}: found numbers that are not whole, expected class indices")
        top = max(labels.values)
        table = np.full(top + 2, -1, np.int16)  # the last place is for all other values
        table[list(labels.values)] = np.arange(len(labels.values))
        indices = table[np.where((whole < 0) | (whole > top), top + 1, whole)]
        indices[ignored] = IGNORE
        if (wrong := indices < 0).any():
            found = ", ".join(str(value) for value in np.unique(whole[wrong])[:5])
            raise UserError(f"{path}: found the value(s) {found}, expected {in_words(labels)}")
        return indices.astype(np.uint8)

    def describe(self, task: Task, found: Statistics, num_classes: int) -> str:
        return f"{len(found.classes)} of {num_classes} classes"

    def best_constant(self, num_outputs: int) -> Constant:
        return MostFrequent(num_outputs)

    def averaged(self, task: Task, logits: Tensor) -> Tensor:
        return logits.softmax(dim=1)

    def logits_of(self, mean: Tensor) -> Tensor:
        return mean.clamp(min=EPS).log()

    def enlarge(self, task: Task, logits: Tensor, size: tuple[int, int]) -> Map:
        from bridgenet.tasks.decoding import class_index, resized, streaming_argmax

        decode = resolve(task.decode)
        if decode is class_index and tuple(logits.shape[-2:]) != size:
            # One class at a time: all 40 at once would need gigabytes for a photograph.
            maps = (resized(channel[None, None].float(), size)[0, 0] for channel in logits[0])
            return streaming_argmax(maps)[0].long().cpu().numpy()
        # A custom decoding needs all logits.
        logits = logits if tuple(logits.shape[-2:]) == size else resized(logits.float(), size)
        return decode(logits)[0].cpu().numpy().astype(np.int64)

    def enlarge_array(self, task: Task, logits: NDArray[np.float32], size: tuple[int, int]) -> Map:
        from bridgenet.tasks.array_decoding import resized

        largest = resized(logits[0], size).copy()
        index = np.zeros(size, np.int64)
        for number, channel in enumerate(logits[1:], start=1):
            values = resized(channel, size)
            is_larger = values > largest
            index[is_larger] = number
            np.maximum(largest, values, out=largest)
        return index

    def write(self, folder: Path, name: str, values: Map, num_names: int) -> None:
        dtype = np.uint8 if max(num_names - 1, values.max(initial=0)) < 256 else np.uint16
        write_png(folder / f"{name}.png", values.astype(dtype))

    def change(self, expected: Map, found: Map) -> float:
        return 100 * float(np.mean(expected != found))

    def example(self, num_outputs: int, patches: Random, noise: Random) -> tuple[Tensor, Tensor]:
        target = (patches(1) * num_outputs).floor()
        wrong = noise(1) < 0.2
        return (noise(1) * num_outputs).floor().where(wrong, target)[:, 0].long(), target

    def colourise(self, values: Map, value_range: Range | None) -> NDArray[np.uint8]:
        labels = values.astype(np.int64)
        return np.where((labels == IGNORE)[..., None], NO_LABEL, PALETTE[labels % len(PALETTE)])

    def key(self, task: Task, maps: Sequence[Map], names: Sequence[str] | None, most: int, value_range: Any) -> Key:
        return Key(swatches=legend(maps, names, most))

    def error_map(self, task: Task, prediction: Map, truth: Map) -> ErrorMap:
        colours = np.where((prediction == truth)[..., None], RIGHT, WRONG)
        picture = np.where(self.known(truth)[..., None], colours, NO_LABEL)
        return ErrorMap(picture, [(RIGHT, "right"), (WRONG, "wrong"), (NO_LABEL, "no label")])


def pairs_of_indices(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> tuple[tuple[int, int], ...]:
    """Pairs of class names as indices."""
    return tuple((names.index(one), names.index(other)) for one, other in pairs)


def mirrored_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ in left and right (or l and r as a word of its own), e.g. `left_hand` and `right_hand`."""
    known = {name.lower(): name for name in names}
    rights = {name: LEFT.sub(lambda found: {"left": "right", "l": "r"}[found[0]], name.lower()) for name in names}
    return [(name, known[right]) for name, right in rights.items() if right != name.lower() and right in known]


def legend(maps: Sequence[Map], names: Sequence[str] | None, most: int = MAX_LEGEND) -> list[tuple[Any, str]]:
    """Colour and name of the classes present, the largest first; the last entry counts those left out."""
    labels = np.concatenate([map.astype(np.int64).ravel() for map in maps])
    area = np.bincount(labels[labels != IGNORE], minlength=1)
    present = [int(label) for label in np.argsort(-area, kind="stable") if area[label]]
    shown = present if len(present) <= most else present[: most - 1]
    titles = [names[label] if names and label < len(names) else f"class {label}" for label in shown]
    entries: list[tuple[Any, str]] = [(tuple(PALETTE[i % len(PALETTE)].tolist()), t) for i, t in zip(shown, titles)]
    if len(shown) < len(present):
        entries.append((None, f"and {len(present) - len(shown)} more"))
    return entries


def in_words(labels: LabelFormat) -> str:
    """Format the values that labels may have, e.g. `0..4 (classes) or 255 (ignore)`."""
    values = sorted(labels.values)
    is_row = values == list(range(values[0], values[-1] + 1)) and len(values) > 1
    text = f"{values[0]}..{values[-1]}" if is_row else ", ".join(str(value) for value in values[:12])
    text += ", …" if not is_row and len(values) > 12 else ""
    ignored = ", ".join(f"{value:g}" for value in labels.ignore if isinstance(value, int | float))
    return f"{text} (classes)" + (
        f" or {ignored} (ignore)" if ignored else "; more under `ignore` where they are no label"
    )
