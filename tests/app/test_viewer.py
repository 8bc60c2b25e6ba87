from __future__ import annotations

import base64
import re

import numpy as np

from bridgenet.app.viewer import VALUES_SIDE, views
from bridgenet.prediction import Prediction


def prediction(height: int = 20, width: int = 30) -> Prediction:
    rng = np.random.default_rng(0)
    maps = {
        "semseg": np.tile(np.array([0, 1, 2], np.int64), (height, width // 3)),
        "depth": np.linspace(1, 4, height * width, dtype=np.float32).reshape(height, width),
        "normals": np.tile(np.array([0, 0, 1], np.float32), (height, width, 1)),
        "edge": rng.random((height, width), np.float32),
    }
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    return Prediction(image, maps, {"semseg": ["<wall>", "floor", "sofa"]})


def attribute(html: str, task: int, name: str) -> str:
    return re.findall(rf'data-{name}="([^"]*)"', html)[task]


def test_values_under_the_cursor_are_those_of_the_maps() -> None:
    found = views(prediction())
    values = np.frombuffer(base64.b64decode(attribute(found, 1, "values")), "<f4").reshape(20, 30)
    np.testing.assert_array_equal(values, prediction().maps["depth"])
    assert (attribute(found, 1, "unit"), attribute(found, 2, "channels")) == (" m", "3")
    assert found.count('class="bn-view"') == 4


def test_large_pictures_are_reduced_for_the_page() -> None:
    found = views(prediction(600, 1200))
    assert (attribute(found, 1, "width"), attribute(found, 1, "height")) == (str(VALUES_SIDE), str(VALUES_SIDE // 2))
    assert len(found) < 4_000_000  # of noise; the photo stands in each view


def test_keys_and_names_are_escaped() -> None:
    found = views(prediction())
    assert "&lt;wall&gt;" in found and "<wall>" not in found
    assert ">floor</span>" in found and "to the camera" in found
    assert ">1.03 m</span>" in found and ">3.97 m</span>" in found  # the 1st and 99th percentile
