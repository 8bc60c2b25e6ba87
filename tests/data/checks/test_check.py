"""The check of a data folder finds every kind of fault, all of them at once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from bridgenet import data
from bridgenet.data.checks.check import check
from bridgenet.errors import UserError
from bridgenet.synthetic import generate
from tests.data.layouts import make_nyud, make_pascal, write, write_list


@pytest.fixture(scope="module", params=["nyud", "pascal"])
def rooms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(request.param, tmp_path_factory.mktemp("rooms"), train=2, val=1, size=(32, 40))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """NYUD-v2's layout without a fault but its counts and sizes, for which it says that it is synthetic."""
    folder = make_nyud(tmp_path)
    for path in (folder / "normals").iterdir():
        write(path, np.full((8, 10, 3), (128, 128, 255), np.uint8))
    (folder / "scenes.json").write_text("{}")
    return folder


def faults(folder: Path, tasks: list[str] | None = None) -> list[tuple[str, str, str]]:
    name = next(name for name, dataset in data.DATASETS.items() if dataset.info.folder == folder.name)
    return [
        (fault.split, fault.subject, fault.text.removeprefix(f"{folder}/"))
        for fault in check(name, folder.parent, tasks=tasks, workers=1).faults
    ]


def only_fault(folder: Path) -> tuple[str, str, str]:
    found = faults(folder)
    assert len(found) == 1, found
    return found[0]


def test_generated_rooms_are_sound(rooms: Path) -> None:
    name = next(name for name, dataset in data.DATASETS.items() if dataset.info.folder == rooms.name)
    steps: list[tuple[int, int]] = []
    report = check(name, rooms.parent, workers=1, progress=lambda done, total: steps.append((done, total)))
    assert report.faults == []
    assert report.counts == {"train": 2, "val": 1}
    assert report.sizes == {(32, 40): 3}
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert list(report.tasks) == list(data.info(name).tasks)
    assert "made by `bridgenet data generate`" in report.notes[0]
    assert report.text().splitlines()[-1] == f"→ {rooms} is sound"


def test_processes_find_the_same(folder: Path) -> None:
    os.truncate(folder / "depth/0002.npy", 100)
    (folder / "edge/0005.png").unlink()
    alone, together = (check("nyud", folder.parent, workers=workers).text() for workers in (1, 2))
    assert alone == together


def test_nothing_is_written(folder: Path) -> None:
    def state() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")}

    before = state()
    check("nyud", folder.parent, workers=1)
    assert state() == before


def test_statistics_of_labels(folder: Path) -> None:
    for sample_id in ("0001", "0002", "0003", "0004", "0005"):
        depth = np.full((8, 10), 2.0, np.float32)
        depth[:4] = 0
        depth[4] = 4
        write(folder / f"depth/{sample_id}.npy", depth)
        labels = np.zeros((8, 10), np.uint8)
        labels[:2], labels[2:4] = 1, 40
        write(folder / f"segmentation/{sample_id}.png", labels)
    report = check("nyud", folder.parent, workers=1)
    assert report.faults == []
    depth_found, classes_found = report.tasks["depth"], report.tasks["semseg"]
    assert (depth_found.low, depth_found.high, depth_found.mean) == (2, 4, 2.5)
    assert depth_found.known / depth_found.pixels == 0.5
    assert classes_found.classes == {0, 39}
    assert classes_found.known / classes_found.pixels == 0.5
    lines = {
        line.split()[0]: line.split(maxsplit=2)[2] for line in report.text().splitlines() if line.split()[1] == "0"
    }
    assert lines["depth"] == "50.0 %  2.00 to 4.00 m, mean 2.50 m"
    assert lines["semseg"] == "50.0 %  2 of 40 classes"
    assert lines["normals"] == "100.0 %  100.0 % of unit length"


