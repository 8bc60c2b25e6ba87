"""Saturated values and marks of no data: noted by the check, left out by a range, proposed as `ignore`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from bridgenet.data.checks.check import check
from bridgenet.data.folders.initial import write_description
from bridgenet.data.folders.labels import Labels
from bridgenet.data.folders.no_data import marks_in
from tests.data.layouts import write
from tests.data.own import SIZE, write_16_bit


def make(folder: Path, labels: np.ndarray, entry: str, name: str = "depth") -> Path:
    """Two images with equal labels of one task, and their description."""
    for image in ("a", "b"):
        write(folder / f"images/{image}.png", np.zeros((*SIZE, 3), np.uint8))
        if labels.dtype == np.uint16:
            write_16_bit(folder / f"{name}/{image}.png", labels)
        else:
            write(folder / f"{name}/{image}.npy", labels)
    (folder / "data.yaml").write_text(f"split: {{val: 0.5}}\nsize: [32, 32]\ntasks:\n  {name}: {entry}\n")
    return folder / "data.yaml"


def with_marks(dtype: str, *marks: float) -> np.ndarray:
    """Numbers from 1000 on; each mark is in an eighth of the pixels."""
    values = (1000 + np.arange(SIZE[0] * SIZE[1])).astype(dtype)
    for place, mark in enumerate(marks):
        values[place::8] = mark
    return values.reshape(SIZE)


@pytest.mark.parametrize(
    ("dtype", "mark", "said"),
    [
        ("u2", 65535, "65535, the largest value of 16 bits"),
        ("i2", -32768, "-32768, the smallest value of 16 bits"),
        ("i4", -9999, "-9999, a usual mark of no data"),
        ("f4", 65.535, "65.535, a usual mark of no data"),
        ("f8", -3.4028234663852886e38, "-3.402823e+38, an end of the numbers of 32 bits"),
        ("u1", 255, "255, the largest value of 8 bits"),
    ],
)
def test_marks(dtype: str, mark: float, said: str) -> None:
    values = np.array([[3, mark], [4, 5]], dtype)[..., None]
    assert {str(found): count for found, count in marks_in(values).items()} == {said: 1}


def test_check_tells_their_share(tmp_path: Path) -> None:
    path = make(tmp_path, with_marks("u2", 65535), "{folder: depth, unit: mm}")
    report = check(str(path), workers=1)
    said = "depth: 12.5 % of the labelled pixels hold 65535, the largest value of 16 bits. If it is no label: `ignore: [65535]`"
    assert said in report.notes and not report.faults
    for entry in ("{folder: depth, unit: mm, ignore: [65535]}", "{folder: depth, unit: mm, range: [0.1, 60]}"):
        report = check(str(make(tmp_path, with_marks("u2", 65535), entry)), workers=1)
        assert not report.notes and not report.faults
        assert report.tasks["depth"].high < 1.2


def test_check_of_regressions_and_classes(tmp_path: Path) -> None:
    entry = "{kind: regression, folder: height, unit: m}"
    notes = check(str(make(tmp_path / "a", with_marks("f4", -9999), entry, "height")), workers=1).notes
    assert any("height: 12.5 % of the labelled pixels hold -9999, a usual mark" in note for note in notes)
    entry = "{kind: classes, folder: soil, classes: {1: a, 65535: b}}"
    labels = np.where(with_marks("u2", 0) == 0, 65535, 1).astype(np.uint16)
    notes = check(str(make(tmp_path / "b", labels, entry, "soil")), workers=1).notes
    assert any("soil: 12.5 % of the labelled pixels hold 65535" in note for note in notes)


@pytest.mark.parametrize("kind", ["depth", "regression"])
def test_range_leaves_out_what_is_no_number(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.npy", np.array([[math.nan, 2], [math.inf, -math.inf]]))
    target = Labels(kind=kind, scale=1.0, range=(0.1, 80))([path], (2, 2))  # type: ignore[arg-type]
    known = target > 0
    assert known[..., 0].tolist() == [[False, True], [False, False]]
    make(
        tmp_path / "d",
        with_marks("f4", np.nan, np.inf) / np.float32(1000),
        "{folder: depth, unit: m, range: [0.1, 80]}",
    )
    assert not check(str(tmp_path / "d/data.yaml"), workers=1).faults


@pytest.mark.parametrize(
    ("name", "labels", "ignore"),
    [
        ("depth", with_marks("u2", 65535), [65535]),
        ("depth", with_marks("f4", -9999, np.nan) / np.float32(1), ["nan", -9999.0]),
        ("labels", np.where(with_marks("u2", 0) == 0, 65535, 1).astype(np.uint16), [65535]),
        ("labels", np.where(with_marks("u2", 255) == 255, 255, 65535).astype(np.uint16), [255, 65535]),
    ],
)
def test_init_proposes_to_ignore_them(name: str, labels: np.ndarray, ignore: list, tmp_path: Path) -> None:
    labels = labels.copy()
    labels[0, :4] = 1
    if name == "labels":
        labels[1, :4] = 2
    make(tmp_path, labels, "{}", name)
    write_description(tmp_path, overwrite=True)
    (entry,) = yaml.safe_load((tmp_path / "data.yaml").read_text())["tasks"].values()
    assert entry["ignore"] == ignore
    if name == "labels":
        assert entry["classes"] == ["class_0", "class_1", "class_2"]
