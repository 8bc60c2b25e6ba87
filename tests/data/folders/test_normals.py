"""Normals of one's own: what is no unit vector is unknown, everywhere alike; what is one stays one in another size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from bridgenet import UserError, data
from bridgenet.data.base import fit
from bridgenet.data.checks.check import check
from bridgenet.data.compact import expanded
from bridgenet.data.fitting import interpolated
from bridgenet.data.folders.initial import write_description
from bridgenet.data.folders.labels import Labels
from bridgenet.data.pipeline.transforms import EvaluationTransform, mark_unknown
from bridgenet.metrics import Normals
from bridgenet.tasks import Task, of_kind, registry
from tests.data.layouts import make_nyud, write

SIZE = (16, 24)
WALL, FLOOR = (0.0, 0.0, 1.0), (0.0, 0.8, 0.6)


def room(size: tuple[int, int] = SIZE) -> np.ndarray:
    """A wall above a floor, (H, W, 3) float32 unit vectors."""
    normals = np.full((*size, 3), WALL, np.float32)
    normals[size[0] // 2 :] = FLOOR
    return normals


def in_8_bits(normals: np.ndarray) -> np.ndarray:
    return np.rint((normals + 1) * 127.5).astype(np.uint8)


def make(folder: Path, arrays: Sequence[np.ndarray], entry: str = "") -> Path:
    suffix = "png" if arrays[0].dtype == np.uint8 else "npy"
    for number, array in enumerate(arrays):
        write(folder / f"images/{number}.png", np.full((*SIZE, 3), 9 * number, np.uint8))
        write(folder / f"normals/{number}.{suffix}", array)
    path = folder / "data.yaml"
    path.write_text(f"split: {{val: 0.5}}\ntasks:\n  normals: {{folder: normals{entry}}}\n")
    return path


def perfect(path: Path, truth: np.ndarray) -> tuple[dict[str, float], int]:
    """Scores of a prediction that is right, and the number of labelled pixels of an image."""
    metric = Normals()
    sample = EvaluationTransform(SIZE, ["normals"])(data.get(str(path))("", "val").load(0))["normals"]
    metric.update_decoded(torch.from_numpy(truth)[None], torch.from_numpy(sample)[None])
    return metric.compute(), int((~np.isnan(sample[0])).sum())


@pytest.mark.parametrize("grey", [(127,) * 3, (128,) * 3, (0,) * 3, (255,) * 3, (128, 127, 128), (80, 80, 80)], ids=str)
@pytest.mark.parametrize("rows", [1, 5])
def test_what_is_no_direction_is_unknown(tmp_path: Path, grey: tuple[int, int, int], rows: int) -> None:
    stored = in_8_bits(room())
    stored[:rows] = grey
    scores, labelled = perfect(make(tmp_path, [stored] * 4), room())
    assert scores["mean"] < 0.4 and scores["within_11.25"] == 1
    assert labelled == (SIZE[0] - rows) * SIZE[1]


def test_vectors_of_other_lengths(tmp_path: Path) -> None:
    """Nearly unit vectors are brought to unit length, in 8 bits, too; others are unknown."""
    for stored in (room() * np.float32(0.93), in_8_bits(room() * 0.93), (room() * 1.001).astype(np.float16)):
        target = expanded("normals", Labels(kind="normals")([write(tmp_path / "a.npy", stored)], SIZE))
        assert target.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(target, axis=2), 1, atol=1e-3)
        np.testing.assert_allclose(target, room(), atol=0.01)
    stored = room()
    stored[:3] *= np.array([0.3, 0.85, 1.15])[:, None, None]
    target = Labels(kind="normals", axes=("right", "down", "away"))([write(tmp_path / "a.npy", stored)], SIZE)
    assert not target[:3].any() and (target[3, 0] == (0, 0, -1)).all()


def test_8_bits_stay_8_bits(tmp_path: Path) -> None:
    stored = in_8_bits(room())
    stored[0, 0] = 128
    target = Labels(kind="normals")([write(tmp_path / "a.png", stored)], SIZE)
    stored[0, 0] = 255
    assert target.dtype == np.uint8 and np.array_equal(target, stored)


@pytest.mark.parametrize(
    "array", [2 * room(), in_8_bits(room() * 0.4), (255 * (room() * 0.5 + 0.5)).astype(np.float32)]
)
def test_another_encoding_is_refused_everywhere(tmp_path: Path, array: np.ndarray) -> None:
    array[:, ::2] *= 2 if array.dtype == np.float32 else 1  # no one value that might stand for unknown
    path = make(tmp_path, [array] * 4)
    told = r"normals/\d\.(npy|png): found vectors of lengths .* expected unit vectors"
    with pytest.raises(UserError, match=told):
        data.get(str(path))("", "train").load(0)
    report = check(str(path), workers=1)
    assert len(report.faults) == 4 and all("expected unit vectors" in fault.text for fault in report.faults)


def test_a_file_without_any_label_is_no_other_encoding(tmp_path: Path) -> None:
    for value in (0, 128, 255):
        target = Labels(kind="normals")([write(tmp_path / "a.png", np.full((*SIZE, 3), value, np.uint8))], SIZE)
        assert not expanded("normals", target).any()


def test_the_check_counts_them(tmp_path: Path) -> None:
    stored = in_8_bits(room())
    stored[0, :15] = 128  # 3.9 %
    report = check(str(make(tmp_path / "few", [stored] * 4)), workers=1)
    assert report.faults == []
    (note,) = report.notes
    assert note == (
        "normals: 3.9 % of the vectors are not of unit length and count as unknown, most of them stored as [128, 128, 128]. "
        "If that is meant: `ignore: [[128, 128, 128]]`"
    )
    stored[:2] = 128
    (fault,) = check(str(make(tmp_path / "many", [stored] * 4)), workers=1).faults
    assert fault.text.startswith("12 % of the vectors are not of unit length and count as unknown")
    said = check(str(make(tmp_path / "said", [stored] * 4, ", ignore: [[128, 128, 128]]")), workers=1)
    assert said.faults == said.notes == []
    assert "normals           0    87.5 %  4 of 4 images: 100.0 % of unit length" in said.text()


@pytest.mark.parametrize(
    ("value", "proposed"),
    [(127, "[[127, 127, 127]]"), (128, "[[128, 128, 128]]"), (0, "[[0, 0, 0]]"), (255, "[[255, 255, 255]]")],
)
def test_init_proposes_what_it_sees(tmp_path: Path, value: int, proposed: str) -> None:
    stored = in_8_bits(room())
    stored[:6] = value
    make(tmp_path, [stored, np.full_like(stored, value), stored])  # a whole frame without labels among them
    told = write_description(tmp_path, overwrite=True)
    text = (tmp_path / "data.yaml").read_text()
    assert f"normals: {{folder: normals, axes: [right, up, towards], ignore: {proposed}}}" in text
    assert proposed[1:-1] in told
    assert check(str(tmp_path / "data.yaml"), workers=1).faults == []


def test_init_sees_unknown_numbers(tmp_path: Path) -> None:
    stored = room()
    stored[0], stored[1] = 0, np.nan
    make(tmp_path, [stored] * 3)
    write_description(tmp_path, overwrite=True)
    assert "ignore: [[0, 0, 0], nan]" in (tmp_path / "data.yaml").read_text()


@pytest.mark.parametrize("size", [(8, 12), (32, 48), (48, 72), (128, 192), (5, 7)])
@pytest.mark.parametrize("as_8_bits", [False, True])
def test_unit_vectors_in_another_size(tmp_path: Path, size: tuple[int, int], as_8_bits: bool) -> None:
    """One direction with a hole: as many labels as nearest neighbours give, all of them right."""
    normals = np.full((*size, 3), FLOOR, np.float32)
    hole = np.s_[1 : size[0] // 2, 2 : size[1] // 2]
    normals[hole] = 0
    stored = in_8_bits(normals) if as_8_bits else normals
    scores, labelled = perfect(make(tmp_path, [stored] * 4), np.full((*SIZE, 3), FLOOR, np.float32))
    known = fit((normals[..., 2] > 0).astype(np.uint8), SIZE, "nearest", Path())
    assert labelled == known.sum()
    assert scores["mean"] < (0.4 if as_8_bits else 0.01)


def test_smooth_normals_are_interpolated_and_stay_of_unit_length(tmp_path: Path) -> None:
    angles = np.linspace(-1, 1, 12, dtype=np.float32)
    bowl = np.zeros((8, 12, 3), np.float32)
    bowl[..., 0], bowl[..., 2] = np.sin(angles), np.cos(angles)
    path = make(tmp_path, [bowl] * 4)
    target = data.get(str(path))("", "train").load(0)["normals"]
    assert len(np.unique(target[0, :, 0])) > 20  # not only the 12 that are stored
    np.testing.assert_allclose(np.linalg.norm(target, axis=2), 1, atol=1e-6)


def test_opposite_directions_do_not_cancel(tmp_path: Path) -> None:
    stored = np.full((8, 12, 3), (1, 0, 0), np.float32)
    stored[:, 6:] = (-1, 0, 0)
    target = data.get(str(make(tmp_path, [stored] * 4)))("", "train").load(0)["normals"]
    np.testing.assert_allclose(abs(target[..., 0]), 1)


@pytest.mark.parametrize("scale", [0.5, 0.7, 1.4, 2, 3, 5, 8])
def test_nothing_beyond_a_gap_is_seen(scale: float) -> None:
    """Two surfaces that a line without labels parts: no pixel is a mixture of both."""
    height, width = round(16 * scale), round(24 * scale)
    stored = np.full((height, width, 3), WALL, np.float32)
    stored[:, width // 2 :] = FLOOR
    stored[:, width // 2] = 0
    found = interpolated(registry.get("normals"), stored, fit(stored, SIZE, "nearest", Path()))
    seen = np.unique(found.reshape(-1, 3).round(5), axis=0)
    assert {tuple(x) for x in seen.tolist()} <= {
        tuple(np.float32(x).round(5).tolist()) for x in (WALL, FLOOR, (0, 0, 0))
    }


@pytest.mark.parametrize("kind", ["depth", "regression"])
def test_cubic_interpolation_of_other_kinds_leaves_unknown_pixels_out(kind: str) -> None:
    task: Task = of_kind("flow", kind, interpolation="cubic")
    stored = np.full((6, 8, 1), 3, np.float32)
    stored[2:4, 2:4] = 0 if kind == "depth" else np.nan
    found = interpolated(task, stored, fit(stored, (12, 16), "nearest", Path()))
    known = ~np.isnan(mark_unknown(task, found))
    assert known.sum() == 12 * 16 - 16
    np.testing.assert_allclose(found[known], 3, rtol=1e-6)
    assert "flow" not in registry.names()


@pytest.mark.parametrize("grey", [127, 128])
def test_grey_frames_of_published_layouts_are_told(tmp_path: Path, grey: int) -> None:
    make_nyud(tmp_path, size=SIZE)
    (tmp_path / "NYUDv2/scenes.json").write_text("{}")
    for path in (tmp_path / "NYUDv2/normals").iterdir():
        stored = in_8_bits(room())
        stored[0, :15] = grey
        write(path, stored)
    report = check("nyud", tmp_path, tasks=["normals"], workers=1)
    assert report.faults == []
    assert any(
        "normals: 3.9 % of the normals are not of unit length, grey pixels (127 or 128)" in x for x in report.notes
    )
    assert perfect_share(tmp_path) == 1  # as published they count as labels


def perfect_share(root: Path) -> float:
    target = mark_unknown("normals", data.get("nyud")(root, "val", ["normals"]).load(0)["normals"])
    return float((~np.isnan(target)).mean())
