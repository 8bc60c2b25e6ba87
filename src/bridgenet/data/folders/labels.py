"""Label files of one's own as targets: pictures, .npy and EXR arrays of classes, depth, normals, or any numbers.

How a task's files are to be read is said by :class:`Labels`; :mod:`bridgenet.data.folders.description` makes it from a YAML file.
A file that is damaged, of another shape, or holds values that are not allowed for is a UserError naming it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bridgenet.data.compact import compact_normals
from bridgenet.data.published.readers import plain_png
from bridgenet.errors import UserError
from bridgenet.imaging import reading
from bridgenet.tasks import IGNORE, Kind

SUFFIXES = reading.SUFFIXES | {".npy", ".exr"}
"""Files that are taken for labels."""
LARGEST_DEPTH = 255.0
"""Where no range is stated, metres from here on are taken for a mistake of the unit [m]."""
DIRECTIONS = {"right": (0, 1), "left": (0, -1), "up": (1, 1), "down": (1, -1), "towards": (2, 1), "away": (2, -1)}
"""Directions that an axis of stored normals may point to: channel and sign of it here (right, up, to the camera)."""
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Metres of the units of depth."""
_BELOW_IGNORE = np.nextafter(np.float32(IGNORE), np.float32(0))


@dataclass(frozen=True, kw_only=True)
class Labels:
    """How the label files of a task are read.

    Attributes:
        kind: of the task.
        values: the stored value of each class, in the order of the class indices.
        ignore: stored values (of several channels: tuples of them) that are no label; NaN stands for NaN and infinities.
        scale: what stored numbers are multiplied with; None: 1/255 for whole numbers of a probability, else 1.
        range: (smallest, largest) value that is a label, after `scale`; others are unknown.
        axes: where the stored x, y and z of normals point to, see :data:`DIRECTIONS`.
        channels: of a regression.
    """

    kind: Kind
    values: tuple[int, ...] = ()
    ignore: tuple[float | tuple[float, ...], ...] = ()
    scale: float | None = None
    range: tuple[float, float] | None = None
    axes: tuple[str, str, str] = ("right", "up", "towards")
    channels: int = 1

    def __call__(self, paths: Sequence[Path], size: tuple[int, int]) -> np.ndarray:
        """The target in `paths[0]` as :class:`bridgenet.data.base.Target` wants it, (h, w, C) uint8 or float32."""
        return _READERS[self.kind](self, paths[0], read_array(paths[0]))

    @property
    def ignores_nan(self) -> bool:
        return any(isinstance(value, float) and math.isnan(value) for value in self.ignore)

    def ignored(self, array: np.ndarray) -> np.ndarray:
        """(h, w) bool: where a stored array (h, w, C) holds one of the ignored values in all channels."""
        found = np.zeros(array.shape[:2], bool)
        for value in self.ignore:
            if not (isinstance(value, float) and math.isnan(value)):
                found |= (array == value).all(axis=2)
        if self.ignores_nan and array.dtype.kind == "f":
            found |= ~np.isfinite(array).all(axis=2)
        return found


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever a decoder raises on `path` as a UserError that names it."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path} is missing") from None
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} cannot be read: {reason.removesuffix(f' {str(path)!r}')}") from error


def read_array(path: Path) -> np.ndarray:
    """A stored picture or array as it is, (h, w, C): of a palette the indices. UserError if it cannot be read."""
    suffix = path.suffix.lower()
    with _reading(path):
        if suffix == ".npy":
            array = np.load(path, allow_pickle=False)
        elif suffix == ".exr":
            array = _read_exr(path)
        elif (plain := plain_png(path) if suffix == ".png" else None) is not None:
            array = plain
        else:
            with Image.open(path) as image:
                array = np.asarray(image)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.ndim not in (2, 3) or array.size == 0 or array.dtype.kind not in "fiu":
        raise UserError(
            f"{path}: found an array of shape {array.shape} and type {array.dtype}, expected (H, W) numbers"
        )
    return array[..., None] if array.ndim == 2 else array


def _read_exr(path: Path) -> np.ndarray:
    """The channels R, G, B of an EXR file, (h, w, 3), or the only one, float32."""
    try:
        import OpenEXR
    except ImportError:
        raise UserError(
            f"{path}: EXR files need the package OpenEXR: pip install OpenEXR (or bridgenet[exr]); or store .npy files"
        ) from None
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = {name.rpartition(".")[2].upper(): channel.pixels for name, channel in file.channels().items()}
    for names in ("RGB", "XYZ"):
        if set(names) <= set(channels):
            return np.stack([channels[name] for name in names], axis=2).astype(np.float32)
    if len(channels) != 1:
        raise UserError(f"{path}: found the channels {', '.join(channels)}, expected R, G, B, or one alone")
    return next(iter(channels.values())).astype(np.float32)


def single(path: Path, array: np.ndarray) -> np.ndarray:
    """A stored array of one channel, or of three that are alike (grey saved as RGB), as (h, w, 1)."""
    if array.shape[2] == 3 and (array == array[..., :1]).all():
        return array[..., :1]
    if array.shape[2] != 1:
        raise UserError(
            f"{path}: found {array.shape[2]} channels, expected one"
            + (" (a grey or palette picture of indices, not of colours)" if array.dtype == np.uint8 else "")
        )
    return array


