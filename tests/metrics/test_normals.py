from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bridgenet.metrics import Normals
from bridgenet.tasks.decoding import normalise, unit_vector


def tilted(*degrees: float) -> Tensor:
    """(1, 3, 1, N) unit vectors, turned from the z axis."""
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.sin(), torch.zeros_like(angles), angles.cos()]).view(1, 3, 1, -1)


def test_by_hand() -> None:
    metric = Normals(3)
    target = tilted(0, 0, 0, 0, 0, 0)
    target[..., 5] = math.nan
    metric.update(7 * tilted(1, 20, 25, 50, 180, 90), target)  # length does not matter
    found = metric.compute()
    assert found["mean"] == pytest.approx((1 + 20 + 25 + 50 + 180) / 5)
    assert found["median"] == pytest.approx(25, abs=0.01)
    assert [found[f"within_{k}"] for k in ("11.25", "22.5", "30")] == pytest.approx([1 / 5, 2 / 5, 3 / 5])


def test_small_angles_are_exact() -> None:
    metric = Normals(3)
    metric.update(tilted(1e-4).float(), tilted(0).float())
    assert metric.compute()["mean"] == pytest.approx(1e-4, rel=1e-4)


def test_prediction_of_length_zero_is_a_right_angle() -> None:
    metric = Normals(3)
    metric.update(torch.zeros(1, 3, 1, 1), tilted(0))
    assert metric.compute()["mean"] == pytest.approx(90)


def test_median_agrees_with_numbers_in_full() -> None:
    angles = torch.rand(501, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 180
    metric = Normals(3)
    metric.update(tilted(*angles.tolist()), tilted(*[0.0] * 501))
    assert metric.compute()["median"] == pytest.approx(angles.median().item(), abs=0.0051)


def test_histogram_of_degrees() -> None:
    metric = Normals(3)
    target = tilted(0, 0, 0, 0, 0)
    target[..., 4] = math.nan
    metric.update(tilted(0, 0.5, 30.2, 180, 30.2), target)
    counts = metric.details()["angle_histogram"]
    assert len(counts) == 180
    assert {degree: count for degree, count in enumerate(counts) if count} == {0: 2, 30: 1, 179: 1}


@pytest.mark.parametrize("contiguous", [False, True])
def test_either_memory_layout(contiguous: bool) -> None:
    g = torch.Generator().manual_seed(0)
    logits, target = (torch.randn(2, 3, 5, 4, generator=g, dtype=torch.float64) for _ in range(2))
    target, prediction = normalise(target), unit_vector(logits)
    metric = Normals(3)
    metric.update_decoded(prediction.contiguous() if contiguous else prediction, target)
    expected = (prediction.permute(0, 3, 1, 2) * target).sum(dim=1).acos().rad2deg().mean().item()
    assert metric.compute()["mean"] == pytest.approx(expected)


def test_nothing_valid_is_nan() -> None:
    metric = Normals(3)
    metric.update(tilted(0), torch.full((1, 3, 1, 1), math.nan))
    assert all(math.isnan(value) for value in metric.compute().values())
