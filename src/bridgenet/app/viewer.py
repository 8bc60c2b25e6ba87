"""A prediction as HTML: each task's map over the photo, with slider, opacity, legend, and values under the cursor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bridgenet import tasks
from bridgenet.imaging.drawing import colour_map
from bridgenet.imaging.pages import as_base64, data_uri, template
from bridgenet.prediction import Prediction
from bridgenet.tasks.visualize import as_map, colourise, key_of, range_of

LONG_SIDE = 900
"""Largest side of pictures on the page [pixels]; the files to download have the full size."""
VALUES_SIDE = 160
"""Largest side of the maps of values under the cursor [pixels]."""
MOST_CLASSES = 18


def views(prediction: Prediction) -> str:
    """Render all tasks side by side."""
    names = prediction.class_names
    return template("bridgenet.app", "viewer.html.j2").render(
        photo=_picture(prediction.image, photograph=True),
        views=[_view(task, values, names.get(task, ())) for task, values in prediction.maps.items()],
    )


def _view(task: str, values: NDArray[Any], names: Sequence[str]) -> dict[str, Any]:
    """The template's variables for a task."""
    known = tasks.get(task)
    small = _reduced(values, VALUES_SIDE, nearest=True)
    array = (small if small.ndim == 3 else small[..., None]).astype("<f4")
    shown = as_map(task, values)
    key = key_of(task, [shown], names, MOST_CLASSES, range_of(task, shown))
    found: dict[str, Any] = {"swatches": key.swatches, "stops": []}
    if key.bar is not None:
        colours, ends, bar_unit = key.bar
        found["stops"] = colour_map(colours, np.linspace(0, 1, 9)[None])[0].tolist()
        found["ends"] = [f"{end:.3g}{bar_unit}" for end in ends]
    data = {
        "values": as_base64(array.tobytes()),
        "height": array.shape[0],
        "width": array.shape[1],
        "channels": array.shape[2],
        "names": json.dumps(list(names) if known.kind.has_classes else []),
        "unit": known.kind.value_unit(known),
    }
    return found | {"data": data, "title": known.title, "picture": _picture(colourise(task, values))}


def _picture(image: NDArray[np.uint8], *, photograph: bool = False) -> str:
    """Encode a picture as a data URI, reduced for the page."""
    reduced = Image.fromarray(_reduced(image, LONG_SIDE, nearest=not photograph))
    return data_uri(reduced, photograph=photograph, optimize=False)


def _reduced(values: NDArray[Any], long_side: int, *, nearest: bool) -> NDArray[Any]:
    height, width = values.shape[:2]
    factor = long_side / max(height, width)
    if factor >= 1:
        return values
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    values = values.astype(np.float32) if values.dtype == np.int64 else values
    return cv2.resize(values, size, interpolation=cv2.INTER_NEAREST if nearest else cv2.INTER_AREA)
