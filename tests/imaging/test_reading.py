from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from bridgenet import UserError
from bridgenet.data.folders.labels import read_array
from bridgenet.data.published.readers import read_image
from bridgenet.imaging.reading import picture_size, read_encoded, read_picture
from tests.imaging.files import flip_bit_of_data
from tests.pictures import noise


def photo(height: int = 6, width: int = 9) -> np.ndarray:
    """Left half red, right half green; the first row blue."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 255
    image[:, width // 2 :, 1] = 255
    image[0] = (0, 0, 255)
    return image


def saved(image: Image.Image, path: Path, **options) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp"])
def test_lossless_files(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(Image.fromarray(photo()), tmp_path / f"a.{suffix}", **options)
    for source in (path, str(path)):
        read = read_picture(source)
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, photo())


def test_jpeg(tmp_path: Path) -> None:
    flat = np.full((16, 24, 3), (200, 100, 50), np.uint8)
    read = read_picture(saved(Image.fromarray(flat), tmp_path / "a.jpg", quality=95))
    assert read.shape == flat.shape
    assert np.abs(read.astype(int) - flat).max() <= 3


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (3, lambda x: x[::-1, ::-1]),
        (6, lambda x: np.rot90(x, -1)),
        (8, np.rot90),
        (5, lambda x: x.transpose(1, 0, 2)),
    ],
)
def test_exif_rotation(tmp_path: Path, orientation: int, turned) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(photo()), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_picture(path), turned(photo()))


def test_pil_images_and_arrays() -> None:
    np.testing.assert_array_equal(read_picture(Image.fromarray(photo())), photo())
    np.testing.assert_array_equal(read_picture(photo()), photo())


def test_grey_and_bilevel(tmp_path: Path) -> None:
    grey = np.arange(54, dtype=np.uint8).reshape(6, 9)
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_picture(saved(Image.fromarray(grey), tmp_path / "a.png")), expected)
    bilevel = read_picture(Image.fromarray(grey > 20))
    np.testing.assert_array_equal(bilevel[..., 1], np.where(grey > 20, 255, 0))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_on_white(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(photo()).convert(mode)
    alpha = np.full((6, 9), 255, np.uint8)
    alpha[1, 1], alpha[2, 2] = 0, 128
    image.putalpha(Image.fromarray(alpha))
    read = read_picture(saved(image, tmp_path / "a.png"))
    assert read.shape == (6, 9, 3)
    assert read[1, 1].tolist() == [255, 255, 255]
    opaque = np.array(Image.fromarray(photo()).convert(mode[:-1]).convert("RGB"))
    np.testing.assert_array_equal(read[3:], opaque[3:])
    assert np.abs(read[2, 2].astype(int) - (opaque[2, 2] / 2 + 127.5)).max() <= 1


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.putpixel((1, 0), 1)
    assert read_picture(saved(image, tmp_path / "a.png")).tolist() == [[[10, 20, 30], [200, 0, 0]]]
    read = read_picture(saved(image, tmp_path / "b.png", transparency=1))
    assert read.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_sixteen_bits(tmp_path: Path) -> None:
    """0..65535 to 0..255; also when the picture is dark."""
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    read = read_picture(saved(Image.fromarray(values), tmp_path / "a.png"))
    assert read[..., 0].tolist() == [[0, 1, 128, 255]]
    dark = read_picture(saved(Image.fromarray(np.array([[0, 200]], np.uint16)), tmp_path / "dark.png"))
    assert dark[..., 0].tolist() == [[0, 1]]


def test_other_numbers(tmp_path: Path) -> None:
    """Floating point with holes, and 32 bits."""
    values = np.array([[0, 0.5, 1, np.nan]], np.float32)
    found = read_picture(saved(Image.fromarray(values), tmp_path / "float.tif"))
    assert found[0, :, 0].tolist() == [0, 128, 255, 0]
    found = read_picture(saved(Image.fromarray(np.array([[0, 10**6, 2 * 10**6]], np.int32)), tmp_path / "large.tif"))
    assert found[0, :, 0].tolist() == [0, 128, 255]


def test_cmyk(tmp_path: Path) -> None:
    image = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    read = read_picture(saved(image, tmp_path / "a.tif"))
    assert read[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.int64),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"expected uint8 of shape \(H, W, 3\)"):
        read_picture(array)


def test_what_is_no_picture(tmp_path: Path) -> None:
    text, empty, cut = tmp_path / "a.jpg", tmp_path / "b.png", tmp_path / "c.png"
    text.write_text("not a picture")
    empty.write_bytes(b"")
    cut.write_bytes(saved(Image.fromarray(noise(40, 40)), tmp_path / "whole.png").read_bytes()[:2000])
    for path, words in ((text, "is not an image"), (empty, "is not an image"), (cut, "is a damaged image")):
        with pytest.raises(UserError, match=f"{path.name} {words}"):
            read_picture(path)
    with pytest.raises(UserError, match="it is a folder"):
        read_picture(tmp_path)
    with pytest.raises(UserError, match=r"no image at .*none\.png"):
        read_picture(tmp_path / "none.png")


@pytest.mark.parametrize("source", [None, 3, [1, 2]])
def test_other_things_are_refused(source) -> None:
    with pytest.raises(UserError, match="expected a path, a PIL image or"):
        read_picture(source)


def test_truncated_jpeg(tmp_path: Path) -> None:
    path = saved(Image.fromarray(noise(64, 64)), tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(UserError, match=r"a\.jpg is a damaged image"):
        read_picture(path)


def test_header_that_claims_to_be_huge(tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    for read in (picture_size, read_picture):
        with pytest.raises(UserError, match=r"bomb\.png is too large: Image size \(900000000 pixels\)"):
            read(path)


def test_whatever_a_decoder_raises_is_a_damaged_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")

    def stumble(image: Image.Image) -> None:
        raise TypeError("unsupported operand")

    monkeypatch.setattr(Image.Image, "load", stumble)
    with pytest.raises(UserError, match=r"a\.png is a damaged image \(unsupported operand\)"):
        read_picture(tmp_path / "a.png")


def test_png_whose_checksum_does_not_fit(tmp_path: Path) -> None:
    path = saved(Image.fromarray(photo()), tmp_path / "a.png")
    flip_bit_of_data(path)
    for source in (path, io.BytesIO(path.read_bytes()).getvalue()):
        with pytest.raises(UserError, match=r"a\.png is a damaged image \(the checksum of its 'IDAT'"):
            read_encoded(source, "a.png")


def test_what_is_left_out_is_noted(tmp_path: Path) -> None:
    image = Image.fromarray(photo()).convert("RGBA")
    assert read_encoded(saved(image, tmp_path / "opaque.png"), "")[1] == []
    image.putpixel((0, 0), (1, 2, 3, 200))
    for name in ("a.png", "a.tif"):
        assert read_encoded(saved(image, tmp_path / name), "")[1] == ["transparent parts are drawn on white"]
    for name, unit in (("a.gif", "frames of an animation"), ("b.tif", "pages")):
        pages = [Image.fromarray(photo()[..., i]) for i in range(3)]
        path = saved(pages[0], tmp_path / name, save_all=True, append_images=pages[1:])
        assert read_encoded(path, "")[1] == [f"the first of 3 {unit}"]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.eps"])
def test_formats_that_start_programs_are_no_images(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n")
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    for read in (read_picture, picture_size, read_array, read_image):
        with pytest.raises(UserError, match=name.replace(".", r"\.")):
            read(path)


def test_tiff_of_other_numbers_is_described(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.float64))
    with pytest.raises(
        UserError, match=r"a\.tif is not an image: it is a TIFF of 1 channel of float64 \(NONE\), expected"
    ):
        read_picture(tmp_path / "a.tif")
