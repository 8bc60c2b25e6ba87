"""Cityscapes in the official layout: a tiny folder read, numbers by hand, wrong files, the protocol's smaller images."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from bridgenet import data
from bridgenet.config.resolved import network_size, shrink_of
from bridgenet.config.settings import DataSettings, RunConfig
from bridgenet.data.checks.check import check
from bridgenet.data.pipeline.loading import evaluation_loader, training_loader
from bridgenet.data.pipeline.views import View
from bridgenet.data.published.cityscapes import CLASS_NAMES, LABELS, TRAIN_IDS, Cityscapes
from bridgenet.errors import UserError
from tests.data.layouts import CITYSCAPES_IDS, make_cityscapes, write

FIRST = "train/ulm/ulm_000000_000019"
LABEL_IDS, TRAIN_ID_FILE = f"gtFine/{FIRST}_gtFine_labelIds.png", f"gtFine/{FIRST}_gtFine_labelTrainIds.png"
DISPARITY = f"disparity/{FIRST}_disparity.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_cityscapes(tmp_path)


def first(folder: Path, task: str) -> np.ndarray:
    return Cityscapes(folder.parent, "train", [task]).load(0)[task][..., 0]


def faults(folder: Path) -> list[str]:
    return [fault.text.removeprefix(f"{folder}/") for fault in check("cityscapes", folder.parent, workers=1).faults]


def test_info() -> None:
    info = data.info("cityscapes")
    assert info.num_outputs == {"semseg": 19, "disparity": 1}
    assert info.size == info.image_size == (1024, 2048)
    assert info.shrink == 2
    assert network_size(RunConfig(data=DataSettings(name="cityscapes"))) == (512, 1024)
    assert shrink_of(RunConfig(data=DataSettings(name="cityscapes", shrink=1))) == 1


def test_train_ids_of_the_official_list() -> None:
    assert (
        *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
        *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
    ) == CLASS_NAMES
    evaluated = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert TRAIN_IDS[evaluated].tolist() == list(range(19))
    assert (TRAIN_IDS != 255).sum() == 19
    assert [label_id for label_id, _ in LABELS.values()] == list(range(34))


def test_ids_name_the_city(folder: Path) -> None:
    for split, ids in CITYSCAPES_IDS.items():
        assert Cityscapes(folder.parent, split).ids == ids
    sample = Cityscapes(folder.parent, "val").load(1)
    assert {name: array.shape for name, array in sample.items()} == {
        "image": (8, 16, 3),
        "semseg": (8, 16, 1),
        "disparity": (8, 16, 1),
    }
    assert all(array.dtype == np.float32 for array in sample.values())


def test_label_ids_become_train_ids(folder: Path) -> None:
    stored = np.zeros((8, 16), np.uint8)
    stored[0, :6] = 7, 23, 33, 29, 6, 31  # road, sky, bicycle, caravan, ground, train
    write(folder / LABEL_IDS, stored)
    assert first(folder, "semseg")[0, :7].tolist() == [0, 10, 18, 255, 255, 16, 255]


def test_train_ids_that_are_there_already_are_taken(folder: Path) -> None:
    stored = np.full((8, 16), 255, np.uint8)
    stored[0, :3] = 0, 10, 18
    write(folder / TRAIN_ID_FILE, stored)
    assert first(folder, "semseg")[0, :4].tolist() == [0, 10, 18, 255]
    (folder / LABEL_IDS).unlink()
    assert Cityscapes(folder.parent, "train").ids == CITYSCAPES_IDS["train"]


def test_disparity_by_hand(folder: Path) -> None:
    labels, stored = np.full((8, 16), 7, np.uint8), np.zeros((8, 16), np.uint16)
    stored[0, :6] = 0, 1, 257, 6401, 65281, 65535
    stored[1, :2] = 0, 6401
    labels[1, :2] = 23  # sky
    write(folder / LABEL_IDS, labels)
    write(folder / DISPARITY, stored)
    found = first(folder, "disparity")
    assert np.isnan(found[0, 0])  # not measured
    assert found[0, 1:6].tolist() == [0, 1, 25, 255, 65534 / 256]
    assert found[1, :2].tolist() == [0, 0]


def test_batches_show_smaller_images_and_whole_labels(folder: Path) -> None:
    dataset = Cityscapes(folder.parent, "train")
    (batch,) = evaluation_loader(dataset, size=(8, 16), batch_size=3, num_workers=0, shrink=2)
    assert batch["image"].shape == (3, 3, 4, 8)
    assert batch["semseg"].shape == batch["disparity"].shape == (3, 1, 8, 16)
    photo = dataset.load_image(0).astype(np.float32)
    np.testing.assert_allclose(  # at half the size the bilinear value is the mean of four
        batch["image"][0].permute(1, 2, 0), photo.reshape(4, 2, 8, 2, 3).mean(axis=(1, 3)), atol=1e-3
    )
    assert batch["place"][0].tolist() == [0, 0, 4, 8]


def test_training_without_augmentation_shows_what_evaluation_shows(folder: Path) -> None:
    dataset = Cityscapes(folder.parent, "train")
    options = {"size": (8, 16), "batch_size": 1, "num_workers": 0, "shrink": 2}
    (seen,) = training_loader(dataset, **options, seed=0, start_step=0, end_step=1, augment=False)  # type: ignore[arg-type]
    shown = {batch["id"][0]: batch for batch in evaluation_loader(dataset, **options)}[seen["id"][0]]  # type: ignore[arg-type]
    for name in ("image", "semseg", "disparity"):
        torch.testing.assert_close(seen[name], shown[name], rtol=0, atol=0, equal_nan=True)


def test_augmented_disparity_grows_with_the_image() -> None:
    target = np.array([[[4.0], [0.0], [np.nan]]], np.float32)
    enlarged = View.whole((1, 3), factor=2.0).target("disparity", target)[0, :, 0]
    np.testing.assert_array_equal(enlarged, [8, 8, 0, 0, np.nan, np.nan])  # what is not known stays unknown


@pytest.mark.parametrize("size", [(8, 15), (7, 16)])
def test_a_size_that_shrinking_does_not_divide_is_refused(folder: Path, size: tuple[int, int]) -> None:
    with pytest.raises(UserError, match=r"both sides must be\s+divisible by 2"):
        evaluation_loader(Cityscapes(folder.parent, "train"), size=size, batch_size=1, num_workers=0, shrink=2)


def test_check_finds_every_wrong_file(folder: Path) -> None:
    (folder / "scenes.json").write_text("{}")  # neither counts nor sizes are looked at
    assert faults(folder) == []
    stored = np.full((8, 16), 7, np.uint8)
    stored[0, 0] = 40
    write(folder / LABEL_IDS, stored)
    write(folder / DISPARITY.replace("ulm_000000", "ulm_000001"), np.full((8, 16), 9, np.uint8))
    (folder / DISPARITY.replace("train/ulm/ulm_", "val/bonn/bonn_")).unlink()
    found = faults(folder)
    assert any("ulm_000000_000019_gtFine_labelIds.png: found the label(s) 40, expected 0..33" in text for text in found)
    assert any(
        "ulm_000001_000019_disparity.png: found 1 channel(s) of 8 bit, expected one of 16 bits" in text
        for text in found
    )
    assert any("bonn_000000_000019_disparity.png is missing" in text for text in found)


def test_train_id_out_of_range(folder: Path) -> None:
    write(folder / TRAIN_ID_FILE, np.full((8, 16), 19, np.uint8))
    with pytest.raises(UserError, match=r"labelTrainIds.png: found the label\(s\) 19, expected 0..18 and 255"):
        first(folder, "semseg")


def test_missing_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no Cityscapes data at .*looked for leftImg8bit/train"):
        Cityscapes(tmp_path / "elsewhere", "train")
    shutil.rmtree(folder / "gtFine/train/zug")
    with pytest.raises(UserError, match=r"gtFine/train/zug/zug_000000_000019"):
        Cityscapes(folder.parent, "train")
    shutil.rmtree(folder / "leftImg8bit/val")
    (folder / "leftImg8bit/val").mkdir()
    with pytest.raises(UserError, match=r"holds no CITY/\*_leftImg8bit.png"):
        Cityscapes(folder.parent, "val")
    assert any("holds no CITY" in text for text in faults(folder))
