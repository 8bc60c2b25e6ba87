from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bridgenet.data import NYUDv2
from bridgenet.data.pipeline.loading import evaluation_loader, training_loader
from bridgenet.errors import UserError
from tests.data.layouts import make_nyud


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_nyud(tmp_path)


def train(folder: Path, **changes: Any) -> list[dict[str, Any]]:
    options = {"size": (6, 7), "batch_size": 2, "seed": 5, "num_workers": 0, "start_step": 0, "end_step": 4}
    return list(training_loader(NYUDv2(folder.parent, "train"), **{**options, **changes}))


def assert_equal(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> None:
    assert len(left) == len(right) > 0
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for key, value in a.items():
            assert torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key]


def test_training_batch(folder: Path) -> None:
    batch = train(folder, end_step=1)[0]
    assert list(batch) == ["image", "semseg", "depth", "normals", "edge", "place", "mirrored", "id", "size"]
    assert batch["image"].shape == (2, 3, 6, 7)
    assert batch["normals"].shape == (2, 3, 6, 7)
    assert {key: str(batch[key].dtype) for key in ("image", "semseg", "depth", "normals", "edge")} == {
        "image": "torch.uint8",
        "semseg": "torch.uint8",
        "depth": "torch.float32",
        "normals": "torch.uint8",
        "edge": "torch.uint8",
    }
    assert batch["size"].tolist() == [[8, 10]] * 2
    assert set(batch["id"]) <= {"0001", "0002", "0003"}


def test_workers_give_the_same_batches(folder: Path) -> None:
    assert_equal(train(folder), train(folder, num_workers=1))


def test_augmentation_follows_seed_epoch_and_sample(folder: Path) -> None:
    whole = train(folder)
    assert_equal(whole[2:], train(folder, start_step=2))
    halves = [train(folder, batch_size=1, world=2, rank=rank) for rank in range(2)]
    for batch, first, second in zip(whole, *halves, strict=True):
        assert torch.equal(batch["image"], torch.cat([first["image"], second["image"]]))
    seen = {(name, image.sum().item()) for batch in whole for name, image in zip(batch["id"], batch["image"].double())}
    assert len(seen) == 8  # the same sample looks different in each epoch


def test_loaders_leave_the_global_generator_alone(folder: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    train(folder, end_step=1)
    assert torch.equal(torch.rand(1), expected)


def test_evaluation_tells_where_the_image_lies(folder: Path) -> None:
    dataset = NYUDv2(folder.parent, "val")
    (batch,) = evaluation_loader(dataset, size=(11, 16), batch_size=6, num_workers=0)
    assert batch["id"] == ["0004", "0005"]
    assert batch["size"].tolist() == [[8, 10]] * 2
    assert batch["offset"].tolist() == [[1, 3]] * 2
    assert batch["place"].tolist() == [[1, 3, 8, 10]] * 2
    inside = batch["depth"][1, 0, 1:9, 3:13].numpy()
    np.testing.assert_array_equal(inside, dataset.load(1)["depth"][..., 0])


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_evaluation_shares_are_complete_without_repeats(folder: Path, world: int) -> None:
    dataset = NYUDv2(folder.parent, "train")
    shares = [
        [name for batch in loader for name in batch["id"]]
        for loader in (
            evaluation_loader(dataset, size=(8, 10), batch_size=2, num_workers=0, rank=rank, world=world)
            for rank in range(world)
        )
    ]
    assert sorted(itertools.chain.from_iterable(shares)) == dataset.ids
    assert max(map(len, shares)) - min(map(len, shares)) <= 2  # a batch


@pytest.mark.parametrize("num_workers", [0, 1])
def test_error_of_a_sample_arrives_in_plain_words(folder: Path, num_workers: int) -> None:
    dataset = NYUDv2(folder.parent, "val")
    path = folder / "segmentation/0004.png"
    path.write_bytes(b"")
    with pytest.raises(UserError) as expected:
        dataset.load(0)
    with pytest.raises(UserError) as error:
        list(evaluation_loader(dataset, size=(8, 10), batch_size=2, num_workers=num_workers))
    assert str(error.value) == str(expected.value)
    assert str(error.value).startswith(f"{path} cannot be read")


def test_image_larger_than_the_canvas_is_named(folder: Path) -> None:
    with pytest.raises(UserError, match=r"^0004: found 8×10 pixels.*--data.eval-size"):
        list(evaluation_loader(NYUDv2(folder.parent, "val"), size=(8, 9), batch_size=1, num_workers=0))
