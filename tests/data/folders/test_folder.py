"""A folder of one's own as a data set: samples, splits, missing labels, faults."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bridgenet import data, tasks
from bridgenet.data.checks.check import check
from bridgenet.data.folders.folder import FolderDataset, FolderSource, by_chance
from bridgenet.data.pipeline.cache import open_cache
from bridgenet.errors import UserError
from tests.data.layouts import write, write_list
from tests.data.own import NAMES, SIZE, YAML, make_folder, write_16_bit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "roofs")


def both(path: Path) -> tuple[FolderDataset, FolderDataset]:
    source = FolderSource(path)
    return source("", "train"), source("", "val")


def faults(path: Path) -> list[tuple[str, str, str]]:
    found = check(str(path), workers=1).faults
    return [(fault.split, fault.subject, fault.text.replace(f"{path.parent}/", "")) for fault in found]


def test_what_is_known_of_it(path: Path) -> None:
    info = data.get(str(path)).info
    assert (info.name, info.size, info.needs_root) == ("roofs", (32, 32), False)
    assert info.tasks == ("semseg", "depth", "normals", "edge", "roofs_damage", "roofs_height")
    assert info.num_outputs == {
        "semseg": 2, "depth": 1, "normals": 3, "edge": 1, "roofs_damage": 3, "roofs_height": 1
    }  # fmt: skip
    assert data.get(str(path.parent)) is data.get(str(path))


def test_samples(path: Path) -> None:
    train, val = both(path)
    assert (len(train), len(val)) == (4, 2)
    assert sorted([*train.ids, *val.ids]) == list(NAMES)
    sample = train.load(0)
    folder, name = path.parent, train.ids[0]
    stored = np.asarray(Image.open(folder / f"labels/{name}.png"))
    assert sample["image"].shape == (*SIZE, 3)
    assert np.array_equal(sample["semseg"][..., 0], np.select([stored == 7, stored == 11], [0, 1], 255))
    assert np.allclose(sample["depth"][..., 0], np.asarray(Image.open(folder / f"depth/{name}.png")) / 1000)
    assert np.allclose(sample["normals"][0, 0], (0, 0, 1), atol=0.01)
    assert np.allclose(sample["roofs_height"][..., 0], np.load(folder / f"height/{name}.npy") * 0.01)


def test_images_may_lack_labels(path: Path) -> None:
    train, _ = both(path)
    for folder in ("labels", "depth", "normals", "edges", "height"):
        next((path.parent / folder).glob(f"{train.ids[1]}.*")).unlink()
    train, _ = both(path)
    sample = train.load(1)
    for task in ("semseg", "depth", "normals", "edge", "roofs_height"):
        assert sample[task].shape == (*SIZE, tasks.get(task).target_channels)
        kind = tasks.get(task).kind
        assert (sample[task] == 0).all() if task == "normals" else kind.is_unknown(sample[task]).all()
    assert train.boundary_indices() == [0, 2, 3]
    assert train.has_label("roofs_damage", 1)


def test_split_by_chance_is_stable() -> None:
    ids = [f"{i:03d}" for i in range(100)]
    before, after = by_chance(ids, 0.2, 0), by_chance([*ids, "100", "101"], 0.2, 0)
    assert len(before["val"]) == 20
    assert len(set(before["val"]) ^ set(after["val"])) <= 3
    assert by_chance(ids, 0.2, 1) != before
    assert by_chance(["a", "b"], 0.01, 0)["val"] == by_chance(["a", "b"], 0.99, 0)["val"]


def test_split_by_lists_and_by_folders(tmp_path: Path) -> None:
    path = make_folder(tmp_path, names=("train/a", "train/b", "val/a"))
    path.write_text("split: {train: train/, val: val/}\ntasks:\n  depth: {unit: mm}")
    train, val = both(path)
    assert (train.ids, val.ids) == (["train/a", "train/b"], ["val/a"])
    write_list(tmp_path / "t.txt", ["val/a", "train/b.png"])
    write_list(tmp_path / "v.txt", ["train/a"])
    path.write_text("split: {train: t.txt, val: v.txt}\ntasks:\n  depth: {unit: mm}")
    train, val = both(path)
    assert (train.ids, val.ids) == (["val/a", "train/b"], ["train/a"])
    write_list(tmp_path / "v.txt", ["train/q"])
    with pytest.raises(UserError, match=r"1 of 1 images that .*v\.txt lists are not in .*images: train/q"):
        both(path)
    write_list(tmp_path / "v.txt", [])
    with pytest.raises(UserError, match="the split val is empty"):
        both(path)


def test_size_fits_the_images_as_they_are_turned(tmp_path: Path) -> None:
    path = make_folder(tmp_path, "tasks:\n  depth: {unit: mm}", names=("a",))
    turned = Image.fromarray(np.zeros((40, 70, 3), np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "images/z.jpg", exif=exif)
    source = FolderSource(path)
    assert source.info.size == (96, 64)
    dataset = source("", next(split for split in ("train", "val") if source("", split).ids == ["z"]))
    assert dataset.load_image(0).shape == (70, 40, 3)
    assert dataset.image_size(0) == (70, 40)


def test_suffixes_tell_images_and_labels_of_one_folder_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"all/{name}.jpg", np.zeros((4, 4, 3), np.uint8))
        write(tmp_path / f"all/{name}_mask.png", np.ones((4, 4), np.uint8))
    path = tmp_path / "data.yaml"
    tasks_text = "tasks:\n  semseg: {folder: all, suffix: _mask.png, classes: [x, y]}"
    path.write_text(f"images: all\nimage_suffix: .jpg\nsplit: {{val: 0.5}}\n{tasks_text}")
    assert both(path)[0].load(0)["semseg"].max() == 1


def test_two_files_for_one_id(path: Path) -> None:
    write(path.parent / "labels/a.tif", np.zeros(SIZE, np.uint8))
    with pytest.raises(UserError, match=r"semseg: two files for one id: .*a\.png and .*a\.tif\. Remove one, or state"):
        [FolderSource(path)("", split) for split in ("train", "val")]
    assert ("both", "semseg", "two files for one id: labels/a.png and labels/a.tif") in faults(path)


def test_another_process_knows_its_tasks(path: Path) -> None:
    code = "import pickle, sys; d = pickle.load(sys.stdin.buffer); print(d.load(0)['roofs_height'].shape)"
    content = pickle.dumps(both(path)[0])
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)
    assert done.stdout.decode().strip() == f"({SIZE[0]}, {SIZE[1]}, 1)"


def test_cache_is_of_one_description(path: Path, tmp_path: Path) -> None:
    first = open_cache(both(path)[0], "disk", tmp_path / "cache")
    assert first is not None
    before = first.compact(0)["depth"]
    path.write_text(YAML.replace("unit: mm", "unit: cm").replace("[0.1, 80]", "[0.1, 800]"))
    second = open_cache(both(path)[0], "disk", tmp_path / "cache")
    assert second is not None
    assert np.allclose(second.compact(0)["depth"], before * 10)


def test_file_that_cannot_be_read_names_the_check(path: Path) -> None:
    train, _ = both(path)
    os.truncate(train.image_path(0), 60)
    with pytest.raises(UserError, match=rf"{train.ids[0]}\.png is .* To find all faults: bridgenet data check {path}"):
        train.compact(0)


def test_sound_folder(path: Path) -> None:
    report = check(str(path), workers=1)
    assert report.faults == []
    assert "roofs_height      0   100.0 %  6 of 6 images: " in report.text()
    assert report.text().splitlines()[-1] == f"→ {path} is sound"


def test_check_notes_what_is_left_out_of_images(path: Path) -> None:
    for name in NAMES[:2]:
        transparent = np.full((*SIZE, 4), 100, np.uint8)
        Image.fromarray(transparent).save(path.parent / f"images/{name}.png")
    assert "image: 2 images: transparent parts are drawn on white" in check(str(path), workers=1).notes


def test_check_notes_files_whose_suffix_is_not_read(path: Path) -> None:
    (path.parent / "images/a.png").rename(path.parent / "images/a.avif")
    (path.parent / "height/b.npy").rename(path.parent / "height/b.npz")
    notes = "\n".join(check(str(path), workers=1).notes)
    assert "image: 1 (images/a.avif) fit by name, but files of this suffix are not read" in notes
    assert "roofs_height: 1 (height/b.npz) fit by name" in notes


def test_all_faults_are_listed_together(path: Path) -> None:
    folder = path.parent
    train, val = both(path)
    write_list(folder / "t.txt", [*train.ids, "gone"])
    write_list(folder / "v.txt", [*val.ids, train.ids[0]])
    path.write_text(YAML.replace("{val: 0.3, seed: 0}", "{train: t.txt, val: v.txt}"))
    write(folder / "images/lonely.png", np.zeros((*SIZE, 3), np.uint8))
    write(folder / "labels/q.png", np.full(SIZE, 7, np.uint8))
    write(folder / f"labels/{val.ids[0]}.png", np.full(SIZE, 8, np.uint8))
    write(folder / f"damage/{val.ids[0]}.png", np.zeros((5, 16), np.uint8))
    np.save(folder / f"height/{val.ids[0]}.npy", np.full(SIZE, np.nan))
    for name in NAMES[:3]:
        os.truncate(folder / f"edges/{name}.png", 40)
    found = faults(path)
    texts = [f"{split} {subject} {text}" for split, subject, text in found]
    for expected in (
        "train image gone is missing",
        f"both list {train.ids[0]} is in train and in val",
        "both image images/lonely.png has no label of any task",
        "both semseg labels/q.png has no image of its name",
        "found the value(s) 8, expected 7, 11 (classes) or 255 (ignore)",
        f"damage/{val.ids[0]}.png: found 5×16 pixels for an image of 12×16",
        f"height/{val.ids[0]}.npy: 192 values are not finite (NaN or infinite)",
    ):
        assert any(expected in text for text in texts), (expected, texts)
    assert len({text for _, subject, text in found if subject == "edge"}) == 3
    report = check(str(path), workers=1)
    assert "1 (lonely) of 7 images in no split" in report.notes[0]


def test_half_of_the_files_are_unreadable(path: Path) -> None:
    for name in NAMES[:3]:
        os.truncate(path.parent / f"images/{name}.png", 10)
    found = faults(path)
    assert [subject for _, subject, _ in found] == ["image"] * 3
    assert all("is not an image" in text or "damaged" in text for _, _, text in found)


def test_stems_that_do_not_match(path: Path) -> None:
    for file in (path.parent / "damage").iterdir():
        file.rename(file.with_name(f"x_{file.name}"))
    texts = [text for _, subject, text in faults(path) if subject == "roofs_damage"]
    assert texts[0].startswith("none of the 6 label files has an image of its name, e.g. ")


@pytest.mark.parametrize(
    ("depth", "told"),
    [
        ("{folder: depth, unit: m}", "is it in millimetres (`unit: mm`)?"),
        (
            "{folder: depth, unit: m, range: [0.1, 80]}",
            "100 % of the depths are outside of `range: [0.1, 80]`; the mean",
        ),
        ("{folder: metres, unit: mm}", "the mean depth is 0.005 m. Is the unit right? It would be 5 m in `unit: m`"),
    ],
)
def test_wrong_units(path: Path, depth: str, told: str) -> None:
    for name in NAMES:
        write(path.parent / f"metres/{name}.npy", np.full(SIZE, 5, np.float32))
    path.write_text(f"split: {{val: 0.3}}\ntasks:\n  depth: {depth}")
    assert any(told in text for _, subject, text in faults(path) if subject == "depth"), faults(path)


def test_empty_split_is_a_fault(path: Path) -> None:
    write_list(path.parent / "t.txt", [])
    write_list(path.parent / "v.txt", NAMES)
    path.write_text(YAML.replace("{val: 0.3, seed: 0}", "{train: t.txt, val: v.txt}"))
    assert [text for split, subject, text in faults(path) if split == "train"] == ["the split train is empty (t.txt)"]


def test_folder_without_images(path: Path) -> None:
    shutil.rmtree(path.parent / "images")
    (path.parent / "images").mkdir()
    with pytest.raises(UserError, match=r"data\.yaml: .*images holds no picture"):
        both(path)


def test_stored_in_16_bit(tmp_path: Path) -> None:
    path = make_folder(tmp_path, names=("a", "b"))
    write_16_bit(tmp_path / "height/a.png", np.full(SIZE, 300))
    (tmp_path / "height/a.npy").unlink()
    assert any((dataset.load(0)["roofs_height"] == 3).all() for dataset in both(path))
