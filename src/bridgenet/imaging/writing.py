"""Arrays and pictures as files; a full disk is an OSError, which the libraries' own writers do not tell."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def write_png(path: Path, values: NDArray[Any]) -> None:
    """(H, W) or (H, W, 3) BGR, uint8 or uint16."""
    import cv2

    path.write_bytes(cv2.imencode(".png", np.ascontiguousarray(values))[1].tobytes())


def write_npy(path: Path, values: NDArray[Any]) -> None:
    """Any array, in NumPy's format."""
    values = np.ascontiguousarray(values)
    with path.open("wb") as file:  # np.save does not tell that a disk is full
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(values))
        file.write(values.data)


def write_image(path: Path, image: Image.Image) -> None:
    """A picture as PNG."""
    content = io.BytesIO()  # writing to a full disk itself, Pillow tells of an "encoder error"
    image.save(content, "PNG")
    path.write_bytes(content.getbuffer())
