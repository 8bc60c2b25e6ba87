"""Read pictures (files, PIL images, arrays) as (H, W, 3) uint8 RGB arrays."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from bridgenet.errors import UserError
from bridgenet.imaging import png
from bridgenet.imaging.limits import MOST_PIXELS
from bridgenet.imaging.stored import TIFF_SIGNATURES, description_of_tiff

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM")
"""The formats that are read, as Pillow calls them; others, like EPS, may start further programs."""
SERIES = {
    "GIF": "frames of an animation",
    "WEBP": "frames of an animation",
    "PNG": "frames of an animation",
    "TIFF": "pages",
}
"""What is read alone where a file holds several, by format."""
SUFFIXES = {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"}
"""Suffixes of pictures in a folder."""


def read_picture(source: Any) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) uint8 RGB.

    Args:
        source: a path; a PIL image; or an array (H, W, 3) uint8 RGB. Files and PIL images may be grey, 16-bit (reduced to
            8), CMYK, or have a palette or alpha (drawn on white); EXIF rotation is applied.

    Raises:
        UserError: the source is no picture, or a damaged one.
    """
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or source.size == 0:
            raise UserError(
                f"the array is {source.dtype} of shape {source.shape}, expected uint8 of shape (H, W, 3), RGB"
            )
        return source
    if isinstance(source, Image.Image):
        return _rgb(source)[0]
    if not isinstance(source, str | Path):
        raise UserError(
            f"{source!r} is a {type(source).__name__}, expected a path, a PIL image or an (H, W, 3) uint8 array"
        )
    path = Path(source)
    if not path.is_file():
        raise UserError(f"no image at {path}" + (" (it is a folder)" if path.is_dir() else ""))
    return read_encoded(path, str(path))[0]


def read_encoded(
    source: Path | bytes, name: str, most_pixels: int = MOST_PIXELS
) -> tuple[NDArray[np.uint8], list[str]]:
    """Read a picture file, or its content, like :func:`read_picture`; also returns notes for the user.

    Args:
        source: the file or its content; of an animation, the first frame is read.
        name: its name in errors.
        most_pixels: larger pictures are refused before they are decoded.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            if file.read(8) == png.SIGNATURE:
                file.seek(0)
                png.check(file)
            file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(file, formats=FORMATS) as image:
                    if image.width * image.height > most_pixels:
                        raise _too_large(name, f"{image.width}×{image.height} pixels", most_pixels)
                    frames, unit = getattr(image, "n_frames", 1), SERIES.get(image.format or "")
                    notes = [f"the first of {frames} {unit}"] if frames > 1 and unit else []
                    picture, more = _rgb(image)
                    return picture, notes + more
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UserError(f"{name} is not an image{_what_it_is(source)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, _said(error), most_pixels) from None
    except Exception as error:  # decoders raise nearly anything on damaged files: TypeError, struct.error, …
        raise UserError(f"{name} is a damaged image ({error})") from None


def _what_it_is(source: Path | bytes) -> str:
    """What else is said of a file that is none: nothing, or what kind of TIFF it is."""
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        start = file.read(4)
        if not start:
            return " (0 bytes)"
        file.seek(0)
        if start in TIFF_SIGNATURES and (found := description_of_tiff(file)):
            return f": it is {found}, expected grey or RGB of 8 or 16 bits"
    return ""


def _said(error: Exception) -> str:
    """What Pillow says of a picture's size, without its own limit."""
    return str(error).partition(" exceeds")[0]


def _too_large(name: str, found: str, most_pixels: int = MOST_PIXELS) -> UserError:
    return UserError(
        f"{name} is too large: {found}; at most {most_pixels / 1e6:.0f} million pixels are read. Cut or shrink it first"
    )


def picture_size(path: Path) -> tuple[int, int]:
    """(height, width) [pixels] that :func:`read_picture` would return, from a file's header. Raises UserError for damaged files."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            height, width = image.height, image.width
            is_turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    except Image.DecompressionBombError as error:
        raise _too_large(str(path), _said(error)) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path} is a damaged image ({error})") from None
    return (width, height) if is_turned else (height, width)


def _rgb(image: Image.Image) -> tuple[NDArray[np.uint8], list[str]]:
    """(H, W, 3) RGB of a picture in any mode, and notes about it."""
    notes = []
    image.load()
    is_16_bits = image.mode.startswith("I;16") or (
        image.mode == "I" and image.format == "PNG"
    )  # the mode of older Pillow versions
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits, or floating point
        values = np.asarray(image, dtype=np.float64)
        values = np.where(np.isfinite(values), values, 0)
        largest = values.max(initial=0)
        if image.mode == "F" and largest <= 1:
            values = values * 255
        elif largest > 65535:
            values = values * (255 / largest)
        elif is_16_bits or largest > 255:
            values = values / 257
        image = Image.fromarray(values.round().clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            notes.append("transparent parts are drawn on white")
        background = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(background, image)
    return np.array(image.convert("RGB")), notes
