from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bridgenet import data
from bridgenet.data import NYUDv2, data_root
from bridgenet.errors import UserError
from tests.data.layouts import make_nyud, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_nyud(tmp_path)


def first(folder: Path, task: str) -> np.ndarray:
    return NYUDv2(folder.parent, "train", [task]).load(0)[task]


def test_info() -> None:
    info = data.info("nyud")
    assert info.num_outputs == {"semseg": 40, "depth": 1, "normals": 3, "edge": 1}
    assert info.class_names["semseg"][0] == "wall"
    assert info.size == (448, 576)


def test_unknown_data_set_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'nyu' is not a data set \(did you mean nyud\?\)"):
        data.info("nyu")


def test_splits_and_shapes(folder: Path) -> None:
    assert NYUDv2(folder.parent, "val").ids == ["0004", "0005"]
    train = NYUDv2(folder.parent, "train", ["edge", "semseg"])
    assert len(train) == 3
    sample = train.load(2)
    assert list(sample) == ["image", "semseg", "edge"]
    assert sample["image"].shape == (8, 10, 3)
    assert all(array.dtype == np.float32 for array in sample.values())


def test_semseg_counts_from_one_and_zero_is_ignored(folder: Path) -> None:
    stored = np.zeros((8, 10), np.uint8)
    stored[0, :2] = 1, 40
    write(folder / "segmentation/0001.png", stored)
    target = first(folder, "semseg")
    assert target[0, :3, 0].tolist() == [0, 39, 255]


def test_normals_span_minus_one_to_one(folder: Path) -> None:
    write(folder / "normals/0001.png", np.full((8, 10, 3), (0, 255, 51), np.uint8))
    np.testing.assert_allclose(first(folder, "normals")[3, 4], (-1, 1, -0.6), atol=1e-6)


def test_depth_may_have_a_channel_axis(folder: Path) -> None:
    write(folder / "depth/0001.npy", np.full((8, 10, 1), 2.5))
    target = first(folder, "depth")
    assert target.shape == (8, 10, 1)
    assert target.dtype == np.float32
    assert (target == 2.5).all()


def test_boundary_labels_are_the_edge_picture(folder: Path) -> None:
    stored = np.zeros((8, 10), np.uint8)
    stored[2] = 255
    write(folder / "edge/0001.png", stored)
    np.testing.assert_array_equal(NYUDv2(folder.parent, "train").boundary_labels(0), stored)


