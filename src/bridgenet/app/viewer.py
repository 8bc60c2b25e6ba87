"""A prediction as HTML: for each task the photo below its map, with slider, opacity, key, and values for the cursor."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bridgenet import tasks
from bridgenet.imaging.drawing import colour_map
from bridgenet.prediction import Prediction
from bridgenet.tasks.visualize import as_map, colourise, key_of, range_of

LONG_SIDE = 900
"""Pictures on the page are at most so large [pixels]; the files to download have the full size."""
VALUES_SIDE = 160
"""Values for the cursor are sent at most at this size [pixels]."""
MOST_CLASSES = 18


def views(prediction: Prediction) -> str:
    """All tasks side by side."""
    photo = _picture(prediction.image, "JPEG")
    names = prediction.class_names
    parts = [_view(task, values, photo, names.get(task, ())) for task, values in prediction.maps.items()]
    return f'<div class="bn-views">{"".join(parts)}</div>'


def _view(task: str, values: NDArray[Any], photo: str, names: Sequence[str]) -> str:
    known = tasks.get(task)
    small = _reduced(values, VALUES_SIDE, nearest=True)
    array = (small if small.ndim == 3 else small[..., None]).astype("<f4")
    data = {
        "values": base64.b64encode(array.tobytes()).decode(),
        "height": array.shape[0],
        "width": array.shape[1],
        "channels": array.shape[2],
        "names": json.dumps(list(names) if known.kind.has_classes else []),
        "unit": known.kind.value_unit(known),
    }
    attributes = " ".join(f'data-{key}="{html.escape(str(value))}"' for key, value in data.items())
    title = html.escape(known.title)
    return f"""<section class="bn-view" {attributes}>
<h3>{title}<span class="bn-tip"></span></h3>
<div class="bn-stage"><img alt="photo" src="{photo}"><img class="bn-map" alt="{title}" src="{_picture(colourise(task, values), "PNG")}"></div>
<label>photo<input class="bn-slide" aria-label="{title}: photo" type="range" min="0" max="100" value="0"></label>
<label>opacity<input class="bn-opacity" aria-label="{title}: opacity" type="range" min="0" max="100" value="100"></label>
{_key(task, values, names)}</section>"""


def _key(task: str, values: NDArray[Any], names: Sequence[str]) -> str:
    shown = as_map(task, values)
    key = key_of(task, [shown], names, MOST_CLASSES, range_of(task, shown))
    if key.bar is None:
        swatches = (
            f"<span>{_swatch(colour) if colour else ''}{html.escape(title)}</span>" for colour, title in key.swatches
        )
        return f'<div class="bn-key">{"".join(swatches)}</div>'
    colours, (low, high), unit = key.bar
    stops = colour_map(colours, np.linspace(0, 1, 9)[None])[0]
    gradient = ", ".join(f"rgb({r} {g} {b})" for r, g, b in stops.tolist())
    bar = f'<b style="background: linear-gradient(90deg, {gradient})"></b>'
    return f'<div class="bn-bar"><span>{low:.3g}{html.escape(unit)}</span>{bar}<span>{high:.3g}{html.escape(unit)}</span></div>'


def _swatch(colour: Sequence[int]) -> str:
    red, green, blue = colour
    return f'<i style="background: rgb({red} {green} {blue})"></i>'


def _picture(image: NDArray[np.uint8], kind: str) -> str:
    """A picture as a data address."""
    buffer = io.BytesIO()
    Image.fromarray(_reduced(image, LONG_SIDE, nearest=kind == "PNG")).save(buffer, kind, quality=88)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _reduced(values: NDArray[Any], long_side: int, *, nearest: bool) -> NDArray[Any]:
    height, width = values.shape[:2]
    factor = long_side / max(height, width)
    if factor >= 1:
        return values
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    values = values.astype(np.float32) if values.dtype == np.int64 else values
    return cv2.resize(values, size, interpolation=cv2.INTER_NEAREST if nearest else cv2.INTER_AREA)
