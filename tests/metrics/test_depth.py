from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from bridgenet.metrics import Depth


def pixels(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def test_by_hand() -> None:
    metric = Depth(1)
    metric.update(pixels(2.0, 1.0, 9.0, 9.0), pixels(1.5, 2.0, math.nan, 0.0))  # 0 holds no depth
    found = metric.compute()
    assert found["rmse"] == pytest.approx(math.sqrt((0.25 + 1) / 2))
    assert found["log_rmse"] == pytest.approx(math.sqrt((math.log(2 / 1.5) ** 2 + math.log(2) ** 2) / 2))
    assert found["abs_rel"] == pytest.approx((0.5 / 1.5 + 0.5) / 2)
    assert found["sq_rel"] == pytest.approx((0.25 / 1.5 + 0.5) / 2)
    # ratios 1.33 and 2, bounds 1.25, 1.5625, 1.953
    assert (found["delta1"], found["delta2"], found["delta3"]) == (0, 0.5, 0.5)


def test_predictions_of_zero_or_less_count_as_1e_9() -> None:
    metric = Depth(1)
    metric.update(pixels(0.0, -3.0), pixels(2.0, 2.0))
    found = metric.compute()
    assert found["rmse"] == pytest.approx(2)
    assert found["log_rmse"] == pytest.approx(math.log(2e9))
    assert found["delta3"] == 0


def test_histogram_of_ratios() -> None:
    ratios = torch.tensor([0.1, 0.81, 0.999, 1.001, 1.1, 1.24, 1.26, 3.0], dtype=torch.float64)
    metric = Depth(1)
    metric.update(pixels(*(4 * ratios).tolist(), 1.0), pixels(*[4.0] * 8, math.nan))
    found = metric.details()
    edges, counts = found["ratio_edges"], found["ratio_histogram"]
    assert (edges[0], edges[40], edges[-1]) == pytest.approx((1.25**-4, 1, 1.25**4))
    assert counts == np.histogram(ratios.numpy(), bins=[0, *edges, np.inf])[0].tolist()
    # the bins within a factor of 1.25
    assert sum(counts[31:51]) / sum(counts) == metric.compute()["delta1"] == 5 / 8


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_ignored_pixels_take_no_part(bad: float) -> None:
    metric = Depth(1)
    metric.update(pixels(1.0, bad), pixels(1.0, math.nan))
    found = metric.compute()
    assert found["rmse"] == 0 and found["delta1"] == 1


def test_nothing_valid_is_nan() -> None:
    metric = Depth(1)
    metric.update(pixels(1.0), pixels(math.nan))
    assert all(math.isnan(value) for value in metric.compute().values())
