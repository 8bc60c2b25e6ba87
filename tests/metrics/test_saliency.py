from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bridgenet.metrics import Saliency
from bridgenet.metrics.saliency import THRESHOLDS


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
    found = scores([0.9, 0.88, 0.3, 0.1, 0.5], [1, 0, 1, 0, math.nan])
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_counts_next_to_every_threshold(dtype: torch.dtype) -> None:
    """One floating-point number below a threshold is below it, in the precision of the prediction."""
    cuts = torch.tensor([*THRESHOLDS, *(math.log(t / (1 - t)) for t in (0.55, 0.6, 0.65, 0.7))], dtype=torch.float64)
    cuts = cuts.to(dtype)
    zero, one = torch.zeros_like(cuts), torch.ones_like(cuts)
    values = torch.cat([cuts, torch.nextafter(cuts, zero), torch.nextafter(cuts, one), zero[:1], one[:1]])
    metric = Saliency(2)
    metric.update_decoded(values.view(1, 1, -1), torch.ones(1, 1, 1, len(values)))
    expected = [int((values >= cut).sum()) / len(values) for cut in cuts.tolist()]
    found = metric.details()
    assert found["recall_clean"] == expected[:19]
    # all are salient: P = 1 and F = 1.3 R / (0.3 + R)
    twice = [1.0] * 10 + expected[19:] + [0.0] * 5
    assert found["f"] == pytest.approx([1.3 * recall / (0.3 + recall) for recall in twice])


def test_curves() -> None:
    metric = Saliency(2)
    metric.update_decoded(torch.tensor([[[0.9, 0.88, 0.3, 0.1, 0.5]]]), target(1, 0, 1, 0, math.nan))
    found = metric.details()
    assert found["thresholds"] == pytest.approx([k / 20 for k in range(1, 20)])
    assert found["precision_clean"] == [2 / 4, 2 / 4, *[2 / 3] * 4, *[1 / 2] * 11, 1, None]
    assert found["recall_clean"] == [1] * 6 + [1 / 2] * 12 + [0]
    scores = metric.compute()
    assert (max(found["f"]), max(found["f_clean"])) == (scores["maxF"], scores["maxF_clean"])


def test_no_salient_pixel_is_zero() -> None:
    assert scores([0.2, 0.8], [0, 0])["maxF"] == 0


def test_nothing_valid_is_nan() -> None:
    assert all(math.isnan(value) for value in scores([0.2], [math.nan]).values())


@pytest.mark.parametrize("high", [1.0, 254 / 255, 0.9])
def test_soft_truth_counts_from_one_half_on(high: float) -> None:
    """A perfect prediction of an antialiased mask, or of one that is stored with 254, is perfect."""
    truth = [0.0, 0.004, 0.3, 0.49, 0.5, 0.7, high, high]
    found = scores(truth, truth)
    assert found["maxF_clean"] == pytest.approx(1)
    assert found["mae"] == 0
    assert scores([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], truth)["maxF"] == pytest.approx(1)
