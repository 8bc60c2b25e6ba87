from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bridgenet import losses
from bridgenet.metrics import Disparity, InverseDepth, Segmentation
from bridgenet.tasks import decoding


def pixels(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def test_disparity_by_hand() -> None:
    metric = Disparity()
    metric.update(
        pixels(3.0, 10.0, 79.0, 9.0, 9.0, 9.0, 9.0),
        pixels(1.0, 14.0, 79.5, 0.0, 80.0, math.nan, 255.0),  # the sky, too near, unknown, too near
    )
    found = metric.compute()
    assert found["rmse"] == pytest.approx(math.sqrt((4 + 16 + 0.25) / 3))
    assert found["mae"] == pytest.approx((2 + 4 + 0.5) / 3)
    assert found["abs_rel"] == pytest.approx((2 / 1 + 4 / 14 + 0.5 / 79.5) / 3)


def test_inverse_depth_by_hand() -> None:
    metric = InverseDepth()
    metric.update(pixels(0.3, 0.1, 9.0, 9.0), pixels(0.2, 0.4, 0.0, math.nan))
    found = metric.compute()
    assert found["abs_err"] == pytest.approx((0.1 + 0.3) / 2)
    assert found["rel_err"] == pytest.approx((0.1 / 0.2 + 0.3 / 0.4) / 2)


@pytest.mark.parametrize("kind", [Disparity, InverseDepth])
def test_pixels_are_pooled_over_images_and_scored_by_image(kind: type[Disparity]) -> None:
    metric = kind()
    metric.update(
        torch.tensor([[1.0, 1.0, 1.0], [4.0, 0.0, 0.0]]).view(2, 1, 1, 3),
        torch.tensor([[2.0, 2.0, 2.0], [2.0, math.nan, math.nan]]).view(2, 1, 1, 3),
    )
    headline = kind.image_score
    assert [row[headline] for row in metric.per_image()] == pytest.approx([1, 2])
    pooled = {"rmse": math.sqrt((3 + 4) / 4), "abs_err": (3 + 2) / 4}
    assert metric.compute()[headline] == pytest.approx(pooled[headline])


@pytest.mark.parametrize("kind", [Disparity, InverseDepth])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_ignored_pixels_take_no_part(kind: type[Disparity], bad: float) -> None:
    metric = kind()
    metric.update(pixels(1.0, bad, bad), pixels(1.0, math.nan, 0.0))
    assert all(value == 0 for value in metric.compute().values())


def test_negative_predictions_count_as_zero() -> None:
    metric = Disparity()
    metric.update(pixels(-5.0), pixels(2.0))
    assert metric.compute()["mae"] == pytest.approx(2)


@pytest.mark.parametrize("kind", [Disparity, InverseDepth])
def test_nothing_valid_is_nan(kind: type[Disparity]) -> None:
    metric = kind()
    metric.update(pixels(1.0), pixels(0.0))
    assert all(math.isnan(value) for value in metric.compute().values())


def test_logits_are_enlarged_to_targets_of_twice_the_size() -> None:
    """Along a row of 0 and 4 bilinear values at the finer pixels' centres are 0, 1, 3, 4."""
    logits, target = {"disparity": torch.tensor([[[[0.0, 4.0]]]])}, {"disparity": torch.full((1, 1, 2, 4), 2.0)}
    enlarged = decoding.enlarged(logits, target)["disparity"]
    assert enlarged[0, 0].tolist() == [[0, 1, 3, 4]] * 2
    metric = Disparity()
    metric.update(enlarged, target["disparity"])
    assert metric.compute()["mae"] == pytest.approx((2 + 1 + 1 + 2) / 4)


def test_loss_on_targets_of_twice_the_size() -> None:
    class Output:
        logits = {"disparity": torch.tensor([[[[0.0, 4.0]]]], requires_grad=True)}
        intermediate_logits = {"disparity": torch.tensor([[[[2.0, 2.0]]]])}

    target = torch.full((1, 1, 2, 4), 2.0)
    target[0, 0, 1] = math.nan
    terms = losses.MultiTaskLoss(["disparity"], {}, 0.5)(Output(), {"disparity": target})
    assert terms.final["disparity"].item() == pytest.approx((2 + 1 + 1 + 2) / 4)
    assert terms.intermediate["disparity"].item() == 0
    terms.total.backward()
    assert Output.logits["disparity"].grad is not None


def test_classes_are_those_of_enlarged_logits() -> None:
    """The arg max of enlarged logits, 3 pixels of one class and 1 of the other, not the enlarged arg max."""
    logits = {"semseg": torch.tensor([[[[6.0, 0.0]], [[0.0, 2.0]]]])}  # (1, 2, 1, 2)
    target = {"semseg": torch.tensor([[[[0.0, 0.0, 0.0, 1.0]]]])}
    enlarged = decoding.enlarged(logits, target)
    metric = Segmentation(2)
    metric.update(enlarged["semseg"], target["semseg"])
    assert metric.compute()["mIoU"] == 1


def test_logits_of_the_targets_size_are_not_touched() -> None:
    logits = {"semseg": torch.randn(1, 3, 4, 5), "disparity": torch.randn(1, 1, 4, 5)}
    same = decoding.enlarged(logits, {"semseg": torch.zeros(1, 1, 4, 5)})
    assert same["semseg"] is logits["semseg"] and same["disparity"] is logits["disparity"]