def test_target_of_another_size_is_resized(folder: Path) -> None:
    stored = np.repeat(np.repeat(np.arange(1, 21, dtype=np.uint8).reshape(4, 5), 4, axis=0), 4, axis=1)
    write(folder / "segmentation/0001.png", stored)
    expected = np.repeat(np.repeat(np.arange(20).reshape(4, 5), 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(first(folder, "semseg")[..., 0], expected)


def test_normals_of_another_size_are_resized_by_cubic_interpolation(folder: Path) -> None:
    step = np.zeros((4, 5, 3), np.uint8)
    step[:, 3:] = 255
    write(folder / "normals/0001.png", step)
    target = first(folder, "normals")
    assert len(np.unique(target[0, :, 0])) > 2
    assert target.max() > 1  # a cubic overshoots at a step


def test_rounded_size_is_accepted_but_not_another_shape(folder: Path) -> None:
    write(folder / "segmentation/0001.png", np.ones((4, 6), np.uint8))
    assert first(folder, "semseg").shape == (8, 10, 1)
    path = write(folder / "segmentation/0001.png", np.ones((10, 8), np.uint8))
    with pytest.raises(UserError, match=f"{path}: found 10×8 pixels for an image of 8×10"):
        first(folder, "semseg")


def test_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        NYUDv2(tmp_path / "dta", "train")
    assert str(error.value) == (
        f"no NYUD-v2 data at {tmp_path}/dta/NYUDv2 (looked for gt_sets/train.txt). "
        "Give --data.root or set BRIDGENET_DATA; to try without data: bridgenet demo"
    )


def test_root_that_is_the_data_set_itself_is_recognised(folder: Path) -> None:
    with pytest.raises(UserError, match=f"{folder} is that folder itself: give {folder.parent}"):
        NYUDv2(folder, "train")


def test_data_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BRIDGENET_DATA", str(tmp_path))
    assert data_root() == tmp_path
    assert data_root("other") == Path("other")
    monkeypatch.delenv("BRIDGENET_DATA")
    with pytest.raises(UserError, match=r"Give --data.root or set BRIDGENET_DATA"):
        data_root(None)


def test_wrong_split_task_and_empty_list(folder: Path) -> None:
    with pytest.raises(UserError, match="'test' is not a split"):
        NYUDv2(folder.parent, "test")
    with pytest.raises(UserError, match="NYUD-v2 has no human_parts"):
        NYUDv2(folder.parent, "train", ["semseg", "human_parts"])
    (folder / "gt_sets/train.txt").write_text("\n")
    with pytest.raises(UserError, match=r"train.txt is empty"):
        NYUDv2(folder.parent, "train")


def test_missing_files_are_counted_and_named_at_once(folder: Path) -> None:
    for sample_id in ("0001", "0003"):
        (folder / f"depth/{sample_id}.npy").unlink()
    with pytest.raises(UserError, match=r"2 of 3 train files for depth are missing: depth/0001.npy, depth/0003.npy\."):
        NYUDv2(folder.parent, "train")
    shutil.rmtree(folder / "normals")
    assert len(NYUDv2(folder.parent, "train", ["semseg", "edge"])) == 3


def test_file_that_vanishes_later_is_named(folder: Path) -> None:
    dataset = NYUDv2(folder.parent, "train")
    (folder / "edge/0001.png").unlink()
    with pytest.raises(UserError, match=r"edge/0001.png is missing"):
        dataset.load(0)


@pytest.mark.parametrize("name", ["images/0001.png", "normals/0001.png", "depth/0001.npy"])
def test_truncated_file_is_named(folder: Path, name: str) -> None:
    path = folder / name
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(UserError, match=f"{path} cannot be read: .+"):
        NYUDv2(folder.parent, "train").load(0)


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_file_of_another_kind_is_named(folder: Path, content: bytes) -> None:
    path = folder / "segmentation/0001.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{path} cannot be read: it is no PNG file\. Unpack"):
        first(folder, "semseg")


def spoil(value: float) -> Callable[[], np.ndarray]:
    def depth() -> np.ndarray:
        array = np.ones((8, 10), np.float32)
        array[1, 1] = value
        return array

    return depth


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("segmentation/0001.png", lambda: np.full((8, 10), 41, np.uint8), r"found the label\(s\) 41, expected 0..40"),
        ("segmentation/0001.png", lambda: np.ones((8, 10, 3), np.uint8), r"found 3 channel\(s\).*expected 1"),
        ("edge/0001.png", lambda: np.ones((8, 10), np.uint16), r"found 1 channel\(s\) of 16 bit, expected 1 of 8 bit"),
        ("normals/0001.png", lambda: np.ones((8, 10), np.uint8), r"found 1 channel\(s\).*expected 3"),
        ("depth/0001.npy", spoil(np.nan), "1 depth values are not finite"),
        ("depth/0001.npy", spoil(np.inf), "1 depth values are not finite"),
        ("depth/0001.npy", spoil(-0.5), "found depth -0.5 m, expected >= 0"),
        ("depth/0001.npy", lambda: np.ones((8, 10, 3)), r"shape \(8, 10, 3\)"),
        ("depth/0001.npy", lambda: np.full((8, 10), "far"), "expected .* of metres"),
    ],
)
def test_wrong_content_is_named(folder: Path, name: str, array: Callable[[], np.ndarray], message: str) -> None:
    path = write(folder / name, array())
    with pytest.raises(UserError, match=f"{path}: .*{message}"):
        NYUDv2(folder.parent, "train").load(0)