def _finite(labels: Labels, path: Path, array: np.ndarray) -> np.ndarray:
    """float32 values and, raised for, what is not finite unless that is ignored."""
    values = array.astype(np.float32)
    wrong = int((~np.isfinite(values)).sum())
    if wrong and not labels.ignores_nan:
        raise UserError(
            f"{path}: {wrong} values are not finite (NaN or infinite), expected numbers, or `ignore: [nan]`"
        )
    return values


def _classes(labels: Labels, path: Path, array: np.ndarray) -> np.ndarray:
    array = single(path, array)
    ignored = labels.ignored(array)
    with np.errstate(invalid="ignore"):
        whole = array.astype(np.int64)
    if array.dtype.kind == "f" and not (whole == array)[~ignored].all():
        raise UserError(f"{path}: found numbers that are not whole, expected class indices")
    top = max(labels.values)
    table = np.full(top + 2, -1, np.int16)  # the last place stands for all that is not a class
    table[list(labels.values)] = np.arange(len(labels.values))
    indices = table[np.where((whole < 0) | (whole > top), top + 1, whole)]
    indices[ignored] = IGNORE
    if (wrong := indices < 0).any():
        found = ", ".join(str(value) for value in np.unique(whole[wrong])[:5])
        raise UserError(f"{path}: found the value(s) {found}, expected {in_words(labels)}")
    return indices.astype(np.uint8)


def in_words(labels: Labels) -> str:
    """The values that classes may have, e.g. `0..4 (classes) or 255 (ignore)`."""
    values = sorted(labels.values)
    is_row = values == list(range(values[0], values[-1] + 1)) and len(values) > 1
    text = f"{values[0]}..{values[-1]}" if is_row else ", ".join(str(value) for value in values[:12])
    text += ", …" if not is_row and len(values) > 12 else ""
    ignored = ", ".join(f"{value:g}" for value in labels.ignore if isinstance(value, int | float))
    return f"{text} (classes)" + (
        f" or {ignored} (ignore)" if ignored else "; more under `ignore` where they are no label"
    )


def _probability(labels: Labels, path: Path, array: np.ndarray) -> np.ndarray:
    array = single(path, array)
    unknown = labels.ignored(array)
    values = _finite(labels, path, array)
    scale = labels.scale
    if scale is None:
        scale = 1 / 255 if array.dtype.kind in "iu" else 1.0
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
    values[unknown] = IGNORE
    return values


def _depth(labels: Labels, path: Path, array: np.ndarray) -> np.ndarray:
    array = single(path, array)
    unknown = labels.ignored(array) | (array[..., 0] == 0)
    metres = _finite(labels, path, array) * np.float32(labels.scale or 1)
    metres[unknown] = 0
    if labels.range is not None:
        low, high = labels.range
        metres[~((metres >= low) & (metres <= high))] = 0
    elif metres.min() < 0:
        raise UserError(f"{path}: found depth {metres.min():g} m, expected >= 0 (0 = unknown); or state a `range`")
    elif metres.max() >= LARGEST_DEPTH:
        unit = "is it in millimetres (`unit: mm`)?" if (labels.scale or 1) == 1 else "is the unit right?"
        raise UserError(f"{path}: found depth {metres.max():g} m: {unit} If it is, state a `range: [0.1, …]` in metres")
    return _without_ignore_value(metres)


def _regression(labels: Labels, path: Path, array: np.ndarray) -> np.ndarray:
    if labels.channels == 1:
        array = single(path, array)
    if array.shape[2] != labels.channels:
        raise UserError(f"{path}: found {array.shape[2]} channel(s), expected {labels.channels} (`channels`)")
    unknown = labels.ignored(array)
    values = _finite(labels, path, array) * np.float32(1 if labels.scale is None else labels.scale)
    if labels.range is not None:
        low, high = labels.range
        unknown |= ~((values >= low) & (values <= high)).all(axis=2)
    values = _without_ignore_value(values)
    values[unknown] = IGNORE
    return values


def _without_ignore_value(values: np.ndarray) -> np.ndarray:
    """Real values of just 255 would be taken for no label: the next smaller number in their place."""
    values[values == IGNORE] = _BELOW_IGNORE
    return values


def _normals(labels: Labels, path: Path, array: np.ndarray) -> np.ndarray:
    if array.shape[2] != 3:
        raise UserError(f"{path}: found {array.shape[2]} channel(s), expected 3 (x, y, z of the normals)")
    unknown = labels.ignored(array)
    places = [DIRECTIONS[axis] for axis in labels.axes]
    if array.dtype.kind in "iu":
        if array.dtype != np.uint8:
            raise UserError(
                f"{path}: found {array.dtype} numbers, expected a picture of 8 bit or floating point numbers"
            )
        encoded = np.empty_like(array)
        for stored, (channel, sign) in enumerate(places):
            encoded[..., channel] = array[..., stored] if sign > 0 else 255 - array[..., stored]  # −(2v/255 − 1)
        return compact_normals(encoded, unknown if unknown.any() else None)
    values = _finite(labels, path, array)
    normals = np.empty_like(values)
    for stored, (channel, sign) in enumerate(places):
        normals[..., channel] = sign * values[..., stored]
    normals[unknown] = 0
    return normals


_READERS: dict[str, Callable[[Labels, Path, np.ndarray], np.ndarray]] = {
    "classes": _classes,
    "probability": _probability,
    "depth": _depth,
    "normals": _normals,
    "regression": _regression,
}
