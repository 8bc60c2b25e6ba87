from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
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
    assert metric.compute() == pytest.approx(
        {"mIoU": 1 / 4, "mIoU_present": 1 / 3, "pixel_accuracy": 3 / 5, "mean_class_accuracy": (1 + 2 / 4) / 2}
    )


def test_details_by_hand() -> None:
    metric = Segmentation(4)
    metric.update_decoded(torch.tensor([[[0, 0, 1, 1, 2, 1]]]), target(0, 1, 1, IGNORE, 1, 1))
    found = metric.details()
    assert found["confusion"] == [[1, 0, 0, 0], [1, 2, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]  # rows: labels
    assert found["per_class_iou"] == [1 / 2, 2 / 4, 0, None]
    assert found["per_class_accuracy"] == [1, 2 / 4, None, None]


pixels = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(st.tuples(st.integers(0, n - 1), st.one_of(st.integers(0, n - 1), st.just(IGNORE))), min_size=1),
    )
)


@given(pixels)
def test_scores_by_definition(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    n, pairs = drawn
    metric = Segmentation(n)
    metric.update_decoded(torch.tensor([[[p for p, _ in pairs]]]), target(*(float(g) for _, g in pairs)))
    valid = [pair for pair in pairs if pair[1] != IGNORE]
    iou = [
        sum(p == g == c for p, g in valid) / max(1, sum(p == c or g == c for p, g in valid)) for c in range(n) if valid
    ]
    found = metric.compute()
    if not valid:
        assert all(math.isnan(value) for value in found.values())
        return
    assert found["mIoU"] == pytest.approx(sum(iou) / n)
    assert found["mIoU_present"] == pytest.approx(sum(iou) / len({c for pair in valid for c in pair}))
    assert found["pixel_accuracy"] == pytest.approx(sum(p == g for p, g in valid) / len(valid))
    assert [value or 0 for value in metric.details()["per_class_iou"]] == pytest.approx(iou)


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
