"""Label files of every kind as targets, and what is refused in them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bridgenet.data.compact import expanded
from bridgenet.data.folders.labels import Labels
from bridgenet.errors import UserError
from tests.data.layouts import write
from tests.data.own import write_16_bit
from tests.imaging.files import GREY, GREY_ALPHA, RGB, RGBA, png_bytes


def read(labels: Labels, path: Path) -> np.ndarray:
    return labels([path], (2, 2))


def test_classes_by_value(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", np.array([[7, 11], [255, 7]], np.uint8))
    target = read(Labels(kind="classes", values=(7, 11), ignore=(255,)), path)
    assert target.dtype == np.uint8
    assert target[..., 0].tolist() == [[0, 1], [255, 0]]
    with pytest.raises(UserError, match=r"a\.png: found the value\(s\) 255, expected 7, 11 \(classes\)"):
        read(Labels(kind="classes", values=(7, 11)), path)


def test_classes_of_palette_of_16_bits_and_of_negative_numbers(tmp_path: Path) -> None:
    labels = Labels(kind="classes", values=(0, 1, 300), ignore=(-1,))
    picture = Image.fromarray(np.array([[0, 1]], np.uint8), mode="L").convert("P")
    picture.putpalette([9, 8, 7, 100, 50, 25])
    picture.putdata([0, 1])
    picture.save(tmp_path / "palette.png")
    assert read(labels, tmp_path / "palette.png")[..., 0].tolist() == [[0, 1]]
    write_16_bit(tmp_path / "deep.png", np.array([[300, 1]]))
    assert read(labels, tmp_path / "deep.png")[..., 0].tolist() == [[2, 1]]
    path = write(tmp_path / "signed.npy", np.array([[-1, 300]]))
    assert read(labels, path)[..., 0].tolist() == [[255, 2]]


def test_colours_are_no_classes(tmp_path: Path) -> None:
    labels = Labels(kind="classes", values=(0, 1))
    grey = write(tmp_path / "grey.png", np.ones((2, 2, 3), np.uint8))
    assert read(labels, grey).tolist() == np.ones((2, 2, 1)).tolist()
    path = write(tmp_path / "colours.png", np.array([[[1, 0, 0]]], np.uint8))
    with pytest.raises(UserError, match=r"found 3 channels, expected one \(a grey or palette picture of indices"):
        read(labels, path)
    with pytest.raises(UserError, match="numbers that are not whole"):
        read(labels, write(tmp_path / "half.npy", np.array([[0.5]])))


def test_depth_in_millimetres(tmp_path: Path) -> None:
    write_16_bit(tmp_path / "a.png", np.array([[1000, 0], [65535, 50]]))
    target = read(Labels(kind="depth", scale=0.001, range=(0.1, 60)), tmp_path / "a.png")
    assert target.dtype == np.float32
    assert target[..., 0].tolist() == [[1, 0], [0, 0]]
    with pytest.raises(UserError, match=r"found depth 65535 m: is it in millimetres \(`unit: mm`\)\?"):
        read(Labels(kind="depth", scale=1.0), tmp_path / "a.png")


def test_depth_that_is_no_number(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npy", np.array([[math.nan, 2], [math.inf, -1]]))
    with pytest.raises(UserError, match=r"a\.npy: 2 values are not finite .*`ignore: \[nan\]`"):
        read(Labels(kind="depth", scale=1.0), path)
    with pytest.raises(UserError, match="found depth -1 m, expected >= 0"):
        read(Labels(kind="depth", scale=1.0, ignore=(math.nan,)), path)
    target = read(Labels(kind="depth", scale=1.0, ignore=(math.nan, -1)), path)
    assert target[..., 0].tolist() == [[0, 2], [0, 0]]


@pytest.mark.parametrize("kind", ["depth", "regression"])
def test_real_values_of_255_and_more(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "a.npy", np.array([[255, 300.5, 3]], np.float32))
    target = read(Labels(kind=kind, scale=1.0, range=(1, 400)), path)[..., 0]  # type: ignore[arg-type]
    assert target.tolist() == [[255, 300.5, 3]]


def test_regression_of_channels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npy", np.array([[[1, 2], [9, 9], [2000, 1]]], np.float32))
    target = read(Labels(kind="regression", channels=2, scale=0.1, ignore=((9, 9),), range=(0, 100)), path)
    assert np.allclose(target, [[[0.1, 0.2], [np.nan] * 2, [np.nan] * 2]], equal_nan=True)
    with pytest.raises(UserError, match=r"found 2 channels, expected 3"):
        read(Labels(kind="regression", channels=3), path)


def test_probabilities(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", np.array([[0, 255, 51]], np.uint8))
    assert np.allclose(read(Labels(kind="probability"), path)[..., 0], [[0, 1, 0.2]])
    path = write(tmp_path / "b.png", np.array([[0, 1, 255]], np.uint8))
    target = read(Labels(kind="probability", scale=1.0, ignore=(255,)), path)
    assert target.dtype == np.uint8
    assert target[..., 0].tolist() == [[0, 1, 255]]
    with pytest.raises(UserError, match=r"found 0 to 255 \(stored values times 1\), expected 0 to 1"):
        read(Labels(kind="probability", scale=1.0), path)


@pytest.mark.parametrize("stored", [np.array([[0, 1]], np.uint8), np.array([[False, True]])])
def test_masks_of_0_and_1_are_no_shares_of_255(tmp_path: Path, stored: np.ndarray) -> None:
    path = write(tmp_path / "a.npy", stored)
    with pytest.raises(UserError, match=r"found the values 0 and 1, expected 0 to 255.*If 1 is: `scale: 1`"):
        read(Labels(kind="probability"), path)
    assert read(Labels(kind="probability", scale=1.0), path)[..., 0].tolist() == [[0, 1]]
    assert read(Labels(kind="probability"), write(tmp_path / "empty.npy", 0 * stored))[..., 0].tolist() == [[0, 0]]


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_normals_of_other_conventions_agree(tmp_path: Path, suffix: str) -> None:
    """The same wall, which looks up, a little to the right and to the camera, stored with y down, z away, x last."""
    right, up, towards = 0.36, 0.8, 0.48
    stored = np.array([[[-up, -towards, right], [0, 0, 0]]], np.float32)
    array = np.rint((stored + 1) * 127.5).astype(np.uint8) if suffix == ".png" else stored
    if suffix == ".png":
        array[0, 1] = 0
    labels = Labels(kind="normals", axes=("down", "away", "right"), ignore=((0, 0, 0),))
    target = expanded("normals", read(labels, write(tmp_path / f"a{suffix}", array)))
    assert np.allclose(target[0, 0], (right, up, towards), atol=0.005)
    assert target[0, 1].tolist() == [0, 0, 0]


def test_exr(tmp_path: Path) -> None:
    exr = pytest.importorskip("OpenEXR")
    header = {"type": exr.scanlineimage}
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    with exr.File(header, {"Z": values}) as file:
        file.write(str(tmp_path / "a.exr"))
    assert read(Labels(kind="depth", scale=1.0), tmp_path / "a.exr")[..., 0].tolist() == values.tolist()
    with exr.File(header, {name: values + i for i, name in enumerate("RGB")}) as file:
        file.write(str(tmp_path / "b.exr"))
    target = read(Labels(kind="regression", channels=3), tmp_path / "b.exr")
    assert target[0, 0].tolist() == [0, 1, 2]


def test_exr_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "OpenEXR", None)
    (tmp_path / "a.exr").write_bytes(b"v/1\x01")
    with pytest.raises(
        UserError, match=r"a\.exr cannot be read: EXR files need the package OpenEXR: pip install OpenEXR"
    ):
        read(Labels(kind="depth", scale=1.0), tmp_path / "a.exr")


def test_damaged_files(tmp_path: Path) -> None:
    labels = Labels(kind="classes", values=(0,))
    for name in ("a.png", "a.npy", "a.tif"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(UserError, match=rf"{name} cannot be read: "):
            read(labels, tmp_path / name)
    with pytest.raises(UserError, match=r"b\.png is missing"):
        read(labels, tmp_path / "b.png")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", [GREY, RGB, GREY_ALPHA, RGBA])
def test_depth_of_grey_in_any_channels(bits: int, colour: int, tmp_path: Path) -> None:
    """Grey, saved as RGB, each with opaque transparency: the same metres."""
    stored = np.array([[100, 250], [7, 1]]) * (1 if bits == 8 else 200)
    channels = [stored] * (3 if colour in (RGB, RGBA) else 1)
    channels += [np.full_like(stored, 2**bits - 1)] if colour in (GREY_ALPHA, RGBA) else []
    array = stored if colour == GREY else np.stack(channels, axis=2)
    (tmp_path / "a.png").write_bytes(png_bytes(array, bits, colour))
    target = read(Labels(kind="depth", scale=0.001), tmp_path / "a.png")
    assert np.allclose(target[..., 0], stored * 0.001)


def test_transparency_is_no_label(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_bytes(np.array([[[1, 255], [0, 128]]]), 8, GREY_ALPHA))
    with pytest.raises(UserError, match="found 2 channels, of which the last may be transparency, expected one"):
        read(Labels(kind="classes", values=(0, 1)), tmp_path / "a.png")
    four = np.array([[[1, 2, 3, 255]]])
    (tmp_path / "b.png").write_bytes(png_bytes(four, 8, RGBA))
    assert read(Labels(kind="regression", channels=4), tmp_path / "b.png").tolist() == four.tolist()
    assert read(Labels(kind="regression", channels=3), tmp_path / "b.png").tolist() == four[..., :3].tolist()


def test_channels_first_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npy", np.ones((1, 8, 9), np.float32))
    with pytest.raises(
        UserError, match=r"shape \(1, 8, 9\), whose first axis looks like its channels .*, expected one"
    ):
        read(Labels(kind="depth", scale=1.0), path)
