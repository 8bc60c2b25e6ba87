"""What every kind of tasks has, with what holds for most: maps of one real number per pixel, NaN where unknown."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridgenet.errors import UserError
from bridgenet.imaging.drawing import Key, Range, colour_map
from bridgenet.tasks.colours import ERROR_COLOURS, ERROR_NO_LABEL
from bridgenet.tasks.constants import Constant
from bridgenet.tasks.references import resolve

if TYPE_CHECKING:
    from torch import Tensor

    from bridgenet.tasks.kinds.labels import LabelFormat
    from bridgenet.tasks.statistics import Statistics
    from bridgenet.tasks.task import Task

IGNORE = 255
"""Value of a pixel without a label in class maps, and in targets of any kind that are stored in 8 bits."""

Map = NDArray[Any]
Mask = NDArray[np.bool_]
Errors = tuple[Map, float, tuple[str, str]]
Random = Callable[[int], Any]


class ErrorMap(NamedTuple):
    """The errors of a prediction, drawn.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        swatches: colours that have a name: RGB and the name.
        ends: what the darkest and the brightest colour of :data:`bridgenet.tasks.colours.ERROR_COLOURS` mean, if used.
    """

    picture: NDArray[np.uint8]
    swatches: Sequence[tuple[Any, str]]
    ends: tuple[str, str] | None = None


class Kind(str, ABC):
    """All that depends on the kind of a task. There is one object per kind, which is its name at the same time.

    Maps are NumPy arrays: predictions as decoded, (H, W) or (H, W, C), and targets, (H, W) or (H, W, C) float32.
    """

    name: ClassVar[str]
    """As in :class:`bridgenet.Task` and in files."""
    defaults: ClassVar[Mapping[str, Any]]
    """Fields of a :class:`bridgenet.Task` of this kind: loss, metric, headline, decoding, what augmentation does."""
    unknown: ClassVar[float] = math.nan
    """Value of a pixel without a label in float32 targets."""
    has_classes: ClassVar[bool] = False
    """Whether predictions are indices of classes that have names."""
    has_points: ClassVar[bool] = False
    """Whether a prediction can be written as a cloud of points, being the depth in metres."""
    is_share: ClassVar[bool] = False
    """Whether values are shares, 0 to 1: such a map is smoothed when it is reduced, and may tint a photo."""
    label_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that an entry of this kind in the description of a data set may have, beside those of every task."""
    needs_unit: ClassVar[bool] = False
    """Whether that entry must say the unit in which labels are stored."""
    digits: ClassVar[int] = 3
    """Significant digits of values in reports."""
    change_measure: ClassVar[str] = "% mean difference of the mean size"
    """What :meth:`change` gives, in words."""
    array_decodings: ClassVar[Mapping[str, Callable[[Map], Map]]] = {}
    """Decodings in NumPy by the name of what they are in PyTorch, `(n, h, w) -> (C, h, w)`, beside the package's own."""

    def __new__(cls, *_: object) -> Kind:
        return super().__new__(cls, cls.name)

    # Targets

    def target_channels(self, num_outputs: int | None) -> int:
        """Channels of a target whose task has `num_outputs` channels of logits."""
        return 1

    def is_unknown(self, values: Any) -> Any:
        """Where float32 targets, arrays or tensors of any shape, hold no label; as `values`, bool."""
        return values != values

    def known(self, values: Map) -> Mask:
        """(H, W) bool: the pixels of a map (H, W) or (H, W, C) that have a value in all channels."""
        known: Mask = np.isfinite(values)
        return np.logical_and.reduce(known, axis=2) if values.ndim == 3 else known

    def expanded(self, stored: NDArray[np.uint8]) -> NDArray[np.float32]:
        """A target in 8 bits, see :mod:`bridgenet.data.compact`, in float32."""
        values = stored.astype(np.float32)
        values[stored == IGNORE] = self.unknown
        return values

    def stays_compact(self, task: Task) -> bool:
        """Whether a target in 8 bits can be scaled, mirrored and padded as it is."""
        has_room = task.pad_value is None or task.pad_value in range(256)
        return has_room and not task.divide_by_scale and not task.multiply_by_scale and not task.negate_on_flip

    def outside(self, task: Task, is_compact: bool) -> float:
        """What stands around the image in a target in float32, or in 8 bits."""
        if task.pad_value is not None:
            return task.pad_value
        return IGNORE if is_compact else self.unknown

    def mark_unknown(self, task: Task, target: Map) -> Map:
        """A target (H, W, C), float32 or uint8, in which what is unknown by the task's rule is marked so.

        The target itself if nothing is to be marked.
        """
        is_compact = target.dtype == np.uint8
        mark = IGNORE if is_compact else self.unknown
        if task.unknown == "zero":
            zero = np.logical_and.reduce([target[..., channel] == 0 for channel in range(target.shape[2])])
            target = target.copy()
            np.copyto(target, target.dtype.type(mark), where=zero[..., None])
        elif task.unknown == "no_foreground":
            # 0 − 1 and 255 − 1 are the two largest values of 8 bits
            background = target - np.uint8(1) >= IGNORE - 1 if is_compact else (target == 0) | self.is_unknown(target)
            if background.all():
                return np.full_like(target, mark)
        return target

    def finish(self, task: Task, target: Tensor, mirrored: Tensor) -> Tensor:
        """Targets (B, C, H, W), uint8 or float32, as losses and metrics take them, float32. `mirrored`: (B,) bool."""
        values = target.float()
        return values if target.is_floating_point() else values.masked_fill_(target == IGNORE, self.unknown)

    @abstractmethod
    def read(self, labels: LabelFormat, path: Path, stored: Map) -> Map:
        """A stored array (h, w, C) as a target, (h, w, C) float32, or uint8 as :mod:`bridgenet.data.compact` says.

        Raises UserError with the file's `path` for what is not of this kind.
        """

    # Labels of a data set

    def measured(self, values: Map) -> Map:
        """The numbers, (N,), that statistics of labels are about, of known pixels (N, C)."""
        return values[:, 0]

    def off_length(self, measured: Map) -> int:
        """How many of these are no possible value."""
        return 0

    @abstractmethod
    def describe(self, task: Task, found: Statistics, num_classes: int) -> str:
        """The range of the labels in words, with units."""

    def implausible(self, found: Statistics) -> str:
        """What cannot be right about the labels of all images together, in words; empty if nothing."""
        return ""

    @abstractmethod
    def best_constant(self, num_outputs: int) -> Constant:
        """What finds the constant prediction that does best on given targets."""

    # Predictions

    def averaged(self, task: Task, logits: Tensor) -> Tensor:
        """Of logits (B, n, H, W) what is averaged over several looks at an image, (B, C, H, W)."""
        values = resolve(task.decode)(logits)
        return values.permute(0, 3, 1, 2) if values.dim() == 4 else values[:, None]

    def logits_of(self, mean: Tensor) -> Tensor:
        """Logits (B, n, H, W) that decode to a mean of :meth:`averaged`."""
        return mean

    def enlarge(self, task: Task, logits: Tensor, size: tuple[int, int]) -> Map:
        """The decoded map of one image's logits (1, n, h, w) at `size`, (H, W) or (H, W, C)."""
        values = self._decoded_at(task, logits, size)
        return (values[0] if len(values) == 1 else values.permute(1, 2, 0)).cpu().numpy()

    def _decoded_at(self, task: Task, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """(C, H, W) float32: decoded, then resized."""
        from bridgenet.tasks.decoding import resized

        values = resolve(task.decode)(logits)[0]
        channels = values.permute(2, 0, 1) if values.dim() == 3 else values[None]
        return resized(channels[None].float(), size)[0]

    def enlarge_array(self, task: Task, logits: NDArray[np.float32], size: tuple[int, int]) -> Map:
        """:meth:`enlarge` in NumPy, of logits (n, h, w). UserError for a decoding that there is in PyTorch alone."""
        from bridgenet.tasks.array_decoding import decoding_of, resized

        channels = np.stack([resized(channel, size) for channel in decoding_of(task)(logits)])
        return channels[0] if len(channels) == 1 else channels.transpose(1, 2, 0)

    @abstractmethod
    def write(self, folder: Path, name: str, values: Map, num_names: int) -> None:
        """Write a prediction to files `name…` in the folder. `num_names`: number of classes that have a name."""

    def change(self, expected: Map, found: Map) -> float:
        """How much a prediction differs from the one expected, see :attr:`change_measure`."""
        return 100 * float(np.abs(expected - found).mean()) / max(float(np.abs(expected).mean()), 1e-12)

    @abstractmethod
    def example(self, num_outputs: int, patches: Random, noise: Random) -> tuple[Tensor, Tensor]:
        """A decoded prediction (B, H, W[, C]) and a target near it (B, C, H, W), all of it known.

        Args:
            num_outputs: channels of the logits.
            patches: `(channels) -> (B, channels, H, W)` random numbers in [0, 1), alike in patches.
            noise: the same of single pixels.
        """

    # Drawing

    def value_unit(self, task: Task) -> str:
        """What is written after a value, with a space before it where there is to be one."""
        return ""

    def as_map(self, task: Task, values: Map) -> Map:
        """A prediction or target as it is drawn, (H, W), or (H, W, 3). Raises UserError for another shape."""
        values = np.asarray(values)
        if values.ndim == 3 and values.shape[2] == 1:
            values = values[..., 0]
        if values.ndim != 2:
            raise self._undrawable(task, values, "(H, W) or (H, W, 1)")
        return values

    def _undrawable(self, task: Task, values: Map, expected: str) -> UserError:
        return UserError(f"{task.name}: a map of shape {values.shape} cannot be drawn, {expected} was expected")

    def find_range(self, maps: Sequence[Map]) -> Range | None:
        """The values between which the colours of these maps lie, if colours depend on the maps."""
        return None

    @abstractmethod
    def colourise(self, values: Map, value_range: Range | None) -> NDArray[np.uint8]:
        """A map as of :meth:`as_map` in colour, (H, W, 3) uint8 RGB; `value_range`: by default that of the map."""

    @abstractmethod
    def key(self, task: Task, maps: Sequence[Map], names: Sequence[str] | None, most: int, value_range: Any) -> Key:
        """What the colours of these maps mean, at most so many classes."""

    def error_map(self, task: Task, prediction: Map, truth: Map) -> ErrorMap:
        """The error of a prediction, both as of :meth:`as_map`, dark where it is small."""
        known = self.known(truth)
        errors, largest, ends = self.errors(task, prediction, truth, known)
        colours = colour_map(ERROR_COLOURS, np.where(known, errors, 0) / largest)
        return ErrorMap(np.where(known[..., None], colours, ERROR_NO_LABEL), [(ERROR_NO_LABEL, "no label")], ends)

    def errors(self, task: Task, prediction: Map, truth: Map, known: Mask) -> Errors:
        """Errors (H, W), from where on they are drawn alike, and 0 and that in words."""
        errors = np.abs(prediction - truth)
        if errors.ndim == 3:
            errors = errors.mean(axis=2)
        unit = self.value_unit(task)
        largest = max(float(np.percentile(errors[known], 98)), 1e-12) if known.any() else 1.0
        return errors, largest, ("0", f"≥ {largest:.2g}{unit}")
