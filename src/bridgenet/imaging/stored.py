"""Read files of numbers (labels, depth, regressions) as they are stored: nothing is narrowed, rescaled or inverted.

What cannot be read so is refused. Functions raise whatever their decoders do, or ValueError, in words that go on after the
name of the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bridgenet.imaging import png
from bridgenet.imaging.limits import check_pixels

if TYPE_CHECKING:
    from tifffile import TiffPage

Stored = NDArray[Any]

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WHITE_IS_ZERO = 0
NUMPY_SIGNATURE = b"\x93NUMPY"
ZIP_SIGNATURE = b"PK\x03\x04"
EXR_SIGNATURE = b"v/1\x01"
EIGHT_BITS = ("JPEG", "WEBP", "BMP", "GIF")
"""Formats that hold 8 bits per channel, as Pillow calls them."""
MODES = ("1", "L", "P", "LA", "RGB", "RGBA")
"""Pillow's modes of such pictures."""
_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
_NETPBM = re.compile(rb"P([2356])" + (_SPACE + rb"(\d{1,9})") * 3 + rb"\s")


def read_stored(path: Path) -> Stored:
    """Read an array, (H, W) or (H, W, C), palettes as indices; the content, not the suffix, tells the format."""
    with path.open("rb") as file:
        start = file.read(8)
        file.seek(0)
        if not start:
            raise ValueError("it is empty (0 bytes)")
        if start == png.SIGNATURE:
            return png.read_png(file)[0]
        if start[:4] in TIFF_SIGNATURES:
            return read_tiff(file)
        if start.startswith(NUMPY_SIGNATURE):
            return np.load(file, allow_pickle=False)
        if start[:4] == EXR_SIGNATURE:
            return _read_exr(path)
        if start[:4] == ZIP_SIGNATURE:
            raise ValueError("it is an archive (.npz), expected one array: numpy.save(...) writes it")
        if re.match(rb"P[1-7Ff]\s", start):
            return _read_netpbm(file.read())
        return _read_eight_bits(file)


def _read_netpbm(content: bytes) -> Stored:
    """The numbers of PGM and PPM of any largest value, which is not a scale."""
    found = _NETPBM.match(content)
    if found is None:
        raise ValueError("it is no PGM or PPM (P2, P3, P5, P6) with width, height and largest value")
    kind, width, height, largest = map(int, found.groups())
    if not 0 < largest < 65536:
        raise ValueError(f"its largest value is {largest}, expected 1 to 65535")
    channels = 3 if kind in (3, 6) else 1
    check_pixels(width, height)
    dtype = np.dtype(np.uint8 if largest < 256 else np.uint16)
    number = width * height * channels
    if kind in (2, 3):
        words = re.sub(rb"#[^\r\n]*", b"", content[found.end() :]).split(maxsplit=number)
        values = np.array(words[:number], np.int64)
    else:
        values = np.frombuffer(content[found.end() :], dtype.newbyteorder(">"))[:number]
    if values.size != number:
        raise ValueError(f"it is truncated: it holds {values.size} of {number} values")
    if values.max(initial=0) > largest:
        raise ValueError(f"it is damaged: it holds {values.max()}, above the largest value that it states, {largest}")
    return values.astype(dtype).reshape((height, width, 3) if channels == 3 else (height, width))


def _read_eight_bits(file: BinaryIO) -> Stored:
    try:
        image = Image.open(file, formats=EIGHT_BITS)
    except Image.UnidentifiedImageError:
        raise ValueError("it is no PNG, TIFF, PGM, NumPy or EXR file, nor JPEG, WebP, BMP or GIF") from None
    with image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise ValueError(f"it holds {frames} pictures, expected one")
        if image.mode not in MODES or any("BGR;" in str(tile[-1]) for tile in image.tile):
            raise ValueError(f"it is a {image.format} of mode {image.mode} and not of 8 bits a channel")
        check_pixels(*image.size)
        return np.asarray(image)


