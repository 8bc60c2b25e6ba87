"""The base class of all metrics, which sums over all valid pixels of a split, and helpers for these sums."""

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
"""One tensor for each state of a metric: its sum over the pixels of one image or of all."""


class PixelMetric(Metric):
    """A metric that pools over all valid pixels; it never averages per-image values.

    The states are sums over pixels (int64 or float64), which :meth:`sums` returns for one image; every score is a
    function of them (:meth:`scores`): of all images in `compute`, of one image in `per_image`. Several processes, each
    with a part of the images, therefore get the result of one process: scores from counts exactly, scores from sums of
    errors up to the rounding of float64.

    Args:
        num_outputs: channels of the logits.
    """

    is_differentiable = False
    full_state_update = False

    image_score: ClassVar[str]
    """The score that ranks images; its direction is that of the task's headline."""

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
        """`update` with decoded predictions."""
        self.update(prediction, target, decoded=True)

    def compute(self) -> dict[str, float]:
        """The scores over all batches; NaN for a mean over no pixel. A collective call: every process must make it."""
        self._pooled = {name: getattr(self, name).cpu() for name in self._defaults}
        return self.scores(self._pooled)

    def details(self) -> dict[str, Any]:
        """Curves, histograms and per-class values for plots, as JSON types (None where a value is undefined).

        A collective call like `compute`, unless `compute` was called after the last batch.
        """
        self.compute()
        return self.describe(self._pooled)

    def per_image(self) -> list[dict[str, float]]:
        """The scores of each single image of the last batch, in the batch's order, with the keys of `compute`.

        A local call, not a collective one. Rank images by :attr:`image_score`; it is NaN for an image without labels.
        """
        return [self.scores({name: value.cpu() for name, value in image.items()}) for image in self._images]

    def reset(self) -> None:
        super().reset()
        self._images = []

    @abstractmethod
    def decode(self, logits: Tensor) -> Tensor:
        """Logits (B, n, H, W) to the predictions that `sums` takes, (B, H, W) or (B, H, W, 3)."""

    @abstractmethod
    def sums(self, target: Tensor, prediction: Tensor) -> Sums:
        """The states of one image. target (C, H, W), prediction (H, W) or (H, W, 3), at least float32."""

    @abstractmethod
    def scores(self, sums: Sums) -> dict[str, float]:
        """The scores of some states (on the CPU)."""

    def describe(self, sums: Sums) -> dict[str, Any]:
        """The values that `details` returns, from the states (on the CPU)."""
        return {}

    def _add(self, target: Tensor, *predictions: Tensor) -> None:
        """Add a batch. target (B, C, H, W); all predictions (B, H, W, ...) are passed to `sums`."""
        expected = (target.shape[0], *target.shape[2:])
        for prediction in predictions:
            if (found := tuple(prediction.shape[:3])) != expected:  # it would be broadcast
                raise UserError(
                    f"{type(self).__name__}: predictions of (batch, height, width) {found} for targets of {expected}; "
                    "resize the logits to the targets first"
                )
        predictions = tuple(at_least_float32(x) if x.is_floating_point() else x for x in predictions)
        with _one_thread():
            # One image at a time: its arrays fit the cache of a CPU.
            self._images = [self.sums(*arrays) for arrays in zip(target, *predictions)]
        for image in self._images:
            for name, value in image.items():
                getattr(self, name).add_(value)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run CPU operations in one thread: several threads are slower while workers load data at the same time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def valid_mask(target: Tensor) -> Tensor:
    """1 where a target holds a label, 0 where it is NaN, in the target's dtype: a bool mask is five times as slow."""
    return torch.eq(target, target, out=torch.empty_like(target))


def masked(valid: Tensor, *values: Tensor) -> list[Tensor]:
    """The values (float32 or float64) with 0 where `valid`, a mask of 0 and 1 in the same dtype, is 0.

    NaN and infinities become 0, too. Done bitwise: `torch.where` takes up to 25 times as long on a CPU.
    """
    integer = torch.int32 if valid.dtype == torch.float32 else torch.int64
    bits = valid.to(integer).neg_()  # 1 becomes -1, which is all ones
    return [value.view(integer).bitwise_and(bits).view(valid.dtype) for value in values]


def pooled_sum(values: Tensor) -> Tensor:
    """The sum in float64. Rows are summed in the values' dtype first: converting every value costs more than adding."""
    return values.sum(dim=-1).sum(dtype=torch.float64)


def pooled_count(ones: Tensor) -> Tensor:
    """The number of ones, int64, in a tensor of zeros and ones."""
    return pooled_sum(ones).to(torch.int64)


def ratio(part: Tensor, whole: Tensor) -> float:
    """part / whole as a float; NaN for 0 / 0."""
    return (part.double() / whole).item()
