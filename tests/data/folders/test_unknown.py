"""In real-valued targets unknown is NaN: 255 is a value like any other, from the file to the score."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bridgenet import data, losses
from bridgenet.data.pipeline.batches import collate, to_device
from bridgenet.data.pipeline.cache import open_cache
from bridgenet.data.pipeline.loading import TransformedDataset, evaluation_loader, training_loader
from bridgenet.data.pipeline.transforms import TrainingTransform
from bridgenet.metrics import Regression
from bridgenet.tasks import registry
from bridgenet.tasks.statistics import Statistics

SIZE = (32, 32)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Images that are labelled 255 but in their first row, where nothing is known."""
    before = dict(registry._TASKS)
    for name in ("images", "weight"):
        (tmp_path / name).mkdir()
    for number in range(4):
        Image.fromarray(np.full((*SIZE, 3), 40 * number, np.uint8)).save(tmp_path / f"images/{number}.png")
        labels = np.full(SIZE, 255, np.float32)
        labels[0] = np.nan
        np.save(tmp_path / f"weight/{number}.npy", labels)
    path = tmp_path / "weights.yaml"
    path.write_text("split: {val: 0.5}\nsize: [32, 32]\ntasks: {weight: {kind: regression, ignore: [nan], unit: kg}}\n")
    yield path
    registry._TASKS.clear()
    registry._TASKS.update(before)


def test_255_is_a_value_of_a_regression(folder: Path) -> None:
    source = data.get(str(folder))
    train, val = source("", "train"), source("", "val")
    (batch,) = training_loader(
        train, size=SIZE, batch_size=2, seed=0, num_workers=0, start_step=0, end_step=1, augment=False
    )
    (seen,) = evaluation_loader(val, size=(36, 32), batch_size=2, num_workers=0)
    target, padded = (to_device(x, "cpu", ["weight"])["weight"] for x in (batch, seen))
    assert target[:, :, 0].isnan().all() and (target[:, :, 1:] == 255).all()
    assert padded[:, :, :3].isnan().all() and padded[:, :, -2:].isnan().all()  # two rows of padding on either side
    logits = torch.full_like(target, 250, requires_grad=True)
    loss = losses.l1(logits, target)
    loss.backward()
    assert loss.item() == 5
    assert logits.grad is not None and logits.grad[:, :, 0].count_nonzero() == 0 and logits.grad[:, :, 1:].all()
    metric = Regression()
    metric.update(torch.full_like(padded, 252), padded)
    assert metric.compute() == {"mae": 3, "rmse": 3, "bias": -3}
    found = Statistics.of(registry.get("weight"), train.load(0)["weight"])
    assert (found.known, found.low, found.high) == (31 * 32, 255, 255)
    assert found.describe(registry.get("weight"), 1) == "255 to 255 kg, mean 255 kg"


def test_unknown_pixels_are_kept_on_disk(folder: Path, tmp_path: Path) -> None:
    dataset = data.get(str(folder))("", "train")
    for _ in range(2):
        cache = open_cache(dataset, "disk", tmp_path / "cache")
        assert cache is not None
        np.testing.assert_array_equal(cache.compact(0)["weight"], dataset.compact(0)["weight"])


def test_workers_need_no_registered_tasks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = data.get(str(folder))("", "train")
    here = TransformedDataset(dataset, TrainingTransform(SIZE, dataset.tasks, augment=False))
    expected, sent = here[0, 0]["weight"], pickle.dumps(here)
    published = {name: registry.get(name) for name in registry.BUILT_IN}
    monkeypatch.setattr(registry, "_TASKS", dict(published))  # as in a process that was not forked
    there = pickle.loads(sent)
    batch = collate([there[0, 0], there[0, 1]], there.transform.tasks)
    np.testing.assert_array_equal(batch["weight"][0], expected)
    assert there.dataset.load(0)["weight"].shape == (*SIZE, 1)
    assert published == registry._TASKS
