from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bridgenet.metrics import Edge


def pixels(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_by_hand() -> None:
    metric = Edge(1)
    metric.update(pixels(2.0, -1.0, 50.0), pixels(1, 0, math.nan))
    p, q = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(1))
    found = metric.compute()
    assert found["loss"] == pytest.approx((0.95 * softplus(-p) + 0.05 * softplus(q)) / 2)
    assert found["loss_clean"] == pytest.approx((0.95 * -math.log(p) + 0.05 * -math.log(1 - q)) / 2)


def test_probabilities_give_the_same() -> None:
    logits, target = pixels(2.0, -1.0, 0.3), pixels(1, 0, 0)
    one, other = Edge(1), Edge(1)
    one.update(logits, target)
    other.update_decoded(logits.sigmoid()[:, 0], target)
    assert one.compute() == pytest.approx(other.compute())


def test_certain_probabilities_stay_finite() -> None:
    metric = Edge(1)
    metric.update_decoded(torch.tensor([[[0.0, 1.0]]]), pixels(1, 0))
    assert metric.compute()["loss_clean"] == pytest.approx((0.95 + 0.05) * 7 * math.log(10) / 2, rel=0.02)


def test_nothing_valid_is_nan() -> None:
    metric = Edge(1)
    metric.update(pixels(1.0), pixels(math.nan))
    assert all(math.isnan(value) for value in metric.compute().values())