def read_tiff(file: BinaryIO) -> Stored:
    """The numbers of the only page of a TIFF, which must be upright; reduced copies and masks do not count."""
    import tifffile

    with tifffile.TiffFile(file) as content:
        pages = [page.aspage() for page in content.pages]
        pages = [page for page in pages if not page.is_reduced and not page.is_mask]
        if len(pages) != 1:
            raise ValueError(f"it is a TIFF of {len(pages)} pages, expected one")
        page = pages[0]
        if page.axes not in ("YX", "YXS", "SYX") or page.dtype is None:
            raise ValueError(f"it is {described(page)}, expected height, width and channels of numbers")
        if (orientation := page.tags.valueof(274, 1)) != 1:
            raise ValueError(f"its orientation is {orientation}, expected labels that are stored as the image is shown")
        check_pixels(page.imagewidth, page.imagelength)
        try:
            array = page.asarray()
            return np.moveaxis(array, 0, 2) if page.axes == "SYX" else array
        except Exception as error:
            if "imagecodecs" not in str(error):
                raise
            return _by_pillow(file, page)


def description_of_tiff(file: BinaryIO) -> str:
    """:func:`described` of the first page of a file; empty if it cannot be read."""
    import tifffile

    try:
        with tifffile.TiffFile(file) as content:
            return described(content.pages[0].aspage())
    except Exception:  # of a damaged file anything
        return ""


def described(page: TiffPage) -> str:
    """A page of a TIFF in words, e.g. ``a TIFF of 5 channels of uint8 (LZW)``."""
    channels = page.samplesperpixel
    compression = getattr(page.compression, "name", page.compression)
    kind = page.dtype if page.bitspersample in (8, 16, 32, 64) else f"{page.bitspersample} bits"
    return f"a TIFF of {channels} channel{'' if channels == 1 else 's'} of {kind} ({compression})"


def _by_pillow(file: BinaryIO, page: TiffPage) -> Stored:
    """What tifffile decodes only with a further package (LZW, JPEG, 2 or 4 bits), if Pillow keeps its type."""
    bits = page.bitspersample
    file.seek(0)
    try:
        with Image.open(file, formats=["TIFF"]) as image:
            is_stretched = image.mode in ("1", "L") and bits < 8
            array = np.array(image.convert("L") if is_stretched else image)
            is_inverted = page.photometric == WHITE_IS_ZERO and array.dtype == np.uint8 and image.mode != "P"
    except Image.UnidentifiedImageError:
        array = np.zeros(0, bool)
        is_stretched = is_inverted = False
    if array.size != page.size or page.dtype is None or not np.can_cast(page.dtype, array.dtype):
        raise ValueError(f"it is {described(page)}, which cannot be read. Save it without compression") from None
    if is_inverted:
        array = 255 - array
    return (array // (255 // (2**bits - 1)) if is_stretched else array).astype(page.dtype)


def _read_exr(path: Path) -> Stored:
    """The channels R, G, B of an EXR file, (H, W, 3), or its only channel."""
    try:
        import OpenEXR
    except ImportError:
        raise ValueError(
            "EXR files need the package OpenEXR: pip install OpenEXR (or bridgenet[exr]); or store .npy files"
        ) from None
    with OpenEXR.File(str(path), separate_channels=True) as file:
        if len(file.parts) > 1:
            raise ValueError(f"it is an EXR of {len(file.parts)} parts, expected one")
        stored = {name: channel.pixels for name, channel in file.channels().items()}
    channels = {name.rpartition(".")[2].upper(): pixels for name, pixels in stored.items()}
    for names in ("RGB", "XYZ"):
        if set(names) <= set(channels) and len(channels) == len(stored):
            return np.stack([channels[name] for name in names], axis=2)
    if len(stored) != 1:
        raise ValueError(f"found the channels {', '.join(stored)}, expected R, G, B, or one alone")
    return next(iter(channels.values()))
