"""Files of numbers give the numbers that they hold, or an error that says what the file is."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bridgenet import UserError
from bridgenet.data.folders.labels import read_array
from bridgenet.imaging import png
from bridgenet.imaging.stored import read_stored
from tests.imaging.files import GREY, GREY_ALPHA, PALETTE, RGB, RGBA, chunk, flip_bit_of_data, pgm_bytes, png_bytes

VALUES = np.arange(24).reshape(4, 6)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_png_of_any_depth(bits: int, tmp_path: Path) -> None:
    values = VALUES * 2500 if bits == 16 else VALUES % 2**bits
    found = read_stored(written(tmp_path / "a.png", png_bytes(values, bits)))
    np.testing.assert_array_equal(found, values)
    assert found.dtype == (np.uint16 if bits == 16 else np.uint8)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_png_gives_indices(bits: int, tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", png_bytes(VALUES % 2**bits, bits, PALETTE))
    np.testing.assert_array_equal(read_stored(path), VALUES % 2**bits)


@pytest.mark.parametrize(("colour", "channels"), [(GREY_ALPHA, 2), (RGB, 3), (RGBA, 4)])
@pytest.mark.parametrize("bits", [8, 16])
def test_png_of_several_channels(bits: int, colour: int, channels: int, tmp_path: Path) -> None:
    values = np.stack([(VALUES + channel) * (9 if bits == 8 else 2000) for channel in range(channels)], axis=2)
    np.testing.assert_array_equal(read_stored(written(tmp_path / "a.png", png_bytes(values, bits, colour))), values)


def test_interlaced_png(tmp_path: Path) -> None:
    values = np.arange(17 * 11).reshape(17, 11) * 300
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    seen = [values[top::down, left::right] for top, left, down, right in passes]
    data = b"".join(b"\0" + row.astype(">u2").tobytes() for part in seen for row in part if row.size)
    header = struct.pack(png.HEADER, 11, 17, 16, GREY, 0, 0, 1)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")]
    path = written(tmp_path / "a.png", png.SIGNATURE + b"".join(parts))
    np.testing.assert_array_equal(read_stored(path), values)


def test_transparent_values_gamma_and_used_bits_change_nothing(tmp_path: Path) -> None:
    more = chunk(b"gAMA", b"\0\0\xb1\x8f") + chunk(b"sBIT", b"\x0c") + chunk(b"tRNS", b"\x03\xe8")
    np.testing.assert_array_equal(
        read_stored(written(tmp_path / "a.png", png_bytes(VALUES * 1000, 16, more=more))), VALUES * 1000
    )


@pytest.mark.parametrize("colour", [GREY, PALETTE])
def test_png_whose_checksum_does_not_fit(colour: int, tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", png_bytes(VALUES, 8, colour))
    flip_bit_of_data(path)
    with pytest.raises(UserError, match=r"a\.png cannot be read: the checksum of its 'IDAT' part"):
        read_array(path)


def test_png_of_other_contents(tmp_path: Path) -> None:
    whole = png_bytes(VALUES, 8)
    for content, words in [
        (whole[:-20], "truncated"),
        (whole[:12], "truncated"),
        (whole.replace(chunk(b"IEND", b""), b""), "truncated"),
        (png.SIGNATURE + chunk(b"IHDR", b"") + chunk(b"IEND", b""), "its header is damaged"),
        (png_bytes(VALUES[:3], 8).replace(b"\0\0\0\6\0\0\0\3", b"\0\0\0\6\0\0\0\4"), "checksum of its .IHDR. part"),
        (png_bytes(VALUES, 8, colour=5), "its header is damaged"),
    ]:
        with pytest.raises(ValueError, match=words):
            read_stored(written(tmp_path / "a.png", content))


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("largest", [23, 255, 256, 10_000, 65_535])
def test_largest_value_of_pgm_is_no_scale(largest: int, text: bool, tmp_path: Path) -> None:
    found = read_stored(written(tmp_path / "a.pgm", pgm_bytes(VALUES, largest, text=text)))
    np.testing.assert_array_equal(found, VALUES)
    colours = np.stack([VALUES] * 3, axis=2)
    np.testing.assert_array_equal(
        read_stored(written(tmp_path / "a.ppm", pgm_bytes(colours, largest, text=text))), colours
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pgm_bytes(VALUES, 255)[:-1], "truncated: it holds 23 of 24 values"),
        (pgm_bytes(VALUES, 22), "holds 23, above the largest value that it states, 22"),
        (pgm_bytes(VALUES, 0), "largest value is 0, expected 1 to 65535"),
        (b"P4\n8 1\n\xff", "no PGM or PPM"),
        (b"P5\n99999 99999\n255\n", "too large: 99999×99999 pixels"),
    ],
)
def test_damaged_pgm(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        read_stored(written(tmp_path / "a.pgm", content))


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<i2", "<u4", "<i4", "<f2", "<f4", "<f8", ">f8"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "predictor": True}, {"bigtiff": True}])
def test_tiff_of_any_type(dtype: str, options: dict, tmp_path: Path) -> None:
    if "f" in dtype:
        options = {name: value for name, value in options.items() if name != "predictor"}
    values = (VALUES * 7).astype(dtype)
    byteorder = ">" if dtype.startswith(">") else "<"
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=byteorder, **options)
    found = read_stored(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype.newbyteorder("=")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_with_white_as_zero_is_not_inverted(dtype: type, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", VALUES.astype(dtype), photometric="miniswhite")
    np.testing.assert_array_equal(read_stored(tmp_path / "a.tif"), VALUES)


@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
def test_tiff_of_channels(planarconfig: str, tmp_path: Path) -> None:
    for channels in (2, 3, 5):
        values = np.stack([VALUES + 1000 * i for i in range(channels)], axis=2).astype(np.uint16)
        stored = values if planarconfig == "contig" else np.moveaxis(values, 2, 0)
        photometric = "rgb" if channels == 3 else "minisblack"
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric=photometric, planarconfig=planarconfig)
        np.testing.assert_array_equal(read_stored(tmp_path / "a.tif"), values)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32])
def test_tiff_in_lzw(dtype: type, tmp_path: Path) -> None:
    values = (VALUES % 2).astype(dtype) if dtype is bool else VALUES.astype(dtype)
    predictor = {317: 3} if dtype is np.float32 else {}
    Image.fromarray(values).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo=predictor)
    np.testing.assert_array_equal(read_array(tmp_path / "a.tif")[..., 0], values)


def test_tiff_of_several_pages(tmp_path: Path) -> None:
    """A reduced copy is none."""
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(VALUES.astype(np.uint8))
        file.write(VALUES[::2, ::2].astype(np.uint8), subfiletype=1)
    np.testing.assert_array_equal(read_stored(tmp_path / "a.tif"), VALUES)
    tifffile.imwrite(tmp_path / "b.tif", np.stack([VALUES, VALUES]).astype(np.uint8), photometric="minisblack")
    with pytest.raises(UserError, match=r"b\.tif cannot be read: it is a TIFF of 2 pages, expected one"):
        read_array(tmp_path / "b.tif")


def test_tiff_that_nothing_reads_is_described(tmp_path: Path) -> None:
    content = io.BytesIO()
    tifffile.imwrite(
        content, np.stack([VALUES] * 5, axis=2).astype(np.uint16), photometric="minisblack", planarconfig="contig"
    )
    compression = bytes([3, 1, 3, 0, 1, 0, 0, 0])  # tag 259, SHORT, one value
    as_lzw = content.getvalue().replace(compression + b"\1\0", compression + b"\5\0")
    path = written(tmp_path / "a.tif", as_lzw)
    with pytest.raises(UserError, match=r"it is a TIFF of 5 channels of uint16 \(LZW\), which cannot be read"):
        read_array(path)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"compression": "zlib", "tile": (16, 16)}])
def test_truncated_tiff(options: dict, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 99, (40, 60), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    content = (tmp_path / "a.tif").read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        with pytest.raises(UserError, match=r"a\.tif cannot be read: "):
            read_array(written(tmp_path / "a.tif", content[: int(len(content) * share)]))


def test_tiff_that_is_not_upright_is_refused(tmp_path: Path) -> None:
    for orientation in (1, 6):
        tags = [(274, 3, 1, orientation, True)]
        tifffile.imwrite(tmp_path / f"{orientation}.tif", VALUES.astype(np.uint8), extratags=tags)
    np.testing.assert_array_equal(read_stored(tmp_path / "1.tif"), VALUES)
    with pytest.raises(UserError, match=r"6\.tif cannot be read: its orientation is 6, expected labels"):
        read_array(tmp_path / "6.tif")


def test_comments_and_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pgm", b"P2 # grey\n2 2 # sides\n9\n# four\n1 2 # a row\n3 9\n")
    assert read_stored(path).tolist() == [[1, 2], [3, 9]]
    with pytest.raises(UserError, match=r"a\.png cannot be read: it is empty \(0 bytes\)"):
        read_array(written(tmp_path / "a.png", b""))


def test_archive_of_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", VALUES)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(UserError, match=r"a\.npy cannot be read: it is an archive \(\.npz\), expected one array"):
        read_array(tmp_path / "a.npy")


@pytest.mark.parametrize("frames", [1, 2])
def test_animations_are_no_labels(frames: int, tmp_path: Path) -> None:
    images = [Image.fromarray((VALUES + i).astype(np.uint8)) for i in range(frames)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:])
    if frames == 1:
        np.testing.assert_array_equal(read_stored(tmp_path / "a.gif"), VALUES)
        return
    with pytest.raises(ValueError, match="it holds 2 pictures, expected one"):
        read_stored(tmp_path / "a.gif")


@st.composite
def label_files(draw: st.DrawFn) -> tuple[bytes, np.ndarray]:
    """The content of a file in any of the formats, and the numbers in it."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["png", "pgm", "tif", "npy"]))
    if kind == "png":
        colour = draw(st.sampled_from([GREY, RGB, PALETTE, GREY_ALPHA, RGBA]))
        bits = draw(st.sampled_from({GREY: [1, 2, 4, 8, 16], PALETTE: [1, 2, 4, 8]}.get(colour, [8, 16])))
        channels = {GREY: (), PALETTE: (), GREY_ALPHA: (2,), RGB: (3,), RGBA: (4,)}[colour]
        values = rng.integers(0, 2**bits, (height, width, *channels))
        return png_bytes(values, bits, colour), values
    channels = draw(st.sampled_from([(), (3,)]))
    if kind == "pgm":
        largest = draw(st.integers(1, 65535))
        values = rng.integers(0, largest + 1, (height, width, *channels))
        return pgm_bytes(values, largest, text=draw(st.booleans())), values
    dtype = draw(
        st.sampled_from([f"{order}{code}" for order in "<>" for code in ("u1", "u2", "i2", "u4", "f2", "f4", "f8")])
    )
    values = rng.integers(0, 200, (height, width, *channels)).astype(dtype)
    content = io.BytesIO()
    if kind == "npy":
        np.save(content, np.asfortranarray(values) if draw(st.booleans()) else values)
    else:
        compression = draw(st.sampled_from([None, "zlib"]))
        photometric = "rgb" if channels else draw(st.sampled_from(["minisblack", "miniswhite"]))
        tifffile.imwrite(
            content, values, byteorder=dtype[0], compression=compression, photometric=photometric, planarconfig="contig"
        )
    return content.getvalue(), values


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=label_files(), damage=st.none() | st.tuples(st.floats(0, 1), st.integers(1, 255)))
def test_any_file_is_read_as_stored_or_refused(
    file: tuple[bytes, np.ndarray], damage: tuple[float, int] | None, tmp_path: Path
) -> None:
    """Whole files give their numbers; of damaged ones, PNG never gives others."""
    content, values = bytearray(file[0]), file[1]
    if damage is not None:
        content[int(damage[0] * (len(content) - 1))] ^= damage[1]
    path = written(tmp_path / "any", content)
    try:
        found = read_array(path)
    except UserError as error:
        assert damage is not None and str(path) in str(error)
        return
    if damage is None or file[0].startswith(b"\x89PNG"):
        np.testing.assert_array_equal(found, values.reshape(found.shape))
        assert found.dtype.isnative and found.flags.c_contiguous
