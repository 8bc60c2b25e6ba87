from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bridgenet.metrics import Saliency
from bridgenet.tasks import IGNORE


def target(*labels: float) -> Tensor:
    return torch.tensor(labels, dtype=torch.float64).view(1, 1, 1, -1)


def scores(probabilities: list[float], labels: list[float]) -> dict[str, float]:
    metric = Saliency(2)
    metric.update_decoded(torch.tensor(probabilities, dtype=torch.float64).view(1, 1, -1), target(*labels))
    return metric.compute()


def f(true_positives: int, predicted: int, positives: int) -> float:
    precision, recall = true_positives / predicted, true_positives / positives
    return 1.3 * precision * recall / (0.3 * precision + recall)


def test_by_hand() -> None:
    found = scores([0.9, 0.88, 0.3, 0.1, 0.5], [1, 0, 1, 0, IGNORE])
    # clean, best in 0.15..0.30: three pixels, both positives
    assert found["maxF_clean"] == pytest.approx(max(f(2, 3, 2), f(1, 2, 2), f(1, 1, 2)))
    assert found["mae"] == pytest.approx((0.1 + 0.88 + 0.7 + 0.1) / 4)


def test_published_score_passes_a_second_sigmoid() -> None:
    # 0.96 and 0.93: thresholds 0.95 tells them apart, but sigmoid(0.96) = 0.723 and sigmoid(0.93) = 0.717 nothing does
    found = scores([0.96, 0.93, 0.1], [1, 0, 0])
    assert found["maxF_clean"] == pytest.approx(1)
    assert found["maxF"] == pytest.approx(f(1, 2, 1))


def test_published_score_by_definition() -> None:
    g = torch.Generator().manual_seed(0)
    probabilities = torch.rand(400, generator=g, dtype=torch.float64)
    labels = (torch.rand(400, generator=g, dtype=torch.float64) < probabilities).double()
    expected = []
    for threshold in range(5, 100, 5):
        positive = probabilities.sigmoid() >= threshold / 100
        if positive.any():
            hits = int((positive & (labels == 1)).sum())
            expected.append(f(hits, int(positive.sum()), int(labels.sum())))
    assert scores(probabilities.tolist(), labels.tolist())["maxF"] == pytest.approx(max(expected))


def test_threshold_itself_counts_as_positive() -> None:
    assert scores([0.95, 0.0], [1, 0])["maxF_clean"] == 1


def test_no_salient_pixel_is_zero() -> None:
    assert scores([0.2, 0.8], [0, 0])["maxF"] == 0


def test_nothing_valid_is_nan() -> None:
    assert all(math.isnan(value) for value in scores([0.2], [IGNORE]).values())
