"""What all metrics share: logits or decoded predictions in, sums over all valid pixels of the split kept."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torchmetrics import Metric

from bridgenet.errors import UserError


class PixelMetric(Metric):
    """Pools over all valid pixels it is given, never a mean of per-image values.

    The states are sums (int64 or float64), so that several processes, each with a part of the images, come to the
    result of one. `compute()` gives Python floats, NaN for a mean over nothing.

    Args:
        num_outputs: channels of the logits.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.num_outputs = num_outputs

    def update(self, logits: Tensor, target: Tensor, *, decoded: bool = False) -> None:
        """Add a batch. logits (B, n, H, W), target (B, C, H, W), IGNORE where there is no label.

        With `decoded` the first argument is the task's prediction, (B, H, W) or (B, H, W, 3), see
        :mod:`bridgenet.decoding`.
        """
        prediction = logits if decoded else self.decode(logits)
        self.check_size(prediction.shape[:3], target)
        self.accumulate(prediction, target)

    def update_decoded(self, prediction: Tensor, target: Tensor) -> None:
        """Add a batch of decoded predictions, (B, H, W) or (B, H, W, 3). target as in `update`."""
        self.update(prediction, target, decoded=True)

    @abstractmethod
    def decode(self, logits: Tensor) -> Tensor:
        """Logits to the prediction that `accumulate` takes."""

    @abstractmethod
    def accumulate(self, prediction: Tensor, target: Tensor) -> None:
        """Add a batch to the states."""

    def check_size(self, batch_height_width: tuple[int, ...], target: Tensor) -> None:
        """Raises UserError unless the target (B, C, H, W) has that batch and image size: it would be broadcast."""
        expected = (target.shape[0], *target.shape[2:])
        if tuple(batch_height_width) != expected:
            raise UserError(
                f"{type(self).__name__}: predictions of (batch, height, width) {tuple(batch_height_width)} for targets "
                f"of {expected}; resize the logits to the targets first"
            )


def pooled_sum(values: Tensor) -> Tensor:
    """The sum in float64: rows in the values' own precision first, as converting every value costs more than adding."""
    return values.sum(dim=-1).sum(dtype=torch.float64)


def ratio(part: Tensor, whole: Tensor) -> float:
    """part / whole as a float, NaN for 0 / 0."""
    return (part.double() / whole).item()
