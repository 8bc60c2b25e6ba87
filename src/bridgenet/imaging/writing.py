"""Write arrays and pictures to files; a full disk raises OSError, which the libraries' writers hide."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def write_png(path: Path, values: NDArray[Any]) -> None:
    """Write (H, W) or (H, W, 3) BGR, uint8 or uint16, as PNG."""
    import cv2

    path.write_bytes(cv2.imencode(".png", np.ascontiguousarray(values))[1].tobytes())


def write_npy(path: Path, values: NDArray[Any]) -> None:
    """Write any array in NumPy's format."""
    values = np.ascontiguousarray(values)
    with path.open("wb") as file:  # np.save does not report a full disk
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(values))
        file.write(values.data)


def write_image(path: Path, image: Image.Image) -> None:
    """Write a picture as PNG."""
    content = io.BytesIO()  # on a full disk, Pillow would report an "encoder error"
    image.save(content, "PNG")
    path.write_bytes(content.getbuffer())
