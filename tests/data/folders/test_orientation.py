"""Images and labels that say how they are to be turned."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bridgenet.data.checks.check import check
from bridgenet.data.folders.folder import FolderSource
from bridgenet.errors import UserError
from bridgenet.imaging.orientation import orientation

YAML = "size: [32, 32]\nsplit: {val: 0.5}\ntasks:\n  semseg: {folder: labels, classes: [a, b]}"


def save(path: Path, pixels: np.ndarray, turned: int | None = None) -> Path:
    path.parent.mkdir(exist_ok=True)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    if turned is not None:
        exif[0x0112] = turned
    image.save(path, exif=exif, **({"lossless": True} if path.suffix == ".webp" else {}))
    return path


def make(folder: Path, turned: int, suffix: str = "png") -> Path:
    for name in ("a", "b"):
        save(folder / f"images/{name}.jpg", np.zeros((8, 16, 3), np.uint8), turned if name == "a" else None)
        save(folder / f"labels/{name}.{suffix}", np.zeros((8, 16), np.uint8) + np.arange(16, dtype=np.uint8) % 2)
    (folder / "data.yaml").write_text(YAML)
    return folder / "data.yaml"


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_orientation(suffix: str, tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    for turned in range(1, 9):
        assert orientation(save(tmp_path / f"a.{suffix}", pixels, turned)) == turned
    assert orientation(save(tmp_path / f"a.{suffix}", pixels)) == 1
    assert orientation(save(tmp_path / f"a.{suffix}", pixels, 0)) == 1
    (tmp_path / f"a.{suffix}").write_bytes(b"\x89PNG eXIf")
    assert orientation(tmp_path / f"a.{suffix}") == 1


def test_orientation_after_the_pixels_of_a_png(tmp_path: Path) -> None:
    content = io.BytesIO()
    image = Image.new("L", (3, 2))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(content, "PNG", exif=exif)
    whole = content.getvalue()
    start, end, last = whole.index(b"eXIf") - 4, whole.index(b"IDAT") - 4, whole.index(b"IEND") - 4
    (tmp_path / "a.png").write_bytes(whole[:start] + whole[end:last] + whole[start:end] + whole[last:])
    assert orientation(tmp_path / "a.png") == 6


def test_check_tells_turned_images(tmp_path: Path) -> None:
    report = check(str(make(tmp_path, 3)), workers=1)
    assert report.faults == []
    assert report.notes == ["1 image is turned by EXIF; labels are taken to lie on the turned image"]


def test_another_size_than_the_turned_image_names_exif(tmp_path: Path) -> None:
    report = check(str(make(tmp_path, 6)), workers=1)
    (fault,) = report.faults
    assert "found 8×16 pixels for an image of 16×8" in fault.text and "turned by its EXIF orientation (6)" in fault.text
    assert not any("resized" in note for note in report.notes)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_labels_with_an_orientation_are_refused(suffix: str, tmp_path: Path) -> None:
    path = make(tmp_path, 1, suffix)
    save(tmp_path / f"labels/a.{suffix}", np.zeros((8, 16), np.uint8), 3)
    words = rf"labels/a\.{suffix} has the EXIF orientation 3, expected labels without one"
    (fault,) = check(str(path), workers=1).faults
    assert fault.text.startswith(f"labels/a.{suffix}") or f"labels/a.{suffix} has the EXIF" in fault.text
    source = FolderSource(path)
    with pytest.raises(UserError, match=words):
        [source("", split).load(0) for split in ("train", "val")]
