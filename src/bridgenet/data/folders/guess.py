"""Guess the task of a folder of labels from names, types and values, for the draft of a description."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bridgenet.data.folders.labels import read_array
from bridgenet.data.folders.no_data import Mark, marks_in
from bridgenet.errors import UserError
from bridgenet.tasks import BUILT_IN, IGNORE
from bridgenet.tasks.kinds.classes import mirrored_pairs
from bridgenet.tasks.kinds.labels import as_grey
from bridgenet.tasks.kinds.normals import LENGTH_TOLERANCE

LOOKED_AT = 24
"""Number of files from which the task of a folder is guessed."""
COUNTED = 2000
"""Number of files whose classes are counted."""
MOST_CLASSES = 64
"""Up to this number of values is taken for classes if the folder's name is no hint."""
NAMES = {
    "edge": r"edge|bound|contour",
    "sal": r"sal(iency|ient)?\b|salien",
    "depth": r"depth|disp|dist|range",
    "normals": r"norm",
    "human_parts": r"part",
    "semseg": r"sem|seg|label|mask|annot|class|gt",
}
"""Patterns of folder names by task."""
UNKNOWN_8_BIT = (0, 127, 128, 255)
"""What is stored in all three channels for an unknown normal."""
UNIT = "the unit: m, cm, mm, or a number"


@dataclass
class Guess:
    """The guessed content of a folder of labels.

    Attributes:
        task: the published task, or the folder's name.
        entry: the entry of the description.
        found: text about the files.
        to_check: text about what the user must check, or empty.
        values: number of pixels by class value.
    """

    task: str
    entry: dict[str, Any]
    found: str
    to_check: str = ""
    values: Counter[int] = field(default_factory=Counter)


def guess(name: str, files: Sequence[Path], class_names: Sequence[str] = ()) -> Guess | str:
    """Guess the task of a folder called `name` from its label files; a text with the reason if there is none."""
    arrays = []
    for path in _spread(files, LOOKED_AT):
        try:
            arrays.append(read_array(path))
        except UserError as error:
            unreadable = str(error)
    if not arrays:
        return f"no file can be read: {unreadable}"
    if all(
        array.shape[2] == 1 or as_grey(array).shape[2] == 1 for array in arrays
    ):  # among normals grey holds no label
        arrays = [as_grey(array) for array in arrays]
    channels = {array.shape[2] for array in arrays}
    if len(channels) != 1:
        return f"files of {' and '.join(map(str, sorted(channels)))} channels"
    wanted = next((task for task, pattern in NAMES.items() if re.search(pattern, name.lower())), "")
    kind = arrays[0].dtype
    number = channels.pop()
    if number == 3 and _are_unit_vectors(arrays):
        unknown = _unknown_vectors(arrays)
        entry: dict[str, Any] = {"axes": ["right", "up", "towards"], **({"ignore": unknown} if unknown else {})}
        text = f"unit vectors, {kind}" + (f", {', '.join(map(str, unknown))} among them" if unknown else "")
        return _named(name, "normals", "normals", text, "where x, y and z point to", **entry)
    if kind.kind == "f":
        return _numbers(name, wanted, arrays, number)
    if number != 1:
        return f"{number} channels of {kind}: colours, not indices. Class labels are pictures of one channel (or a palette)"
    if kind == np.uint8:
        return _grey(name, wanted, files, arrays, class_names)
    marks = _marks(arrays)
    low, high = _range(arrays, marks)
    if wanted == "depth" or (wanted not in ("semseg", "human_parts") and high > 1000):
        ignore: dict[str, Any] = {"ignore": [mark.value for mark in marks]} if marks else {}
        text = f"{kind}, {low:g} to {high:g}{_ignored(marks)}"
        return _named(name, "depth", "depth", text, UNIT, unit="mm", **ignore)
    return _classes(name, wanted, files, class_names)