def test_all_faults_are_listed_together(folder: Path) -> None:
    os.truncate(folder / "images/0001.png", 60)
    (folder / "images/0002.png").unlink()
    (folder / "depth/0001.npy").unlink()
    write(folder / "segmentation/0003.png", np.full((8, 10), 41, np.uint8))
    write(folder / "depth/0004.npy", np.full((8, 10), 2500, np.uint16))
    shutil.rmtree(folder / "edge")
    found = faults(folder)
    texts = {(split, subject): text for split, subject, text in found}
    assert len(found) == 10
    assert ("train", "image", "images/0002.png is missing") in found
    assert any(text.startswith("images/0001.png cannot be read: ") for text in dict.fromkeys(f[2] for f in found))
    assert texts["train", "depth"] == "depth/0001.npy is missing"
    assert "found the label(s) 41, expected 0..40" in texts["train", "semseg"]
    assert "found depth 2500 m, expected less than 255. Is it in millimetres?" in texts["val", "depth"]
    assert [text for _, subject, text in found if subject == "edge"] == [
        f"edge/{sample_id}.png is missing" for sample_id in ("0001", "0002", "0003", "0004", "0005")
    ]
    assert {subject for _, subject, _ in faults(folder, ["normals"])} == {"image"}


def test_long_lists_are_cut(folder: Path) -> None:
    write_list(folder / "gt_sets/train.txt", [f"{number:04d}" for number in range(1, 12)])
    report = check("nyud", folder.parent, tasks=["edge"], workers=1)
    text = report.text()
    assert "edge, train: 6 faults" in text  # of eleven ids five are there
    assert text.count("edge/00") == 5
    assert "  … and 1 more (--all prints them)" in text
    everything = report.text(everything=True)
    assert everything.count("edge/00") == 6
    assert "more (--all" not in everything
    assert f"bridgenet data generate --layout nyud --out {folder.parent}" in text
    (folder / "scenes.json").unlink()
    assert f"bridgenet data download nyud --root {folder.parent}" in check("nyud", folder.parent, workers=1).text()


def test_what_is_not_touched_is_said(folder: Path) -> None:
    (folder / "depth/0001.npy").unlink()
    text = check("nyud", folder.parent, workers=1).text()
    assert text.splitlines()[-1].strip() == "Not touched by it: --data.tasks '[semseg, normals, edge]'"


def test_counts(tmp_path: Path) -> None:
    folder = make_nyud(tmp_path)
    expected = "3 samples are listed, 795 are published: scores do not compare with published ones"
    assert ("train", "list", expected) in faults(folder)
    assert not [text for _, _, text in faults(make_pascal(tmp_path)) if "795" in text]


def test_split_lists(folder: Path) -> None:
    write_list(folder / "gt_sets/train.txt", ["0001", "0002", "0001", "0004"])
    assert faults(folder) == [
        ("train", "list", "0001 is listed 2 times"),
        ("both", "list", "0004 is in train and in val: the scores would mean less"),
    ]
    (folder / "gt_sets/train.txt").unlink()
    assert only_fault(folder) == ("train", "list", "gt_sets/train.txt is missing")
    (folder / "gt_sets/train.txt").write_text("\n")
    assert "gt_sets/train.txt is empty" in only_fault(folder)[2]


def rewrite(folder: Path, kind: str, array: np.ndarray) -> None:
    for path in (folder / kind).iterdir():
        write(path, array)


def test_widespread_copy_of_another_size_is_recognised(folder: Path) -> None:
    rewrite(folder, "images", np.zeros((480, 640, 3), np.uint8))
    rewrite(folder, "segmentation", np.tile(np.array([1, 2], np.uint8), (480, 320)))
    [(split, subject, text)] = faults(folder, ["semseg"])
    assert (split, subject) == ("both", "image")
    assert text.startswith("5 images have 480×640 pixels")
    assert "do not compare with published ones, and the evaluation canvas of 448×576 is too small" in text


