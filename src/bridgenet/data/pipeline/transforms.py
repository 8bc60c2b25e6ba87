"""Transforms of samples: the published augmentation (ATRC's) for training, padding for evaluation.

A sample is a dict: ``"image"`` (H, W, 3) RGB in [0, 255], uint8 or float32, every other key the name of a task with its
target, (H, W, C) float32, or uint8 as :mod:`bridgenet.data.compact` says. The last step, :func:`mark_unknown`, makes
unknown pixels NaN, 255 in class maps and in uint8. What a transform does to a target is said by the fields of its
:class:`bridgenet.tasks.Task`. Nothing here changes its input; all chance comes from the generator that is passed.

`prepare` returns what workers send, in the dtypes of its input; :func:`bridgenet.data.pipeline.batches.to_device` converts
it for losses and metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from bridgenet import tasks as task_registry
from bridgenet.data.pipeline.photometric import photometric_distortion
from bridgenet.data.pipeline.views import View, nearest, resize, scaled_size
from bridgenet.errors import UserError
from bridgenet.system.validation import LONGEST_SIDE
from bridgenet.tasks import IGNORE, Task

Sample = dict[str, np.ndarray]

SCALE_RANGE = (0.5, 2.0)
CROP_TRIES = 10
CROP_TASK = "semseg"
CROP_LARGEST_SHARE = 0.75


def scale(sample: Sample, factor: float) -> Sample:
    """Resize to int(side·factor): the image bilinear without rounding, targets nearest, metric depth divided by it."""
    return _seen(sample, View.whole(_size(sample), factor=factor))


def flip(sample: Sample) -> Sample:
    """Mirror left to right; horizontal components of vectors change their sign."""
    return _seen(sample, View.whole(_size(sample), mirrored=True))


def draw_view(sample: Sample, size: tuple[int, int], rng: np.random.Generator, *, mirror: bool = True) -> View:
    """Draw a random view of a sample for training, on a canvas of `size` (height, width).

    The sample is scaled by a factor uniform in [0.5, 2], cropped to `size` (smaller sides stay), and mirrored with
    probability 1/2 if `mirror`. With a semantic segmentation, up to 10 windows are drawn until one holds at least two classes and none
    covers more than 75 % of its valid pixels; the last one is used otherwise.
    """
    source = _size(sample)
    factor = rng.uniform(*SCALE_RANGE)
    height, width = scaled_size(source, factor)
    window = (min(size[0], height), min(size[1], width))
    labels = sample.get(CROP_TASK)
    if labels is not None:
        labels = labels[..., 0].astype(np.uint8, copy=False)
        rows, columns = (nearest(*lengths).astype(np.intp) for lengths in zip(source, (height, width)))
    for _ in range(CROP_TRIES):
        top = int(rng.integers(height - window[0] + 1))
        left = int(rng.integers(width - window[1] + 1))
        if labels is None:
            break
        seen = labels.take(rows[top : top + window[0]], axis=0).take(columns[left : left + window[1]], axis=1)
        if _is_varied(seen):
            break
    mirrored = bool(rng.random() < 0.5)  # drawn in any case: all else stays as it is
    return View(source, factor, (top, left), window, mirrored and mirror, size)


def mark_unknown(task: str | Task, target: np.ndarray) -> np.ndarray:
    """Mark unknown pixels of a task's target (H, W, C), e.g. zero depth; see :meth:`bridgenet.tasks.Kind.mark_unknown`."""
    task = task_registry.get(task)
    return task.kind.mark_unknown(task, target)


def shrunk_size(size: tuple[int, int], shrink: int) -> tuple[int, int]:
    """(height, width) of the network's images for targets of `size`; UserError if sides are too long or `shrink` divides one not."""
    height, width = size
    if max(size) > LONGEST_SIDE:
        raise UserError(
            f"a canvas of {height}×{width} pixels (height×width): sides may have at most {LONGEST_SIDE}. Give smaller "
            "--data.size and --data.eval-size"
        )
    if height % shrink or width % shrink:
        raise UserError(
            f"a canvas of {height}×{width} pixels (height×width) for images at 1/{shrink} of it: both sides must be "
            f"divisible by {shrink}. Give other --data.size and --data.eval-size, or another --data.shrink"
        )
    return height // shrink, width // shrink


class TrainingTransform:
    """The published augmentation, in its order, to a fixed size.

    Args:
        size: (height, width) of the resulting targets [pixels].
        tasks: the targets to keep, best those of the data set (:meth:`bridgenet.DenseDataset.task`), which knows the classes
            that change places in mirrors; without ``"semseg"``, the first window is used.
        shrink: the resulting image has 1/shrink of `size`.
        augment: if false, samples are only padded, as in evaluation.
        mirror: whether half of the samples are mirrored.

    Raises UserError unless `shrink` divides both sides.
    """

    def __init__(
        self,
        size: tuple[int, int],
        tasks: Sequence[str | Task],
        *,
        shrink: int = 1,
        augment: bool = True,
        mirror: bool = True,
    ) -> None:
        self.size = size
        known = {task.name: task for task in map(task_registry.get, tasks)}
        self.tasks = {name: known[name] for name in task_registry.in_order(known)}
        self.shrink, self.augment, self.mirror = shrink, augment, mirror
        shrunk_size(size, shrink)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Augment a sample: (C, H, W) float32 contiguous arrays of `size`, the image normalised."""
        return _finished(self.prepare(sample, rng), list(self.tasks))

    def prepare(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Augment a sample: the image (3, H, W) uint8, targets (C, H, W), and what :func:`_prepared` adds.

        Raises UserError if `augment` is false and the sample exceeds the size.
        """
        chosen = {name: sample[name] for name in self.tasks}
        if not self.augment:
            view = _padding(sample, self.size, "a training image", "--data.size")
            return _prepared(sample["image"], chosen, self.tasks, view, self.shrink)
        view = draw_view({"image": sample["image"], **chosen}, self.size, rng, mirror=self.mirror)
        return _prepared(
            photometric_distortion(view.image(sample["image"]), rng), chosen, self.tasks, view, self.shrink
        )


