"""A kind of tasks that is defined in this file alone, from the description of a folder to the evaluation.

Directions in a picture, 0 to 360 degrees, stored in 8 bits as v·360/255, where 255 degrees is a value like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from bridgenet import UserError, data, tasks
from bridgenet.data.checks.check import check
from bridgenet.data.pipeline.batches import to_device
from bridgenet.data.pipeline.loading import evaluation_loader, training_loader
from bridgenet.evaluation.baseline import constant_logits, evaluate_constant
from bridgenet.imaging.drawing import Key
from bridgenet.imaging.writing import write_npy
from bridgenet.losses import MultiTaskLoss
from bridgenet.metrics.base import PixelMetric, masked, pooled_count, pooled_sum, ratio, valid_mask
from bridgenet.prediction.result import Prediction
from bridgenet.tasks import kinds, registry
from bridgenet.tasks.constants import Mean
from bridgenet.tasks.kinds.labels import single

HERE = __name__
SIZE = (32, 48)


def apart(one: Any, other: Any) -> Any:
    """The smaller angle between two directions [deg]."""
    return 180 - abs(abs(one - other) % 360 - 180)


def loss(logits: Tensor, target: Tensor, *, mean_over_processes: Callable[[Tensor], Tensor] = lambda x: x) -> Tensor:
    valid = ~target.isnan()
    difference = apart(logits, torch.where(valid, target, 0)) * valid
    return difference.sum() / mean_over_processes(valid.sum().float()).clamp(min=1)


def decode(logits: Tensor) -> Tensor:
    return logits[:, 0] % 360


class Error(PixelMetric):
    """`angle` [deg], the mean."""

    image_score = "angle"

    def __init__(self, num_outputs: int = 1) -> None:
        super().__init__(num_outputs)
        for name in ("total", "pixels"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def decode(self, logits: Tensor) -> Tensor:
        return decode(logits)

    def sums(self, target: Tensor, prediction: Tensor) -> dict[str, Tensor]:
        valid = valid_mask(target[0])
        prediction, truth = masked(valid, prediction, target[0])
        return {"total": pooled_sum(apart(prediction, truth) * valid), "pixels": pooled_count(valid)}

    def scores(self, sums: dict[str, Tensor]) -> dict[str, float]:
        return {"angle": ratio(sums["total"], sums["pixels"])}


class Angle(kinds.Kind):
    name = "angle"
    defaults = {
        "loss": f"{HERE}:loss",
        "metric": f"{HERE}:Error",
        "headline": "angle",
        "headline_title": "angle",
        "higher_is_better": False,
        "decode": f"{HERE}:decode",
        "unit": "deg",
        "num_outputs": 1,
    }
    array_decodings = {f"{HERE}:decode": lambda logits: logits % 360}

    def read(self, labels: Any, path: Path, stored: np.ndarray) -> np.ndarray:
        values = single(path, stored).astype(np.float32) * np.float32(360 / 255)
        values[labels.ignored(stored)] = self.unknown
        return values

    def describe(self, task: Any, found: Any, num_classes: int) -> str:
        return f"{found.low:.0f}° to {found.high:.0f}°"

    def best_constant(self, num_outputs: int) -> Any:
        return Mean(1)

    def write(self, folder: Path, name: str, values: np.ndarray, num_names: int) -> None:
        write_npy(folder / f"{name}_deg.npy", values)

    def example(self, num_outputs: int, patches: Any, noise: Any) -> tuple[Tensor, Tensor]:
        target = 360 * patches(1)
        return (target + noise(1))[:, 0], target

    def value_unit(self, task: Any) -> str:
        return "°"

    def colourise(self, values: np.ndarray, value_range: Any) -> np.ndarray:
        hue = np.nan_to_num(values / 2)
        colours = cv2.cvtColor(
            np.stack([hue, *[np.full_like(hue, 255)] * 2], axis=2).astype(np.uint8), cv2.COLOR_HSV2RGB
        )
        return np.where(self.known(values)[..., None], colours, np.uint8(0))

    def key(self, task: Any, maps: Sequence[Any], names: Any, most: int, value_range: Any) -> Key:
        return Key(bar=("hsv", (0, 360), "°"))

    def errors(self, task: Any, prediction: Any, truth: Any, known: Any) -> tuple[Any, float, tuple[str, str]]:
        return apart(prediction, truth), 180.0, ("0°", "180°")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The description of a folder whose images lack some labels: 9 stands for none."""
    kinds.register(Angle())
    before = dict(registry._TASKS)
    rng = np.random.default_rng(0)
    for name in ("images", "course"):
        (tmp_path / name).mkdir()
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"images/{number}.png"), rng.integers(256, size=(*SIZE, 3), dtype=np.uint8))
        stored = rng.choice(np.array([9, 51, 102], np.uint8), SIZE)
        cv2.imwrite(str(tmp_path / f"course/{number}.png"), stored)
    path = tmp_path / "winds.yaml"
    path.write_text("split: {val: 0.5}\nsize: [32, 48]\ntasks: {course: {kind: angle, ignore: [9]}}\n")
    yield path
    registry._TASKS.clear()
    registry._TASKS.update(before)
    del kinds._KINDS["angle"]


