"""Unit vectors: surface normals with x to the right, y up, z to the camera."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridgenet.errors import UserError
from bridgenet.imaging.drawing import Key, Range
from bridgenet.imaging.writing import write_png
from bridgenet.tasks.colours import NO_LABEL
from bridgenet.tasks.constants import Constant, Direction
from bridgenet.tasks.kinds.base import IGNORE, Errors, Kind, Map, Mask, Random
from bridgenet.tasks.kinds.labels import LabelFormat, channels_of

if TYPE_CHECKING:
    from torch import Tensor

    from bridgenet.tasks.statistics import Statistics
    from bridgenet.tasks.task import Task

DIRECTIONS = {"right": (0, 1), "left": (0, -1), "up": (1, 1), "down": (1, -1), "towards": (2, 1), "away": (2, -1)}
"""Directions of an axis of stored normals, with its channel and sign in (right, up, to the camera)."""
LENGTH_TOLERANCE = 0.1
"""Tolerated deviation from unit length: 0.01 from storing 8 bits, more from resizing at borders of surfaces."""
ROUNDING = 0.01
"""Deviation from unit length that comes from storing 8 bits."""
GREY_LENGTH = 0.1
"""Shorter vectors have no direction: 127 and 128 in 8 bits."""
MOST_STRANGE = 0.5
"""A file in which a larger share of the vectors is of other lengths is in another encoding."""
MOST_OFF_LENGTH = 0.05
"""Tolerated share of normals that are not of unit length."""
NUM_LEFT_OUT = 3
"""Number of stored values that are told of those left out."""
LARGEST_ANGLE = 60.0
"""Larger angles have the same colour [deg]."""
WHITE = (IGNORE, IGNORE, IGNORE)
_NORMAL = np.float32(2) * np.arange(256, dtype=np.float32) / np.float32(255) - np.float32(1)


class Normals(Kind):
    """A unit vector per pixel, (H, W, 3) float32; as it is read the zero vector is unknown, after :meth:`mark_unknown` NaN.

    In 8 bits they are stored values v, n = 2·v/255 − 1, and white (255 in all three channels) is unknown. In folders of one's
    own whatever is not of unit length, up to :data:`LENGTH_TOLERANCE`, is unknown; the others are brought to it.
    """

    name = "normals"
    defaults = {
        "loss": "bridgenet.losses:normals_l1",
        "loss_weight": 10.0,
        "metric": "bridgenet.metrics:Normals",
        "headline": "mean",
        "headline_title": "mErr",
        "higher_is_better": False,
        "decode": "bridgenet.tasks.decoding:unit_vector",
        "unit": "deg",
        "num_outputs": 3,
        "pad_value": 0,
        "unknown": "zero",
        "negate_on_flip": (0,),
        "interpolation": "cubic",
    }
    label_keys = ("axes",)
    left_out_in_words = "of the vectors are not of unit length"
    change_measure = "deg mean angle"

    def target_channels(self, num_outputs: int | None) -> int:
        return 3

    def expanded(self, stored: NDArray[np.uint8]) -> NDArray[np.float32]:
        return _expanded(stored, (stored == IGNORE).all(axis=2))

    def stays_compact(self, task: Task) -> bool:
        # outside of the image they are white, i.e. unknown
        return task.unknown == "zero" and task.pad_value == 0

    def outside(self, task: Task, is_compact: bool) -> float:
        return IGNORE if is_compact else super().outside(task, is_compact)

    def mark_unknown(self, task: Task, target: Map) -> Map:
        return target if target.dtype == np.uint8 else super().mark_unknown(task, target)

    def finish(self, task: Task, target: Tensor, mirrored: Tensor) -> Tensor:
        if target.is_floating_point():
            return target.float()
        import torch

        unknown = (target == IGNORE).all(dim=1, keepdim=True)
        # A tensor: GPUs divide by a Python number through its reciprocal, which changes the last bits.
        normals = (target.float().mul_(2) / torch.full((), 255.0, device=target.device)).sub_(1)
        sign = torch.where(mirrored, -1.0, 1.0)[:, None, None]
        for channel in task.negate_on_flip:
            normals[:, channel] *= sign
        return normals.masked_fill_(unknown, self.unknown)

    def read(self, labels: LabelFormat, path: Path, stored: Map) -> Map:
        if stored.shape[2] != 3:
            raise UserError(f"{path}: found {channels_of(stored)}, expected 3 (x, y, z of the normals)")
        if stored.dtype.kind in "iu" and stored.dtype != np.uint8:
            raise UserError(
                f"{path}: found {stored.dtype} numbers, expected a picture of 8 bit or floating point numbers"
            )
        unknown = labels.ignored(stored)
        is_8_bit = stored.dtype == np.uint8
        vectors = _NORMAL[stored] if is_8_bit else labels.finite(path, stored)
        lengths = np.linalg.norm(np.where(unknown[..., None], 0, vectors), axis=2)
        known = ~unknown & (abs(lengths - 1) <= LENGTH_TOLERANCE)
        _check_encoding(path, stored, lengths, known, unknown)
        places = [DIRECTIONS[axis] for axis in labels.axes]
        if is_8_bit and (abs(lengths - 1) <= ROUNDING)[known].all():
            encoded = np.empty_like(stored)
            for place, (channel, sign) in enumerate(places):
                encoded[..., channel] = stored[..., place] if sign > 0 else 255 - stored[..., place]  # −(2v/255 − 1)
            return compact_normals(encoded, None if known.all() else ~known)
        lengths[~known] = 1
        normals = np.empty_like(vectors)
        for place, (channel, sign) in enumerate(places):
            normals[..., channel] = sign * vectors[..., place] / lengths
        normals[~known] = 0
        return normals

    def interpolated(self, values: Map) -> Map:
        """Unit vectors; NaN where opposite ones have met."""
        lengths = np.linalg.norm(values, axis=2, keepdims=True)
        return np.where(lengths > 0.5, values / np.maximum(lengths, 0.5), np.float32(np.nan))

    def left_out(self, labels: LabelFormat, stored: Map) -> Counter[Any]:
        """Vectors that are not of unit length, but for zero vectors of floating point numbers, which mean unknown."""
        vectors = _NORMAL[stored] if stored.dtype == np.uint8 else stored.astype(np.float32)
        off = ~labels.ignored(stored) & ~(abs(np.linalg.norm(vectors, axis=2) - 1) <= LENGTH_TOLERANCE)
        values, counts = np.unique(stored[off & vectors.any(axis=2)], axis=0, return_counts=True)
        found: Counter[Any] = Counter({None: int(counts.sum())})
        for place in np.argsort(-counts)[:NUM_LEFT_OUT]:
            found[tuple(values[place].tolist())] = int(counts[place])
            found[None] -= int(counts[place])
        return found

    def measured(self, values: Map) -> Map:
        """The lengths of the vectors."""
        return np.linalg.norm(values, axis=-1)

    def off_length(self, measured: Map) -> int:
        return int((abs(measured - 1) > LENGTH_TOLERANCE).sum())

    def describe(self, task: Task, found: Statistics, num_classes: int) -> str:
        return f"{100 * (1 - found.off_length / found.known):.1f} % of unit length"

    def implausible(self, found: Statistics) -> str:
        if found.off_length > MOST_OFF_LENGTH * found.known:
            return (
                f"{100 * found.off_length / found.known:.1f} % of the normals are not of unit length (lengths "
                f"{found.low:.2f} to {found.high:.2f}), expected n = 2·v/255 − 1 of unit vectors. Is it another encoding?"
            )
        return ""

    def remarkable(self, found: Statistics) -> str:
        if found.off_length and found.low < GREY_LENGTH:
            return (
                f"{100 * found.off_length / found.known:.2g} % of the normals are not of unit length, grey pixels (127 or 128) "
                "among them: they have no direction, but count as labels"
            )
        return ""

    def best_constant(self, num_outputs: int) -> Constant:
        return Direction()

    def enlarge(self, task: Task, logits: Tensor, size: tuple[int, int]) -> Map:
        import torch.nn.functional as F

        return F.normalize(self._decoded_at(task, logits, size), dim=0).permute(1, 2, 0).cpu().numpy()

    def enlarge_array(self, task: Task, logits: NDArray[np.float32], size: tuple[int, int]) -> Map:
        from bridgenet.tasks.array_decoding import unit

        return unit(super().enlarge_array(task, logits, size).transpose(2, 0, 1)).transpose(1, 2, 0)

    def write(self, folder: Path, name: str, values: Map, num_names: int) -> None:
        bgr = np.empty(values.shape, dtype=np.uint8)
        for row, normals in enumerate(values):  # by rows: a large photograph at once would take gigabytes
            bgr[row] = ((normals[:, ::-1] + 1) / 2 * 255).round().clip(0, 255)
        write_png(folder / f"{name}.png", bgr)

    def change(self, expected: Map, found: Map) -> float:
        return float(np.degrees(np.arccos((expected * found).sum(axis=-1).clip(-1, 1))).mean())

    def example(self, num_outputs: int, patches: Random, noise: Random) -> tuple[Tensor, Tensor]:
        from bridgenet.tasks.decoding import normalise

        target = normalise(patches(3) - 0.5)
        return normalise(target + 0.5 * (noise(3) - 0.5)).permute(0, 2, 3, 1), target

    def as_map(self, task: Task, values: Map) -> Map:
        values = np.asarray(values)
        if values.ndim != 3 or values.shape[2] != 3:
            raise self._undrawable(task, values, "(H, W, 3)")
        return values

    def colourise(self, values: Map, value_range: Range | None) -> NDArray[np.uint8]:
        known = self.known(values)[..., None]
        colours = (np.clip(np.where(known, values, 0), -1, 1) + 1) * 127.5
        return np.where(known, np.rint(colours).astype(np.uint8), NO_LABEL)

    def key(self, task: Task, maps: Sequence[Map], names: Sequence[str] | None, most: int, value_range: Any) -> Key:
        axes = [((255, 128, 128), "to the right"), ((128, 255, 128), "up"), ((128, 128, 255), "to the camera")]
        return Key(swatches=axes)

    def errors(self, task: Task, prediction: Map, truth: Map, known: Mask) -> Errors:
        difference, total = (np.linalg.norm(value, axis=-1) for value in (prediction - truth, prediction + truth))
        return np.degrees(2 * np.arctan2(difference, total)), LARGEST_ANGLE, ("0°", f"≥ {LARGEST_ANGLE:g}°")


def _check_encoding(path: Path, stored: Map, lengths: Map, known: Mask, unknown: Mask) -> None:
    """UserError for a file of another encoding: most vectors are neither of unit length nor of the one value for unknown."""
    strange = ~known & ~unknown & (lengths > GREY_LENGTH)
    if strange.sum() <= MOST_STRANGE * (strange.sum() + known.sum()):
        return
    counts = np.unique(stored[strange], axis=0, return_counts=True)[1]
    number = int(counts.sum() - counts.max(initial=0))
    if number > MOST_STRANGE * (number + known.sum()):
        found = lengths[strange]
        raise UserError(
            f"{path}: found vectors of lengths {found.min():.2f} to {found.max():.2f}, expected unit vectors (in 8 bits "
            "n = 2·v/255 − 1); store such, or say what stands for unknown (`ignore`)"
        )


def compact_normals(encoded: NDArray[np.uint8], unknown: Mask | None = None) -> Map:
    """Stored normals, (H, W, 3) uint8, with the pixels of the mask `unknown`, (H, W) bool, marked as unknown.

    Returns:
        (H, W, 3) uint8, or float32 with zero vectors where unknown if the file itself holds a white pixel.
    """
    import cv2

    white = cv2.inRange(encoded, WHITE, WHITE)
    if unknown is None:
        return _expanded(encoded, None) if cv2.countNonZero(white) else encoded
    mask = unknown.view(np.uint8) * np.uint8(255)
    if cv2.countNonZero(cv2.bitwise_and(white, cv2.bitwise_not(mask))):
        return _expanded(encoded, unknown)
    return cv2.bitwise_or(encoded, cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB))


def _expanded(encoded: NDArray[np.uint8], unknown: Mask | None) -> NDArray[np.float32]:
    normals = _NORMAL[encoded]
    if unknown is not None:
        normals[unknown] = 0
    return normals
