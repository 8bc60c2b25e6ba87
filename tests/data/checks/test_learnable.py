"""Labels that teach nothing are told: the same value everywhere, or none in a split; and classes that there are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bridgenet
from bridgenet import data
from bridgenet.data.checks.check import check
from bridgenet.data.checks.coverage import unlearnable
from bridgenet.errors import UserError
from tests.data.layouts import write

YAML = """
name: dull
split: {train: train/, val: val/}
size: [32, 32]
tasks:
  semseg: {folder: labels, classes: [road, roof], ignore: [255]}
  dull_height: {kind: regression, folder: height, unit: m, ignore: [nan]}
"""


def make_dull(folder: Path, **of: Any) -> str:
    """A folder with these rows of labels by `TASKFOLDER_SPLIT`, by default with two values."""
    for split in ("train", "val"):
        for name in "ab":
            write(folder / f"images/{split}/{name}.png", np.zeros((32, 32, 3), np.uint8))
            labels = np.array(of.get(f"labels_{split}", [0, 1]), np.uint8)
            write(folder / f"labels/{split}/{name}.png", np.tile(labels, (32, 16)))
            height = np.array(of.get(f"height_{split}", [3.5, 7]), np.float32)
            write(folder / f"height/{split}/{name}.npy", np.tile(height, (32, 16)))
    (folder / "data.yaml").write_text(YAML)
    return str(folder / "data.yaml")


def told(path: str) -> tuple[list[str], list[str]]:
    """Faults of the check, and what is noted before training."""
    faults = [f"{fault.split} {fault.subject}: {fault.text}" for fault in check(path, workers=1).faults]
    return faults, [text for split in ("train", "val") for text in unlearnable(data.get(path)("", split))]


def test_labels_that_vary(tmp_path: Path) -> None:
    assert told(make_dull(tmp_path)) == ([], [])


def test_one_class_everywhere(tmp_path: Path) -> None:
    faults, before = told(make_dull(tmp_path, labels_train=[1, 255], labels_val=[1, 1]))
    text = "every pixel with a label has the same: roof. There is nothing to learn"
    assert faults == [f"both semseg: {text}"]
    assert before == [f"semseg, split train: {text}", f"semseg, split val: {text}"]


def test_one_height_everywhere(tmp_path: Path) -> None:
    path = make_dull(tmp_path, height_train=[2.5, 2.5], height_val=[np.nan, 2.5])
    text = "every pixel with a label has the same: 2.5. There is nothing to learn"
    assert check(path, workers=1).notes == [f"dull_height: {text}"]
    assert told(path) == ([], [f"dull_height, split train: {text}", f"dull_height, split val: {text}"])


@pytest.mark.parametrize("split", ["train", "val"])
def test_all_ignored_in_a_split(tmp_path: Path, split: str) -> None:
    faults, before = told(make_dull(tmp_path, **{f"labels_{split}": [255, 255]}))
    assert faults == [f"{split} semseg: every pixel of every label is ignored"]
    assert before == [f"semseg, split {split}: every pixel of every label is ignored. There is nothing to learn"]


def test_labels_of_two_files_may_differ(tmp_path: Path) -> None:
    path = make_dull(tmp_path, labels_train=[1, 1])
    write(tmp_path / "labels/train/b.png", np.zeros((32, 32), np.uint8))
    assert told(path)[1] == []


class Wrong(bridgenet.DenseDataset):
    """A data set of one's own that gives classes that it does not name."""

    info = bridgenet.DataSetInfo(
        name="wrong",
        title="Wrong",
        folder="images",
        tasks=("semseg",),
        class_names={"semseg": ("a", "b")},
        size=(32, 32),
    )
    split_file = "{split}"
    image_file = "{split}/{id}.png"
    targets = {
        "semseg": bridgenet.Target((("{split}/{id}.png",),), lambda paths, size: np.full((*size, 1), 2, np.uint8))
    }

    def _read_ids(self) -> list[str]:
        return ["a"]

    @staticmethod
    def read_boundary_labels(path: Path) -> np.ndarray:
        raise NotImplementedError


def test_class_that_is_not_named(tmp_path: Path) -> None:
    make_dull(tmp_path)
    with pytest.raises(UserError, match=r"train/a\.png: found class 2 of semseg, expected 0 to 1, or 255 for no label"):
        Wrong(tmp_path, "train").load(0)
