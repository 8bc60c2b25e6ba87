"""Samples on their way to the network: the published training's augmentation (ATRC's), the evaluation's padding.

A sample is a dict: ``"image"`` (H, W, 3) float32 RGB in [0, 255], every other key the name of a task with its target,
(H, W, C) float32, 255 = ignore. What a transform does to a target is said by the fields of its
:class:`bridgenet.tasks.Task`. Nothing here changes its input; all chance comes from the generator that is passed.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from bridgenet import tasks as task_registry
from bridgenet.errors import UserError
from bridgenet.tasks import IGNORE

Sample = dict[str, np.ndarray]

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's channels, RGB, of values in [0, 1]."""

SCALE_RANGE = (0.5, 2.0)
CROP_TRIES = 10
CROP_TASK = "semseg"
CROP_LARGEST_SHARE = 0.75
BRIGHTNESS = 32.0
GAIN_RANGE = (0.5, 1.5)
HUE = 18
"""Half a circle of hue has 180 steps of OpenCV's 8-bit HSV: 18 are 36 degrees."""


def resize(array: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
    """OpenCV's resize of (h, w) or (h, w, C) to `size` (height, width), the channel axis kept."""
    resized = cv2.resize(array, (size[1], size[0]), interpolation=interpolation)
    return resized.reshape(*size, *array.shape[2:])


def scale(sample: Sample, factor: float) -> Sample:
    """Resize to int(side·factor): the image bilinear without rounding, targets nearest, metric depth divided by it."""
    height, width = sample["image"].shape[:2]
    size = (max(1, int(height * factor)), max(1, int(width * factor)))
    scaled = {"image": resize(sample["image"], size, cv2.INTER_LINEAR)}
    for name, target in _targets(sample).items():
        resized = resize(target, size, cv2.INTER_NEAREST)
        if task_registry.get(name).divide_by_scale:
            np.divide(resized, np.float32(factor), out=resized, where=resized != IGNORE)
        scaled[name] = resized
    return scaled


def random_scale(sample: Sample, rng: np.random.Generator) -> Sample:
    """:func:`scale` with a factor uniform in [0.5, 2]."""
    return scale(sample, rng.uniform(*SCALE_RANGE))


def random_crop(sample: Sample, size: tuple[int, int], rng: np.random.Generator) -> Sample:
    """Crop to `size`; sides that are smaller stay.

    Where the sample has a semantic segmentation: up to 10 draws until the crop holds at least two classes and none
    covers more than 75 % of its valid pixels. The last draw stands.
    """
    height, width = sample["image"].shape[:2]
    crop_height, crop_width = min(size[0], height), min(size[1], width)
    labels = sample[CROP_TASK][..., 0].astype(np.uint8) if CROP_TASK in sample else None
    for _ in range(CROP_TRIES):
        top = int(rng.integers(height - crop_height + 1))
        left = int(rng.integers(width - crop_width + 1))
        window = (slice(top, top + crop_height), slice(left, left + crop_width))
        if labels is None or _is_varied(labels[window]):
            break
    return {name: array[window] for name, array in sample.items()}


def flip(sample: Sample) -> Sample:
    """Mirror left to right; components that point sideways change their sign."""
    flipped = {name: cv2.flip(array, 1).reshape(array.shape) for name, array in sample.items()}
    for name, target in _targets(flipped).items():
        for channel in task_registry.get(name).negate_on_flip:
            values = target[..., channel]
            np.negative(values, out=values, where=values != IGNORE)
    return flipped


def random_flip(sample: Sample, rng: np.random.Generator) -> Sample:
    """:func:`flip` in one of two cases."""
    return flip(sample) if rng.random() < 0.5 else sample


def photometric_distortion(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random brightness, contrast, saturation and hue, each in one of two cases, in 8-bit arithmetic.

    Args:
        image: (H, W, 3) float32 RGB in [0, 255]; cut down to 8 bit first.

    Returns:
        (H, W, 3) float32, whole numbers in [0, 255].
    """
    image = image.astype(np.uint8)
    if rng.random() < 0.5:
        image = adjust(image, 1.0, rng.uniform(-BRIGHTNESS, BRIGHTNESS))
    contrast_first = rng.random() < 0.5
    gain = rng.uniform(*GAIN_RANGE) if rng.random() < 0.5 else None
    if gain is not None and contrast_first:
        image = adjust(image, gain, 0.0)
    if rng.random() < 0.5:
        image = saturate(image, rng.uniform(*GAIN_RANGE))
    if rng.random() < 0.5:
        image = shift_hue(image, int(rng.integers(-HUE, HUE + 1)))
    if gain is not None and not contrast_first:
        image = adjust(image, gain, 0.0)
    return image.astype(np.float32)


def adjust(image: np.ndarray, gain: float, offset: float) -> np.ndarray:
    """gain·v + offset of a uint8 image, clipped to 0..255 and rounded down."""
    return cv2.LUT(image, _ramp(gain, offset))


def saturate(image: np.ndarray, gain: float) -> np.ndarray:
    """The saturation of an RGB uint8 image times `gain`, clipped and rounded down, in OpenCV's 8-bit HSV."""
    return _map_hsv(image, saturation=_ramp(gain, 0.0))


def shift_hue(image: np.ndarray, shift: int) -> np.ndarray:
    """The hue of an RGB uint8 image turned by `shift` steps of 2 degrees, in OpenCV's 8-bit HSV (0..179)."""
    return _map_hsv(image, hue=((np.arange(256) + shift) % 180).astype(np.uint8))


def normalise(image: np.ndarray) -> np.ndarray:
    """(v/255 − mean)/deviation of an RGB image (H, W, 3) in [0, 255]; float32."""
    scaled = image / np.float32(255)
    scaled -= np.asarray(IMAGE_MEAN, np.float32)
    scaled /= np.asarray(IMAGE_STD, np.float32)
    return scaled


def centre_offset(size: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """(top, left) of an image of `size` in the middle of `canvas`; an odd remainder goes to the bottom and right."""
    return (canvas[0] - size[0]) // 2, (canvas[1] - size[1]) // 2


def pad_to(sample: Sample, size: tuple[int, int]) -> Sample:
    """Centre a sample in a canvas no smaller than it, around it 0 for the normalised image, `pad_value` for targets."""
    height, width = sample["image"].shape[:2]
    if (height, width) == size:
        return sample
    top, left = centre_offset((height, width), size)
    padded = {}
    for name, array in sample.items():
        value = 0 if name == "image" else task_registry.get(name).pad_value
        canvas = np.full((*size, array.shape[2]), value, np.float32)
        canvas[top : top + height, left : left + width] = array
        padded[name] = canvas
    return padded


def apply_ignore(sample: Sample) -> Sample:
    """Mark unknown labels with 255: zero depth and normals; human parts of an image in which there are none."""
    marked = dict(sample)
    for name, target in _targets(sample).items():
        rule = task_registry.get(name).unknown
        if rule == "zero":
            unknown = np.logical_and.reduce([target[..., channel] == 0 for channel in range(target.shape[2])])
            marked[name] = target.copy()
            marked[name][unknown] = IGNORE
        elif rule == "no_foreground" and ((target == 0) | (target == IGNORE)).all():
            marked[name] = np.full_like(target, IGNORE)
    return marked


class TrainingTransform:
    """The published augmentation, in its order, to a fixed size.

    Args:
        size: (height, width) of the result [pixels].
        tasks: the targets to keep; without ``"semseg"`` a crop is taken as it is drawn.
    """

    def __init__(self, size: tuple[int, int], tasks: Sequence[str]) -> None:
        self.size = size
        self.tasks = task_registry.in_order(tasks)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Augment a sample: (C, H, W) float32 contiguous arrays of `size`, the image normalised."""
        sample = random_scale(_chosen(sample, self.tasks), rng)
        sample = random_crop(sample, self.size, rng)
        sample = random_flip(sample, rng)
        sample = {**sample, "image": photometric_distortion(sample["image"], rng)}
        return _finish(sample, self.size)


class EvaluationTransform:
    """Normalisation and padding to the evaluation canvas.

    Args:
        size: (height, width) of the canvas [pixels].
        tasks: the targets to keep.
    """

    def __init__(self, size: tuple[int, int], tasks: Sequence[str]) -> None:
        self.size = size
        self.tasks = task_registry.in_order(tasks)

    def __call__(self, sample: Sample, name: str = "image") -> Sample:
        """Prepare a sample: (C, H, W) float32 contiguous arrays; UserError naming it if it exceeds the canvas."""
        height, width = sample["image"].shape[:2]
        if height > self.size[0] or width > self.size[1]:
            raise UserError(
                f"{name}: found {height}×{width} pixels, expected at most the evaluation canvas of "
                f"{self.size[0]}×{self.size[1]} (height×width). Give a larger --data.eval-size"
            )
        return _finish(_chosen(sample, self.tasks), self.size)


def _finish(sample: Sample, size: tuple[int, int]) -> Sample:
    sample = {**sample, "image": normalise(sample["image"])}
    sample = apply_ignore(pad_to(sample, size))
    return {name: np.ascontiguousarray(array.transpose(2, 0, 1)) for name, array in sample.items()}


def _chosen(sample: Sample, tasks: Sequence[str]) -> Sample:
    return {name: sample[name] for name in ("image", *tasks)}


def _targets(sample: Sample) -> Sample:
    return {name: array for name, array in sample.items() if name != "image"}


def _is_varied(labels: np.ndarray) -> bool:
    """Whether the labels, (H, W) uint8, hold two classes or more and none covers more than 75 % of the valid pixels."""
    counts = np.bincount(labels.ravel(), minlength=IGNORE + 1)
    counts[IGNORE] = 0
    return bool(np.count_nonzero(counts) > 1 and counts.max() <= CROP_LARGEST_SHARE * counts.sum())


def _ramp(gain: float, offset: float) -> np.ndarray:
    """What becomes of each 8-bit value: (256,) uint8."""
    return np.clip(np.arange(256) * gain + offset, 0, 255).astype(np.uint8)


def _map_hsv(image: np.ndarray, *, hue: np.ndarray | None = None, saturation: np.ndarray | None = None) -> np.ndarray:
    same = np.arange(256, dtype=np.uint8)
    table = np.stack([same if hue is None else hue, same if saturation is None else saturation, same], axis=-1)
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), table[None])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
