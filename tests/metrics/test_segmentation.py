from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bridgenet.errors import UserError
from bridgenet.metrics import Segmentation
from bridgenet.tasks import IGNORE


def target(*labels: float) -> Tensor:
    return torch.tensor(labels).view(1, 1, 1, -1)


def test_by_hand_pooled_over_batches() -> None:
    metric = Segmentation(4)
    metric.update_decoded(torch.tensor([[[0, 0, 1, 1]]]), target(0, 1, 1, IGNORE))
    metric.update_decoded(torch.tensor([[[2, 1]]]), target(1, 1))
    # class 0: 1 of 2; class 1: 2 of 4; class 2: predicted once, never right; class 3 never occurs and counts 0
    assert metric.compute() == pytest.approx({"mIoU": (1 / 2 + 2 / 4) / 4, "pixel_accuracy": 3 / 5})
    assert metric.per_class() == pytest.approx([1 / 2, 2 / 4, 0, 0])


def test_logits_are_decoded_by_arg_max() -> None:
    logits = torch.randn(2, 6, 4, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(6, (2, 1, 4, 5), generator=torch.Generator().manual_seed(1)).float()
    one, other = Segmentation(6), Segmentation(6)
    one.update(logits, labels)
    other.update_decoded(logits.argmax(dim=1), labels)
    assert one.compute() == other.compute()


def test_nothing_valid_is_nan() -> None:
    metric = Segmentation(3)
    metric.update(torch.zeros(1, 3, 1, 2), target(IGNORE, IGNORE))
    assert all(math.isnan(value) for value in metric.compute().values())


@pytest.mark.parametrize("label", [3, 254, 256])
def test_unknown_class_is_named(label: int) -> None:
    with pytest.raises(UserError, match=f"class {label}, but there are 3"):
        Segmentation(3).update(torch.zeros(1, 3, 1, 2), target(1, label))
