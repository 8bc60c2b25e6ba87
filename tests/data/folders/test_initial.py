"""`bridgenet data init`: what it sees in a folder, and that what it writes can be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridgenet.cli.main import run
from bridgenet.data.checks.check import check
from bridgenet.data.folders.description import read_description
from bridgenet.data.folders.initial import write_description
from bridgenet.errors import UserError
from tests.data.layouts import write, write_list
from tests.data.own import SIZE, make_folder, write_16_bit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_folder(tmp_path).unlink()
    return tmp_path


def test_what_is_seen(folder: Path) -> None:
    message = write_description(folder)
    text = (folder / "data.yaml").read_text()
    assert "depth: {folder: depth, unit: mm}" in text
    assert "normals: {folder: normals, axes: [right, up, towards]}" in text
    assert "edge: {folder: edges}" in text
    assert "height: {kind: regression, folder: height, unit: ''}" in text
    assert "      7: class_7  # 7, " in text
    assert "ignore: [255]" in text
    assert "# CHECK the classes' names" in text
    assert "labels/ → semseg: 6 of 6 images, class values 7 (" in message
    said = read_description(folder / "data.yaml")
    assert [entry.task for entry in said.tasks] == ["damage", "depth", "edge", "height", "semseg", "normals"]
    assert check(str(folder), workers=1).faults == []


def test_splits_names_and_suffixes(tmp_path: Path) -> None:
    for name in ("train/a", "train/b", "val/c"):
        write(tmp_path / f"rgb/{name}.jpg", np.zeros((*SIZE, 3), np.uint8))
        write(tmp_path / f"gt/{name}_ids.png", np.tile(np.array([0, 1], np.uint8), (12, 8)))
        write(tmp_path / f"saliency/{name}.png", np.tile(np.array([0, 1], np.uint8), (12, 8)))
        write(tmp_path / f"colours/{name}.png", np.full((*SIZE, 3), (9, 0, 0), np.uint8))
    write_list(tmp_path / "classes.txt", ["sky", "ground"])
    (tmp_path / "notes").mkdir()
    message = write_description(tmp_path, tmp_path / "elsewhere.yaml")
    said = read_description(tmp_path / "elsewhere.yaml")
    assert {split: place.name for split, place in said.lists.items()} == {"train": "train", "val": "val"}
    semseg, sal = said.tasks
    assert (semseg.task, semseg.suffix, semseg.class_names) == ("semseg", "_ids.png", ("sky", "ground"))
    assert (sal.task, sal.labels.scale) == ("sal", 1.0)
    assert "not taken: colours/: 3 channels of uint8: colours, not indices" in message
    assert "not taken: notes/: no picture or array that is named like an image" in message


def test_lists_and_another_place(folder: Path, tmp_path: Path) -> None:
    write_list(folder / "train.txt", ["a"])
    write_list(folder / "val.txt", ["b"])
    (tmp_path / "my").mkdir()
    write_description(folder, tmp_path / "my/roofs.yaml")
    assert "root: .." in (tmp_path / "my/roofs.yaml").read_text()
    said = read_description(tmp_path / "my/roofs.yaml")
    assert {split: place.resolve() for split, place in said.lists.items()} == {
        "train": folder / "train.txt",
        "val": folder / "val.txt",
    }


def test_float_depth_and_nan(folder: Path) -> None:
    for file in (folder / "depth").iterdir():
        file.unlink()
        depth = np.full(SIZE, 3, np.float32)
        depth[0] = np.nan
        write(file.with_suffix(".npy"), depth)
    write_description(folder)
    assert "depth: {folder: depth, unit: m, ignore: [nan]}" in (folder / "data.yaml").read_text()


def test_sixteen_bits_of_classes(folder: Path) -> None:
    for file in (folder / "labels").iterdir():
        write_16_bit(file, np.tile(np.array([0, 2]), (12, 8)))
    write_description(folder)
    entry = next(entry for entry in read_description(folder / "data.yaml").tasks if entry.task == "semseg")
    assert entry.labels.values == (0, 1, 2)


def test_one_value_beside_255_and_one_value_alone(folder: Path) -> None:
    for file in (folder / "labels").iterdir():
        write(file, np.tile(np.array([1, 255], np.uint8), (12, 8)))
    for file in (folder / "damage").iterdir():
        write(file, np.full(SIZE, 4, np.uint8))
    message = write_description(folder)
    assert "if 255 were no label, 1 would be the only class, which needs no learning" in message
    assert "not taken: damage/: every pixel has the value 4: there is nothing to learn" in message
    entry = read_description(folder / "data.yaml").entry("semseg")
    assert (entry.labels.values, entry.labels.ignore, entry.class_names) == ((1, 255), (), ("class_1", "class_255"))
    assert check(str(folder), workers=1).faults == []


def test_refusals(folder: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "init", str(folder)]) == 0
    assert run(["data", "init", str(folder)]) == 2
    assert f"{folder / 'data.yaml'} is there already. Give --overwrite" in capsys.readouterr().err
    assert run(["data", "init", str(folder), "--overwrite"]) == 0
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(UserError, match="has no folder of images"):
        write_description(empty)
    write(empty / "images/a.png", np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(UserError, match="has 1 images but no labels that belong to them"):
        write_description(empty)
