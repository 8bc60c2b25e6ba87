"""What all metrics share: logits or decoded predictions in, sums over all valid pixels of the split kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from bridgenet.errors import UserError
from bridgenet.tasks.decoding import at_least_float32

Sums = dict[str, Tensor]
"""One tensor for each state of a metric: its sum over some pixels."""


class PixelMetric(Metric):
    """Pools over all valid pixels it is given, never a mean of per-image values.

    The states are sums (int64 or float64), so that several processes, each with a part of the images, come to the
    result of one: counts, and what follows from counts alone, exactly; sums of errors up to the rounding of float64.

    Each state is a sum over pixels of what :meth:`sums` gives, and every score a function of these sums: of all images
    in `compute`, of one in `per_image`.

    Args:
        num_outputs: channels of the logits.
    """

    is_differentiable = False
    full_state_update = False

    image_score: ClassVar[str]
    """The score by which to call one image better than another; better in the direction of the task's headline."""

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.num_outputs = num_outputs
        self._images: list[Sums] = []
        self._pooled: Sums = {}

    def update(self, logits: Tensor, target: Tensor, *, decoded: bool = False) -> None:
        """Add a batch. logits (B, n, H, W), target (B, C, H, W), NaN (in class maps IGNORE) where there is no label.

        With `decoded` the first argument is the task's prediction, (B, H, W) or (B, H, W, 3), see
        :mod:`bridgenet.tasks.decoding`. Raises UserError if prediction and target differ in size.
        """
        self._add(target, logits if decoded else self.decode(logits))

    def update_decoded(self, prediction: Tensor, target: Tensor) -> None:
        """Add a batch of decoded predictions, (B, H, W) or (B, H, W, 3). target as in `update`."""
        self.update(prediction, target, decoded=True)

    def compute(self) -> dict[str, float]:
        """The scores over everything that was added; NaN for a mean over nothing. A collective call."""
        self._pooled = {name: getattr(self, name).cpu() for name in self._defaults}
        return self.scores(self._pooled)

    def details(self) -> dict[str, Any]:
        """What the scores leave out, for plots, in types that JSON has (None where a value is undefined).

        Like `compute` a collective call, unless that was called after the last batch.
        """
        self.compute()
        return self.describe(self._pooled)

    def per_image(self) -> list[dict[str, float]]:
        """The scores of each image of the last batch by itself, in its order, with the keys of `compute`.

        A local call, no collective one. Rank images by :attr:`image_score`; it is NaN for one without labels.
        """
        return [self.scores({name: value.cpu() for name, value in image.items()}) for image in self._images]

    def reset(self) -> None:
        """Forget everything that was added."""
        super().reset()
        self._images = []

    @abstractmethod
    def decode(self, logits: Tensor) -> Tensor:
        """Logits to the prediction that `sums` takes."""

    @abstractmethod
    def sums(self, target: Tensor, prediction: Tensor) -> Sums:
        """The states over one image alone. target (C, H, W), prediction (H, W) or (H, W, 3), at least float32."""

    @abstractmethod
    def scores(self, sums: Sums) -> dict[str, float]:
        """The scores that follow from the states (on the CPU)."""

    def describe(self, sums: Sums) -> dict[str, Any]:
        """What `details` gives, from the states (on the CPU)."""
        return {}

    def _add(self, target: Tensor, *predictions: Tensor) -> None:
        """Add a batch. target (B, C, H, W), each of the predictions, which `sums` takes together, (B, H, W, ...)."""
        for prediction in predictions:
            self._check_size(prediction.shape[:3], target)
        predictions = tuple(at_least_float32(x) if x.is_floating_point() else x for x in predictions)
        with _one_thread():
            # One image at a time: on a CPU, what is worked on at once then fits its cache.
            self._images = [self.sums(*arrays) for arrays in zip(target, *predictions)]
        for image in self._images:
            for name, value in image.items():
                getattr(self, name).add_(value)

    def _check_size(self, batch_height_width: tuple[int, ...], target: Tensor) -> None:
        """Raises UserError unless the target (B, C, H, W) has that batch and image size: it would be broadcast."""
        expected = (target.shape[0], *target.shape[2:])
        if tuple(batch_height_width) != expected:
            raise UserError(
                f"{type(self).__name__}: predictions of (batch, height, width) {tuple(batch_height_width)} for targets "
                f"of {expected}; resize the logits to the targets first"
            )


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for the CPU's operations: several lose more by waiting for each other where workers load data meanwhile."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def labelled(target: Tensor) -> Tensor:
    """1 where a target holds a label, 0 where NaN, in the target's own type: a Boolean one costs five times as much."""
    return torch.eq(target, target, out=torch.empty_like(target))


def blank(valid: Tensor, *values: Tensor) -> list[Tensor]:
    """The values (float32 or float64) with 0, whatever was there, where `valid` (of the same type) is 0 and not 1.

    Bit by bit: `torch.where` takes up to 25 times as long on a CPU.
    """
    integer = torch.int32 if valid.dtype == torch.float32 else torch.int64
    bits = valid.to(integer).neg_()  # 1 becomes -1, which is all ones
    return [value.view(integer).bitwise_and(bits).view(valid.dtype) for value in values]


def pooled_sum(values: Tensor) -> Tensor:
    """The sum in float64: rows in the values' own precision first, as converting every value costs more than adding."""
    return values.sum(dim=-1).sum(dtype=torch.float64)


def pooled_count(ones: Tensor) -> Tensor:
    """The number of ones (int64) in a tensor of zeros and ones."""
    return pooled_sum(ones).to(torch.int64)


def ratio(part: Tensor, whole: Tensor) -> float:
    """part / whole as a float, NaN for 0 / 0."""
    return (part.double() / whole).item()
