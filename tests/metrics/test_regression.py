from __future__ import annotations

import math

import pytest
import torch

from bridgenet.metrics import Regression


def test_errors_by_hand() -> None:
    metric = Regression()
    logits = torch.tensor([[[[1.0, 2.0, -4.0, 7.0]]]])
    metric.update(logits, torch.tensor([[[[2.0, 2.0, -1.0, math.nan]]]]))
    found = metric.compute()
    assert found["mae"] == pytest.approx(4 / 3)
    assert found["rmse"] == pytest.approx(math.sqrt(10 / 3))
    assert found["bias"] == pytest.approx(-4 / 3)


def test_channels_are_pooled_and_may_lack_labels_one_by_one() -> None:
    metric = Regression(2)
    logits = torch.tensor([[[[1.0, 5.0]], [[3.0, 300.0]]]])  # (1, 2, 1, 2)
    target = torch.tensor([[[[0.0, 5.0]], [[math.nan, 296.0]]]])
    metric.update(logits, target)
    assert metric.compute()["mae"] == pytest.approx((1 + 0 + 4) / 3)
    assert metric.per_image()[0]["rmse"] == pytest.approx(math.sqrt((1 + 16) / 3))


def test_nothing_labelled_is_no_number() -> None:
    metric = Regression()
    metric.update(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), math.nan))
    assert math.isnan(metric.compute()["mae"])


def test_255_is_a_value() -> None:
    metric = Regression()
    metric.update(torch.tensor([[[[250.0, 1.0, 0.0]]]]), torch.tensor([[[[255.0, 1.0, math.nan]]]]))
    assert metric.compute()["mae"] == pytest.approx(5 / 2)