def _spread(files: Sequence[Path], most: int) -> Sequence[Path]:
    return files[:: max(1, -(-len(files) // most))]


def _named(name: str, task: str, kind: str, found: str, to_check: str = "", **entry: Any) -> Guess:
    """A guess for a published task, or for a custom task of that kind, called like the folder."""
    entry = {"folder": name, **entry}
    if task not in BUILT_IN:
        task, entry = re.sub(r"\W", "_", name), {"kind": kind, **entry}
    return Guess(task, entry, found, to_check)


def _numbers(name: str, wanted: str, arrays: Sequence[np.ndarray], channels: int) -> Guess:
    marks = _marks(arrays)
    low, high = _range(arrays, marks)
    has_nan = not all(np.isfinite(array).all() for array in arrays)
    ignored = [*(["nan"] if has_nan else []), *(mark.value for mark in marks)]
    ignore: dict[str, Any] = {"ignore": ignored} if ignored else {}
    text = f"{arrays[0].dtype}, {low:.4g} to {high:.4g}" + (", NaN among them" if has_nan else "") + _ignored(marks)
    if wanted in ("edge", "sal") and low >= 0 and high <= 1 and channels == 1:
        return _named(name, wanted, "probability", text, **ignore)
    if wanted == "depth" and channels == 1:
        return _named(name, "depth", "depth", text, UNIT, unit="mm" if high > 500 else "m", **ignore)
    to_check = "the unit, and whether values are no label (`ignore`, `range`)"
    several = {"channels": channels} if channels > 1 else {}
    return _named(name, "", "regression", text, to_check, unit="", **several, **ignore)


def _grey(
    name: str, wanted: str, files: Sequence[Path], arrays: Sequence[np.ndarray], class_names: Sequence[str]
) -> Guess | str:
    values = set(np.unique(np.concatenate([np.unique(array) for array in arrays])).tolist())
    text = f"{len(values)} values of 8 bit"
    if wanted in ("edge", "sal"):
        scale: dict[str, Any] = {"scale": 1} if values <= {0, 1, 255} and 1 in values else {}
        ignore: dict[str, Any] = {"ignore": [255]} if scale and 255 in values else {}
        return _named(name, wanted, "probability", text, **scale, **ignore)
    if wanted == "depth":
        return _named(name, "", "regression", text, "8 bits hold no metric depth: taken for any numbers", unit="")
    if values == {0, 255}:
        return _named(name, "", "probability", "0 and 255", "whether 255 is the foreground")
    if wanted in ("semseg", "human_parts") or len(values) <= MOST_CLASSES:
        return _classes(name, wanted, files, class_names)
    return _named(name, "", "probability", text, "whether it is a probability, v/255")


def _classes(name: str, wanted: str, files: Sequence[Path], class_names: Sequence[str]) -> Guess | str:
    values: Counter[int] = Counter()
    largest = {IGNORE}
    for path in _spread(files, COUNTED):
        try:
            array = as_grey(read_array(path))
        except UserError:
            continue  # the check names it
        if array.dtype.kind == "f":
            continue
        found, counts = np.unique(array, return_counts=True)
        largest.add(int(np.iinfo(array.dtype).max))
        values.update(dict(zip(found.tolist(), counts.tolist())))
    ignored = [value for value in values if (value in largest and len(values) > 1) or value < 0]
    classes = sorted(value for value in values if value not in ignored)
    to_check = "" if class_names else "the classes' names"
    if len(classes) == 1 and (marks := [value for value in ignored if value > 0]):
        ignored.remove(marks[0])
        classes.append(marks[0])
        to_check = f"the classes' names: if {marks[0]} were no label, {classes[0]} would be the only class, which needs no learning"
    if len(classes) < 2:
        return f"every pixel has the value {', '.join(map(str, values))}: there is nothing to learn"
    if classes[-1] < max(2 * len(classes), len(class_names)):  # classes without any pixel count, too
        names = list(class_names) if classes[-1] < len(class_names) else [f"class_{i}" for i in range(classes[-1] + 1)]
        listed: list[str] | dict[int, str] = names
    else:
        listed = {value: f"class_{value}" for value in classes}
    ignore: dict[str, Any] = {"ignore": sorted(ignored)} if ignored else {}
    task = wanted if wanted in ("semseg", "human_parts") else ""
    swap = [list(pair) for pair in mirrored_pairs(list(listed))] if isinstance(listed, list) else []
    pairs: dict[str, Any] = {"swap": swap} if swap else {}
    to_check = "which classes change places in mirrored pictures (`swap`)" if swap else to_check
    guessed = _named(
        name, task, "classes", f"class values {_shares(values)}", to_check, classes=listed, **ignore, **pairs
    )
    guessed.values = values
    return guessed


def _shares(values: Mapping[int, int]) -> str:
    """Format values with their share of the pixels, e.g. `0 (52 %), 3 (48 %)`."""
    total = sum(values.values())
    if len(values) > 6:
        return f"from {min(values)} to {max(values)}, {len(values)} of them"
    return ", ".join(f"{value} ({100 * count / total:.2g} %)" for value, count in sorted(values.items()))


def _are_unit_vectors(arrays: Sequence[np.ndarray]) -> bool:
    """Whether nearly all vectors that may be labels have length 1; 8 bits are decoded as n = 2v/255 − 1."""
    right = number = 0
    for array in arrays:
        vectors = array.reshape(-1, 3).astype(np.float64)
        vectors = vectors[np.isfinite(vectors).all(axis=1) & ~_stand_for_unknown(array).ravel()]
        if array.dtype == np.uint8:
            vectors = 2 * vectors / 255 - 1
        right += int((abs(np.linalg.norm(vectors, axis=1) - 1) < LENGTH_TOLERANCE).sum())
        number += len(vectors)
    return number > 0 and right > 0.9 * number


def _stand_for_unknown(array: np.ndarray) -> np.ndarray:
    """(h, w) bool mask of the pixels (h, w, 3) that are no direction: 0, in 8 bits also grey and white."""
    is_equal = (array == array[..., :1]).all(axis=2)
    return is_equal & np.isin(array[..., 0], UNKNOWN_8_BIT if array.dtype == np.uint8 else (0,))


def _unknown_vectors(arrays: Sequence[np.ndarray]) -> list[Any]:
    """The values for `ignore` that are seen in normals."""
    seen = {float(value) for array in arrays for value in np.unique(array[_stand_for_unknown(array)])}
    whole: list[Any] = [[int(value)] * 3 for value in sorted(seen)]
    return whole + ([] if all(np.isfinite(array).all() for array in arrays) else ["nan"])


def _marks(arrays: Sequence[np.ndarray]) -> list[Mark]:
    """The marks of no data in arrays of one channel, sorted."""
    return sorted({mark for array in arrays if array.shape[2] == 1 for mark in marks_in(array)})


def _ignored(marks: Sequence[Mark]) -> str:
    return "".join(f"; {mark} (`ignore`)" for mark in marks)


def _range(arrays: Sequence[np.ndarray], marks: Sequence[Mark]) -> tuple[float, float]:
    """The smallest and the largest number that is finite and no mark of no data."""
    unknown = [mark.value for mark in marks]
    finite = [array[np.isfinite(array) & ~np.isin(array, unknown)].astype(np.float64) for array in arrays]
    return min(float(a.min(initial=np.inf)) for a in finite), max(float(a.max(initial=-np.inf)) for a in finite)
