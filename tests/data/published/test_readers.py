"""OpenCV reads ordinary PNG files, Pillow all others; nobody can tell which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bridgenet.data.published.readers import read_image, read_png, read_probability
from bridgenet.errors import UserError

RGB = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
GREY = RGB[..., 0].copy()


def picture(mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(GREY.astype(np.uint16) * 200)
    return Image.fromarray(GREY if mode in ("L", "P", "1") else RGB).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "RGBA", "LA", "I;16"])
def test_image_is_as_pillow_converts_it(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture(mode).save(path)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_image(path), expected)


def test_jpeg_keeps_its_orientation_as_stored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (9, 13, 3)
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_labels_are_indices(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(GREY)
    if mode == "P":
        image = Image.frombytes("P", image.size, GREY.tobytes())
        image.putpalette(list(range(256))[::-1] * 3)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_png(tmp_path / "a.png", channels=1), GREY)


def test_transparent_colour_is_no_channel(tmp_path: Path) -> None:
    for array in (RGB, GREY):
        image = Image.fromarray(array)
        image.save(tmp_path / "a.png", transparency=(1, 2, 3) if array.ndim == 3 else 7)
        np.testing.assert_array_equal(read_png(tmp_path / "a.png", channels=3 if array.ndim == 3 else 1), array)


@pytest.mark.parametrize("damage", ["cut", "middle", "header"])
def test_damaged_png_is_told(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB.repeat(20, axis=0)).save(path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "middle":
        del content[len(content) // 2 : len(content) // 2 + 400]
    else:
        content[18] ^= 0xFF  # the width
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match=f"{path} cannot be read: .+"):
        read_image(path)


def test_probability_is_8_bit_where_that_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.array([[0, 255, 255]], np.uint8)).save(path)
    found = read_probability(path)
    assert found.dtype == np.uint8 and found.ravel().tolist() == [0, 1, 1]
    Image.fromarray(np.array([[0, 51, 255]], np.uint8)).save(path)
    found = read_probability(path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.ravel(), np.float32([0, 51, 255]) / np.float32(255))
