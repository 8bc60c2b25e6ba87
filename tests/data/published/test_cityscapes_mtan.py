"""MTAN's arrays of Cityscapes: a tiny folder read, both sets of classes, wrong arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridgenet import data
from bridgenet.data.checks.check import check
from bridgenet.data.pipeline.transforms import EvaluationTransform
from bridgenet.data.published.cityscapes_mtan import CATEGORY_OF, CityscapesMTAN, CityscapesMTAN19
from bridgenet.errors import UserError
from tests.data.layouts import make_cityscapes_mtan, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_cityscapes_mtan(tmp_path)


def first(folder: Path, task: str, kind: type[CityscapesMTAN] = CityscapesMTAN) -> np.ndarray:
    return kind(folder.parent, "train", [task]).load(0)[task][..., 0]


def test_info() -> None:
    seven, nineteen = data.info("cityscapes_mtan"), data.info("cityscapes_mtan19")
    assert seven.num_outputs == {"semseg": 7, "inverse_depth": 1}
    assert nineteen.num_outputs == {"semseg": 19, "inverse_depth": 1}
    assert seven.size == nineteen.size == (128, 256)
    assert seven.shrink == 1
    assert [seven.class_names["semseg"][place] for place in (CATEGORY_OF[0], CATEGORY_OF[10], CATEGORY_OF[18])] == [
        "flat",
        "sky",
        "vehicle",
    ]


def test_both_splits_have_an_array_of_the_same_number(folder: Path) -> None:
    train, val = CityscapesMTAN(folder.parent, "train"), CityscapesMTAN(folder.parent, "val")
    assert (train.ids, val.ids) == (["train/0", "train/1"], ["val/0"])
    assert val.image_path(0) == folder / "val/image/0.npy"
    assert val.target_paths("semseg", 0) == [folder / "val/label_7/0.npy"]
    assert {name: array.shape for name, array in val.load(0).items()} == {
        "image": (8, 16, 3),
        "semseg": (8, 16, 1),
        "inverse_depth": (8, 16, 1),
    }


def test_numbers_count_as_numbers(folder: Path) -> None:
    for kind in ("image", "label_7", "label", "depth"):
        (folder / f"train/{kind}/0.npy").rename(folder / f"train/{kind}/10.npy")
    assert CityscapesMTAN(folder.parent, "train").ids == ["train/1", "train/10"]


def test_image_in_eight_bits(folder: Path) -> None:
    stored = np.zeros((8, 16, 3))
    stored[0, :3] = (0, 0.5, 1), (1 / 255, 1.4 / 255, 1.6 / 255), (1, 1, 1)
    write(folder / "train/image/0.npy", stored)
    image = CityscapesMTAN(folder.parent, "train").load_image(0)
    assert image.dtype == np.uint8
    assert image[0, :3].tolist() == [[0, 128, 255], [1, 1, 2], [255, 255, 255]]


@pytest.mark.parametrize(("kind", "name", "classes"), [(CityscapesMTAN, "label_7", 7), (CityscapesMTAN19, "label", 19)])
def test_what_is_no_class_is_ignored(folder: Path, kind: type[CityscapesMTAN], name: str, classes: int) -> None:
    stored = np.zeros((8, 16), np.float32)
    stored[0, :4] = -1, classes - 1, classes, 255
    write(folder / f"train/{name}/0.npy", stored)
    assert first(folder, "semseg", kind)[0, :5].tolist() == [255, classes - 1, 255, 255, 0]


def test_unknown_inverse_depth_is_ignored(folder: Path) -> None:
    stored = np.full((8, 16), 0.25)
    stored[0, 0] = 0
    write(folder / "train/depth/0.npy", stored)
    sample = CityscapesMTAN(folder.parent, "train").load(0)
    target = EvaluationTransform((10, 16), ["inverse_depth"])(sample)["inverse_depth"][0]
    assert np.isnan(target[1, 0]) and target[1, 1] == 0.25
    assert np.isnan(target[[0, -1]]).all()  # padding


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("depth", np.full((8, 16), np.nan), "128 values are not finite"),
        ("depth", np.full((8, 16), -0.1), r"found -0.1..-0.1, expected \(H, W\) inverse depths of 0"),
        ("depth", np.full((8, 16), 300.0), "found 300..300"),
        ("depth", np.zeros((8, 16, 2)), r"array of shape \(8, 16, 2\)"),
        ("label_7", np.full((8, 16), "road"), "numbers of type <U4"),
        ("image", np.zeros((3, 8, 16)), r"array of shape \(3, 8, 16\), expected \(H, W, 3\)"),
        ("image", np.full((8, 16, 3), 200.0), "found values 200..200"),
    ],
)
def test_wrong_arrays_are_named(folder: Path, name: str, array: np.ndarray, words: str) -> None:
    path = write(folder / f"train/{name}/0.npy", array)
    with pytest.raises(UserError, match=words) as error:
        CityscapesMTAN(folder.parent, "train").load(0)
    assert str(error.value).startswith(f"{path}: ")


def test_check_finds_every_wrong_file(folder: Path) -> None:
    (folder / "scenes.json").write_text("{}")  # neither counts nor sizes are looked at
    assert check("cityscapes_mtan", folder.parent, workers=1).faults == []
    write(folder / "train/depth/1.npy", np.full((8, 16), np.nan))
    (folder / "val/label_7/0.npy").unlink()
    found = [fault.text for fault in check("cityscapes_mtan", folder.parent, workers=1).faults]
    assert any("train/depth/1.npy: 128 values are not finite" in text for text in found)
    assert any("val/label_7/0.npy is missing" in text for text in found)


def test_missing_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no Cityscapes, MTAN's arrays, 7 classes data at .*looked for train/image"):
        CityscapesMTAN(tmp_path / "elsewhere", "train")
    for path in (folder / "val/image").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"holds no N.npy"):
        CityscapesMTAN(folder.parent, "val")
