"""The archives' files as arrays. A file that is missing, damaged or of another kind is a UserError naming it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bridgenet.errors import UserError
from bridgenet.tasks import IGNORE


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises on `path` into a UserError that names the file and the reason."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path} is missing. Unpack the archive again") from None
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        reason = reason.removesuffix(f" {str(path)!r}")  # Pillow names the file as well
        raise UserError(f"{path} cannot be read: {reason}. Unpack the archive again or replace the file") from error


def read_image(path: Path) -> np.ndarray:
    """Any picture that Pillow decodes, as (H, W, 3) float32 RGB in [0, 255]."""
    with reading(path), Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=np.float32)


def read_png(path: Path, channels: int) -> np.ndarray:
    """A label picture as it is stored: (H, W) uint8 for one channel (also a palette's indices), else (H, W, channels).

    Raises UserError if the file has another number of channels or is not 8 bit.
    """
    with reading(path), Image.open(path) as image:
        array = np.asarray(image)
        mode = image.mode
    found = 1 if array.ndim == 2 else array.shape[2]
    if found != channels or array.dtype != np.uint8:
        raise UserError(f"{path}: found {found} channel(s), {array.dtype} (mode {mode}), expected {channels} of 8 bit")
    return array


def read_classes(path: Path, highest: int, *, ignore: int | None = None) -> np.ndarray:
    """A label picture of class indices 0..highest, or `ignore`; (H, W) uint8. UserError for any other value."""
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
    """A depth map stored as .npy, (H, W) or (H, W, 1), as (H, W, 1) float32 [m], 0 where unknown.

    Raises UserError for another shape, a type other than real numbers, and values that are negative or not finite.
    """
    with reading(path):
        array = np.load(path, allow_pickle=False)
    shape = array.shape
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] != 1 or array.dtype.kind not in "fiu":
        raise UserError(f"{path}: found an array of shape {shape} and type {array.dtype}, expected (H, W) of metres")
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise UserError(f"{path}: {(~np.isfinite(array)).sum()} depth values are not finite, expected metres >= 0")
    if array.min(initial=0) < 0:
        raise UserError(f"{path}: found depth {array.min():g} m, expected >= 0 (0 = unknown)")
    if array.max(initial=0) >= IGNORE:
        raise UserError(f"{path}: found depth {array.max():g} m, expected less than {IGNORE}. Is it in millimetres?")
    return array


def read_normals(path: Path) -> np.ndarray:
    """Unit vectors stored as RGB, n = 2·v/255 − 1; (H, W, 3) float32 (x, y, z)."""
    return np.float32(2) * read_png(path, channels=3).astype(np.float32) / np.float32(255) - np.float32(1)


def read_mat(path: Path, key: str) -> Any:
    """The variable `key` of a Matlab file as SciPy gives it (structures as object arrays, nothing squeezed)."""
    from scipy.io import loadmat

    with reading(path):
        content = loadmat(path)
    if key not in content:
        found = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise UserError(f"{path}: found {found}, expected the variable {key}")
    return content[key]
