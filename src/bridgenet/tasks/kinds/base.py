"""The base class of all kinds. Its defaults fit maps of one real number per pixel, NaN where unknown."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
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
    """A picture of the errors of a prediction.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        swatches: RGB and name of each colour with a meaning.
        ends: meaning of the darkest and the brightest colour of :data:`bridgenet.tasks.colours.ERROR_COLOURS`, if used.
    """

    picture: NDArray[np.uint8]
    swatches: Sequence[tuple[Any, str]]
    ends: tuple[str, str] | None = None


class Kind(str, ABC):
    """Everything that depends on the kind of a task. There is one object per kind, a string that equals its name.

    Maps are NumPy arrays: predictions as decoded, (H, W) or (H, W, C), and targets, (H, W) or (H, W, C) float32.
    """

    name: ClassVar[str]
    """Name of the kind in :class:`bridgenet.Task` and in files."""
    defaults: ClassVar[Mapping[str, Any]]
    """Default fields of a :class:`bridgenet.Task` of this kind: loss, metric, headline, decoding, augmentation."""
    unknown: ClassVar[float] = math.nan
    """Value of a pixel without a label in float32 targets, from :meth:`mark_unknown` on."""
    has_classes: ClassVar[bool] = False
    """Whether predictions are class indices."""
    has_points: ClassVar[bool] = False
    """Whether predictions are depth [m], which can be written as a point cloud."""
    is_share: ClassVar[bool] = False
    """Whether values are shares, 0 to 1: such maps are smoothed when reduced and may tint a photo."""
    label_keys: ClassVar[tuple[str, ...]] = ()
    """Further keys for an entry of this kind in the description of a data set."""
    needs_unit: ClassVar[bool] = False
    """Whether that entry must give the unit of stored labels."""
    digits: ClassVar[int] = 3
    """Significant digits of values in reports."""
    left_out_in_words: ClassVar[str] = "of the pixels are no labels"
    """Description of what :meth:`left_out` counts, after its share."""
    change_measure: ClassVar[str] = "% mean difference of the mean size"
    """Description of the value that :meth:`change` returns."""
    array_decodings: ClassVar[Mapping[str, Callable[[Map], Map]]] = {}
    """Further NumPy decodings `(n, h, w) -> (C, h, w)` by the name of their PyTorch version."""

    def __new__(cls, *_: object) -> Kind:
        return super().__new__(cls, cls.name)

    # Targets

    def target_channels(self, num_outputs: int | None) -> int:
        """Channels of a target if the logits have `num_outputs` channels."""
        return 1

    def is_unknown(self, values: Any) -> Any:
        """A bool mask of unknown pixels in float32 targets, arrays or tensors of any shape."""
        return values != values

    def known(self, values: Map) -> Mask:
        """(H, W) bool mask of the pixels of a map (H, W) or (H, W, C) that have a value in all channels."""
        known: Mask = np.isfinite(values)
        return np.logical_and.reduce(known, axis=2) if values.ndim == 3 else known

    def expanded(self, stored: NDArray[np.uint8]) -> NDArray[np.float32]:
        """An 8-bit target (see :mod:`bridgenet.data.compact`) as float32."""
        values = stored.astype(np.float32)
        values[stored == IGNORE] = self.unknown
        return values

    def stays_compact(self, task: Task) -> bool:
        """Whether an 8-bit target can be scaled, mirrored and padded without conversion."""
        has_room = task.pad_value is None or task.pad_value in range(256)
        return has_room and not task.divide_by_scale and not task.multiply_by_scale and not task.negate_on_flip

    def outside(self, task: Task, is_compact: bool) -> float:
        """Value outside of the image in float32 or 8-bit (`is_compact`) targets."""
        if task.pad_value is not None:
            return task.pad_value
        return IGNORE if is_compact else self.unknown

    def mark_unknown(self, task: Task, target: Map) -> Map:
        """Mark the pixels of a target (H, W, C), float32 or uint8, that are unknown by the task's rule (`Task.unknown`).

        Readers give 0 for unknown depth and zero vectors for unknown normals; after this step, the last one before tensors,
        unknown is :attr:`unknown`, IGNORE in 8 bits.

        Returns the target itself if there is nothing to mark.
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
        """Convert targets (B, C, H, W), uint8 or float32, to float32 for losses and metrics. `mirrored`: (B,) bool."""
        values = target.float()
        return values if target.is_floating_point() else values.masked_fill_(target == IGNORE, self.unknown)

    @abstractmethod
    def read(self, labels: LabelFormat, path: Path, stored: Map) -> Map:
        """Convert a stored array (h, w, C) to a target, (h, w, C) float32 or uint8 (:mod:`bridgenet.data.compact`).

        Raises UserError, naming `path`, for values that are not of this kind.
        """

    def interpolated(self, values: Map) -> Map:
        """Values (H, W, C) float32 after a cubic interpolation as values of this kind; NaN where they are none."""
        return values

    # Labels of a data set

    def left_out(self, labels: LabelFormat, stored: Map) -> Counter[Any]:
        """Pixels of a stored array (h, w, C) that :meth:`read` takes for unknown although neither `ignore` nor `range` says so.

        By what is stored in them: the most frequent values of all, None for others.
        """
        return Counter()

    def measured(self, values: Map) -> Map:
        """The values (N,) of known pixels (N, C) for the statistics of labels."""
        return values[:, 0]

    def off_length(self, measured: Map) -> int:
        """How many of these values are impossible."""
        return 0

    @abstractmethod
    def describe(self, task: Task, found: Statistics, num_classes: int) -> str:
        """A text with the range of the labels and units."""

    def implausible(self, found: Statistics) -> str:
        """A text about what is implausible in the labels of all images together; empty if nothing is."""
        return ""

    def remarkable(self, found: Statistics) -> str:
        """A text about what is remarkable in the labels of all images together, but no fault; empty if nothing is."""
        return ""

    @abstractmethod
    def best_constant(self, num_outputs: int) -> Constant:
        """An object that finds the constant prediction that scores best on given targets."""

    # Predictions

    def averaged(self, task: Task, logits: Tensor) -> Tensor:
        """Logits (B, n, H, W) as values (B, C, H, W) that test-time augmentation averages."""
        values = resolve(task.decode)(logits)
        return values.permute(0, 3, 1, 2) if values.dim() == 4 else values[:, None]

    def logits_of(self, mean: Tensor) -> Tensor:
        """Logits (B, n, H, W) that decode to a mean of :meth:`averaged` values."""
        return mean

    def enlarge(self, task: Task, logits: Tensor, size: tuple[int, int]) -> Map:
        """Decode the logits (1, n, h, w) of one image at `size`: (H, W) or (H, W, C)."""
        values = self._decoded_at(task, logits, size)
        return (values[0] if len(values) == 1 else values.permute(1, 2, 0)).cpu().numpy()

    def _decoded_at(self, task: Task, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Decode, then resize: (C, H, W) float32."""
        from bridgenet.tasks.decoding import resized

        values = resolve(task.decode)(logits)[0]
        channels = values.permute(2, 0, 1) if values.dim() == 3 else values[None]
        return resized(channels[None].float(), size)[0]

    def enlarge_array(self, task: Task, logits: NDArray[np.float32], size: tuple[int, int]) -> Map:
        """:meth:`enlarge` in NumPy for logits (n, h, w). Raises UserError for a decoding without a NumPy version."""
        from bridgenet.tasks.array_decoding import decoding_of, resized

        channels = np.stack([resized(channel, size) for channel in decoding_of(task)(logits)])
        return channels[0] if len(channels) == 1 else channels.transpose(1, 2, 0)

    @abstractmethod
    def write(self, folder: Path, name: str, values: Map, num_names: int) -> None:
        """Write a prediction to files `name…` in the folder. `num_names`: number of class names."""

    def lost(self, name: str, values: Map) -> str:
        """A text about values that the files of :meth:`write` do not hold; empty if they hold all."""
        return ""

    def change(self, expected: Map, found: Map) -> float:
        """The difference of a prediction from the expected one, see :attr:`change_measure`."""
        return 100 * float(np.abs(expected - found).mean()) / max(float(np.abs(expected).mean()), 1e-12)

    @abstractmethod
    def example(self, num_outputs: int, patches: Random, noise: Random) -> tuple[Tensor, Tensor]:
        """A decoded prediction (B, H, W[, C]) and a similar target (B, C, H, W) without unknown pixels.

        Args:
            num_outputs: channels of the logits.
            patches: `(channels) -> (B, channels, H, W)` random numbers in [0, 1), constant in patches.
            noise: the same for single pixels.
        """

    # Drawing

    def value_unit(self, task: Task) -> str:
        """The text after a value, including a space before the unit if needed."""
        return ""

    def as_map(self, task: Task, values: Map) -> Map:
        """A prediction or target in the shape in which it is drawn, (H, W) or (H, W, 3). Raises UserError for other shapes."""
        values = np.asarray(values)
        if values.ndim == 3 and values.shape[2] == 1:
            values = values[..., 0]
        if values.ndim != 2:
            raise self._undrawable(task, values, "(H, W) or (H, W, 1)")
        return values

    def _undrawable(self, task: Task, values: Map, expected: str) -> UserError:
        return UserError(f"{task.name}: a map of shape {values.shape} cannot be drawn, {expected} was expected")

    def find_range(self, maps: Sequence[Map]) -> Range | None:
        """The range of values for the colours of these maps; None if colours have a fixed meaning."""
        return None

    @abstractmethod
    def colourise(self, values: Map, value_range: Range | None) -> NDArray[np.uint8]:
        """A map from :meth:`as_map` in colour, (H, W, 3) uint8 RGB; `value_range`: by default that of the map."""

    @abstractmethod
    def key(self, task: Task, maps: Sequence[Map], names: Sequence[str] | None, most: int, value_range: Any) -> Key:
        """The key to the colours of these maps, with at most `most` classes."""

    def error_map(self, task: Task, prediction: Map, truth: Map) -> ErrorMap:
        """Draw the error of a prediction, dark where it is small; both maps are from :meth:`as_map`."""
        known = self.known(truth)
        errors, largest, ends = self.errors(task, prediction, truth, known)
        colours = colour_map(ERROR_COLOURS, np.where(known, errors, 0) / largest)
        return ErrorMap(np.where(known[..., None], colours, ERROR_NO_LABEL), [(ERROR_NO_LABEL, "no label")], ends)

    def errors(self, task: Task, prediction: Map, truth: Map, known: Mask) -> Errors:
        """Errors (H, W), the largest error that is distinguished, and texts for 0 and for that error."""
        errors = np.abs(prediction - truth)
        if errors.ndim == 3:
            errors = errors.mean(axis=2)
        unit = self.value_unit(task)
        largest = max(float(np.percentile(errors[known], 98)), 1e-12) if known.any() else 1.0
        return errors, largest, ("0", f"≥ {largest:.2g}{unit}")
