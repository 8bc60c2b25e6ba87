"""Read the archives' files as arrays. A missing, damaged or unexpected file raises a UserError that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bridgenet.errors import UserError
from bridgenet.imaging import png
from bridgenet.imaging.reading import FORMATS
from bridgenet.tasks.kinds.depth import LARGEST_DEPTH, check_metres


@contextmanager
def reading(path: Path, *, is_published: bool = True) -> Iterator[None]:
    """Turn all errors of a decoder into a UserError with the file and the reason; `is_published`: of an archive."""
    advice = ". Unpack the archive again" if is_published else ""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path} is missing{advice}") from None
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        reason = reason.removesuffix(f" {str(path)!r}")  # Pillow names the file as well
        advice += " or replace the file" if is_published else ""
        raise UserError(f"{path} cannot be read: {reason}{advice}") from error


def read_image(path: Path) -> np.ndarray:
    """Read any picture (see :data:`bridgenet.imaging.reading.FORMATS`) as (H, W, 3) uint8 RGB. Raises UserError if that fails."""
    with reading(path), path.open("rb") as file:
        if file.read(8) == png.SIGNATURE:
            file.seek(0)
            array, bits = png.read_png(file)
            if bits == 8 and array.shape[2:] == (3,):
                return array
        file.seek(0)
        with Image.open(file, formats=FORMATS) as image:
            return np.asarray(image.convert("RGB"))


def read_png(path: Path, channels: int) -> np.ndarray:
    """Read a label picture as stored: (H, W) uint8 for one channel (also palette indices), else (H, W, channels).

    Raises UserError if the file has another number of channels or is not 8 bit.
    """
    array, bits = stored_png(path)
    found = 1 if array.ndim == 2 else array.shape[2]
    if found != channels or bits != 8:
        raise UserError(f"{path}: found {found} channel(s) of {bits} bit, expected {channels} of 8 bit")
    return array


def read_png16(path: Path, expected: str) -> np.ndarray:
    """Read a 16-bit picture of one channel, (H, W) uint16. Raises UserError, with `expected` content, for any other."""
    array, bits = stored_png(path)
    if bits != 16 or array.ndim != 2:
        found = 1 if array.ndim == 2 else array.shape[2]
        raise UserError(f"{path}: found {found} channel(s) of {bits} bit, expected one of 16 bits: {expected}")
    return array


def stored_png(path: Path) -> tuple[np.ndarray, int]:
    """The numbers of a PNG and their bits, see :func:`bridgenet.imaging.png.read_png`. Raises UserError if that fails."""
    with reading(path), path.open("rb") as file:
        return png.read_png(file)


def read_classes(path: Path, highest: int, *, ignore: int | None = None) -> np.ndarray:
    """Read a label picture of class indices 0..highest and `ignore`, (H, W) uint8. Raises UserError for other values."""
    array = read_png(path, channels=1)
    wrong = array > highest
    if ignore is not None:
        wrong &= array != ignore
    if wrong.any():
        found = ", ".join(str(value) for value in np.unique(array[wrong])[:5])
        expected = f"0..{highest}" + ("" if ignore is None else f" and {ignore}")
        raise UserError(f"{path}: found the label(s) {found}, expected {expected}. Is it another label set?")
    return array


def read_depth(path: Path) -> np.ndarray:
    """Read a depth map stored as .npy, (H, W) or (H, W, 1), as (H, W, 1) float32 [m], 0 where unknown.

    Raises UserError for another shape, a type other than real numbers, and values that are negative or not finite.
    """
    with reading(path):
        array = np.load(path, allow_pickle=False)
    shape = array.shape
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] != 1 or array.dtype.kind not in "fiu":
        raise UserError(f"{path}: found an array of shape {shape} and type {array.dtype}, expected (H, W) of metres")
    array = array.astype(np.float32, copy=False)
    check_metres(path, array, large=f", expected less than {LARGEST_DEPTH:g}. Is it in millimetres?")
    return array


def read_probability(path: Path) -> np.ndarray:
    """Read a grey picture as v/255, (H, W, 1): uint8 if it holds only 0 and 255, else float32."""
    array = read_png(path, channels=1)[..., None]
    positive = (array == 255).view(np.uint8)
    return positive if np.array_equal(positive * np.uint8(255), array) else array.astype(np.float32) / np.float32(255)


def read_mat(path: Path, key: str) -> Any:
    """Read the variable `key` of a Matlab file with SciPy (structures as object arrays, nothing squeezed)."""
    from scipy.io import loadmat

    with reading(path):
        content = loadmat(path)
    if key not in content:
        found = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise UserError(f"{path}: found {found}, expected the variable {key}")
    return content[key]