def test_labels_of_another_copy_are_recognised(folder: Path) -> None:
    rewrite(folder, "images", np.zeros((425, 560, 3), np.uint8))
    rewrite(folder, "segmentation", np.tile(np.array([1, 2], np.uint8), (425, 280)))
    write(folder / "segmentation/0001.png", np.ones((480, 640), np.uint8))
    [(_, subject, text)] = faults(folder, ["semseg"])
    assert subject == "semseg"
    assert text.startswith("1 labels have 480×640 pixels, unlike their images: they are of another copy")


def test_images_larger_than_the_canvas(folder: Path) -> None:
    write(folder / "images/0002.png", np.zeros((448, 577, 3), np.uint8))
    texts = [text for _, subject, text in faults(folder, ["depth"]) if subject == "image"]
    assert texts == [
        "1 images have 448×577 pixels (height×width), more than the evaluation canvas of 448×576: give a larger --data.eval-size"
    ]


def test_images_of_no_published_size(folder: Path) -> None:
    (folder / "scenes.json").unlink()
    assert [text for _, subject, text in faults(folder) if subject == "image"] == [
        "5 images have 8×10 pixels (height×width), published are 425×560"
    ]


def test_label_that_will_be_resized_is_a_note(folder: Path) -> None:
    write(folder / "segmentation/0001.png", np.ones((4, 5), np.uint8))
    report = check("nyud", folder.parent, workers=1)
    assert report.faults == []
    assert (
        "semseg: 1 labels have 4×5 pixels, unlike their images; they are resized when they are loaded" in report.notes
    )


def test_label_of_another_shape(folder: Path) -> None:
    write(folder / "segmentation/0001.png", np.ones((10, 8), np.uint8))
    assert "found 10×8 pixels for an image of 8×10" in only_fault(folder)[2]


@pytest.mark.parametrize(
    ("kind", "array", "words"),
    [
        ("depth", np.full((8, 10), 0.3, np.float32), "the mean depth is 0.3 m (up to 0.3 m), expected metres"),
        ("depth", np.zeros((8, 10), np.float32), "no pixel of any image has a label"),
        ("normals", np.full((8, 10, 3), 250, np.uint8), "100.0 % of the normals are not of unit length (lengths 1.66"),
        ("segmentation", np.zeros((8, 10), np.uint8), "no pixel of any image has a label"),
        ("edge", np.eye(8, 10, dtype=np.uint8), "no pixel of any image is positive. Is it stored as 0 and 1"),
    ],
)
def test_implausible_labels(folder: Path, kind: str, array: np.ndarray, words: str) -> None:
    rewrite(folder, kind, array)
    split, _, text = only_fault(folder)
    assert (split, text[: len(words)]) == ("both", words)


def test_normals_need_not_be_of_unit_length_to_the_last_bit(folder: Path) -> None:
    rewrite(folder, "normals", np.full((8, 10, 3), 200, np.uint8))  # length 0.985
    assert faults(folder) == []


def test_mistakes_of_the_user(folder: Path) -> None:
    with pytest.raises(UserError, match=r"is that folder itself: give .* Give --root or set BRIDGENET_DATA"):
        check("nyud", folder)
    with pytest.raises(UserError, match="NYUD-v2 has no sal"):
        check("nyud", folder.parent, tasks=["sal"])
    with pytest.raises(UserError, match="did you mean nyud"):
        check("nyu", folder.parent)
    with pytest.raises(UserError, match="--workers 0: expected 1 or more"):
        check("nyud", folder.parent, workers=0)


def test_links_to_nowhere_and_folders_are_no_files(folder: Path) -> None:
    first, second = sorted((folder / "images").iterdir())[:2]
    for path in (first, second):
        path.unlink()
    first.symlink_to("/nowhere")
    second.mkdir()
    faults = [str(fault) for fault in check("nyud", folder.parent, workers=1).faults]
    for path in (first, second):
        assert any(path.name in fault and "is missing" in fault for fault in faults), faults