class EvaluationTransform:
    """Normalisation and padding to the evaluation canvas.

    Args:
        size: (height, width) of the canvas and of targets [pixels].
        tasks: the targets to keep.
        shrink: the resulting image has 1/shrink of `size`.

    Raises UserError unless `shrink` divides both sides.
    """

    def __init__(self, size: tuple[int, int], tasks: Sequence[str], *, shrink: int = 1) -> None:
        self.size = size
        self.tasks = {name: task_registry.get(name) for name in task_registry.in_order(tasks)}
        self.shrink = shrink
        shrunk_size(size, shrink)

    def __call__(self, sample: Sample, name: str = "image") -> Sample:
        """Pad a sample: (C, H, W) float32 contiguous arrays, the image normalised. Raises what `prepare` does."""
        return _finished(self.prepare(sample, name), list(self.tasks))

    def prepare(self, sample: Sample, name: str = "image") -> Sample:
        """Pad a sample: the image (3, H, W), targets (C, H, W), and what :func:`_prepared` adds.

        Raises UserError with the sample's name if it exceeds the canvas.
        """
        view = _padding(sample, self.size, name, "--data.eval-size")
        chosen = {task: sample[task] for task in self.tasks}
        return _prepared(sample["image"], chosen, self.tasks, view, self.shrink)


def _padding(sample: Sample, size: tuple[int, int], name: str, setting: str) -> View:
    """A view of the whole sample, centred on a canvas of `size`. Raises UserError with `setting` if it exceeds it."""
    height, width = _size(sample)
    if height > size[0] or width > size[1]:
        canvas = "the evaluation canvas" if setting == "--data.eval-size" else "the training size"
        raise UserError(
            f"{name}: found {height}×{width} pixels, expected at most {canvas} of "
            f"{size[0]}×{size[1]} (height×width). Give a larger {setting}"
        )
    return View.whole((height, width), canvas=size)


def _prepared(image: np.ndarray, targets: Sample, tasks: Mapping[str, Task], view: View, shrink: int) -> Sample:
    """Image and targets (C, H, W) on the view's canvas, contiguous, unknown labels marked; the image shrunk.

    Adds ``"place"``, int64 [top, left, height, width] of the sample in the shrunk image, and ``"mirrored"``, bool.
    """
    return {
        "image": _shrunk(view.on_canvas(image), shrink),
        **{name: _planes(mark_unknown(tasks[name], view.target(tasks[name], x))) for name, x in targets.items()},
        "place": np.array(_shrunk_place(view.place, shrink), np.int64),
        "mirrored": np.array(view.mirrored),
    }


def _shrunk(canvas: np.ndarray, shrink: int) -> np.ndarray:
    """(3, H, W) → (3, H/shrink, W/shrink): bilinear, in float32 without rounding; the array itself for 1."""
    if shrink == 1:
        return canvas
    size = shrunk_size((canvas.shape[1], canvas.shape[2]), shrink)
    return np.stack([resize(plane.astype(np.float32), size, cv2.INTER_LINEAR) for plane in canvas])


def _shrunk_place(place: tuple[int, int, int, int], shrink: int) -> tuple[int, int, int, int]:
    """The pixels of the shrunk canvas that depend only on the window: (top, left, height, width)."""
    top, left, height, width = place
    first_row, first_column = -(-top // shrink), -(-left // shrink)
    last_row, last_column = (top + height) // shrink, (left + width) // shrink
    return first_row, first_column, last_row - first_row, last_column - first_column


def _finished(prepared: Sample, tasks: Sequence[str]) -> Sample:
    from bridgenet.data.pipeline.batches import finished  # which needs torch

    return finished(prepared, tasks)


def _seen(sample: Sample, view: View) -> Sample:
    return {name: view.image(array) if name == "image" else view.target(name, array) for name, array in sample.items()}


def _planes(target: np.ndarray) -> np.ndarray:
    """(H, W, C) → (C, H, W), contiguous."""
    return target[None, ..., 0] if target.shape[2] == 1 else np.stack(cv2.split(target))


def _size(sample: Sample) -> tuple[int, int]:
    return sample["image"].shape[0], sample["image"].shape[1]


def _is_varied(labels: np.ndarray) -> bool:
    """Whether the labels, (H, W) uint8, hold two classes or more and none covers more than 75 % of the valid pixels."""
    counts = cv2.calcHist([labels], [0], None, [IGNORE + 1], [0, IGNORE + 1]).ravel()[:IGNORE]
    return bool(np.count_nonzero(counts) > 1 and counts.max() <= CROP_LARGEST_SHARE * counts.sum(dtype=np.float64))
