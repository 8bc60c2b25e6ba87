"""Read the archives' files as arrays. A missing, damaged or unexpected file raises a UserError that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from bridgenet.errors import UserError
from bridgenet.tasks.kinds.depth import LARGEST_DEPTH, check_metres

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


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
    """Read any picture that Pillow decodes as (H, W, 3) uint8 RGB. Raises UserError if that fails."""
    with reading(path):
        if (array := plain_png(path)) is not None and array.ndim == 3:
            return array
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))


def read_png(path: Path, channels: int) -> np.ndarray:
    """Read a label picture as stored: (H, W) uint8 for one channel (also palette indices), else (H, W, channels).

    Raises UserError if the file has another number of channels or is not 8 bit.
    """
    with reading(path):
        if (array := plain_png(path)) is not None:
            mode = "L" if array.ndim == 2 else "RGB"
        else:
            with Image.open(path) as image:
                array = np.asarray(image)
                mode = image.mode
    found = 1 if array.ndim == 2 else array.shape[2]
    if found != channels or array.dtype != np.uint8:
        raise UserError(f"{path}: found {found} channel(s), {array.dtype} (mode {mode}), expected {channels} of 8 bit")
    return array


def read_png16(path: Path, expected: str) -> np.ndarray:
    """Read a 16-bit picture of one channel, (H, W) uint16. Raises UserError, with `expected` content, for any other."""
    with reading(path), Image.open(path) as image:
        mode = image.mode
        array = np.asarray(image)
    if not mode.startswith("I;16"):
        raise UserError(f"{path}: found a picture of mode {mode}, expected one channel of 16 bits: {expected}")
    return array.astype(np.uint16, copy=False)


def plain_png(path: Path) -> np.ndarray | None:
    """Read an undamaged 8-bit grey or RGB PNG, (H, W) or (H, W, 3) uint8, with OpenCV, which is faster than Pillow.

    Returns None for any other file, also for a damaged one: Pillow reports the reason.
    """
    content = path.read_bytes()
    is_plain = content[:8] == PNG_SIGNATURE and content[24:26] in (b"\x08\x00", b"\x08\x02") and content[28:29] == b"\0"
    if not is_plain or content[-12:] != PNG_END:
        return None
    array = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint8 or array.shape[2:] not in ((), (3,)):  # transparency adds a channel
        return None
    return array if array.ndim == 2 else cv2.cvtColor(array, cv2.COLOR_BGR2RGB)


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