def opened(path: Path, split: str) -> data.DenseDataset:
    return data.get(str(path))("", split)


def test_labels_become_targets_that_teach(folder: Path) -> None:
    dataset = opened(folder, "train")
    stored = cv2.imread(str(folder.parent / f"course/{dataset.ids[0]}.png"), cv2.IMREAD_UNCHANGED)
    target = dataset.load(0)["course"][..., 0]
    np.testing.assert_array_equal(np.isnan(target), stored == 9)
    assert set(np.unique(target[stored != 9])) == {72, 144}
    (batch,) = training_loader(dataset, size=(24, 32), batch_size=2, seed=0, num_workers=0, start_step=0, end_step=1)
    targets = to_device(batch, "cpu", ["course"])
    logits = {"course": torch.full((2, 1, 24, 32), 432.0, requires_grad=True)}  # 72 degrees once around

    class Output:
        logits = {"course": torch.full((2, 1, 24, 32), 432.0, requires_grad=True)}
        intermediate_logits: dict[str, Tensor] = {}

    terms = MultiTaskLoss(["course"])(Output(), targets)  # type: ignore[arg-type]
    values = targets["course"][~targets["course"].isnan()]
    assert terms.total.item() == pytest.approx((72 * (values == 144).float().mean()).item(), rel=1e-5)
    terms.total.backward()
    metric = tasks.resolve(tasks.get("course").metric)(1)
    metric.update(logits["course"].detach(), targets["course"])
    assert metric.compute()["angle"] == pytest.approx(terms.total.item(), rel=1e-5)


def test_predictions_are_enlarged_drawn_and_written(folder: Path, tmp_path: Path) -> None:
    opened(folder, "train")
    task = tasks.get("course")
    logits = torch.linspace(0, 400, 6).view(1, 1, 2, 3)
    large = task.kind.enlarge(task, logits, SIZE)
    np.testing.assert_allclose(task.kind.enlarge_array(task, logits[0].numpy(), SIZE), large, atol=1e-3)
    image = np.zeros((*SIZE, 3), np.uint8)
    written = Prediction(image, {"course": large}).save(tmp_path / "out", ("raw", "colour", "overlay", "panel"))
    assert [path.name for path in written] == ["course_colour.png", "course_deg.npy", "course_overlay.png", "panel.png"]
    np.testing.assert_array_equal(np.load(tmp_path / "out/course_deg.npy"), large)
    drawn = task.kind.error_map(task, np.array([[10.0, 350.0, 5.0]]), np.array([[10.0, 10.0, np.nan]]))
    assert drawn.ends == ("0°", "180°")
    assert drawn.picture[0, 0].sum() < drawn.picture[0, 1].sum()


def test_checked_and_evaluated(folder: Path) -> None:
    report = check(str(folder), "", workers=1)
    assert not report.faults and "72° to 144°" in report.text()
    train, val = opened(folder, "train"), opened(folder, "val")
    logits = constant_logits(train)
    assert 72 < logits["course"].item() < 144
    scores = evaluate_constant(logits, val, SIZE)
    assert 30 < scores["course"]["angle"] < 42  # half of the pixels are 36 away on either side
    (batch,) = evaluation_loader(val, size=(40, 48), batch_size=2, num_workers=0)
    assert to_device(batch, "cpu", ["course"])["course"][:, :, :4].isnan().all()


def test_a_name_is_given_once(folder: Path) -> None:
    class Other(Angle):
        pass

    assert kinds.register(Angle()) == "angle"
    with pytest.raises(UserError, match="the kind 'angle' is known already"):
        kinds.register(Other())
