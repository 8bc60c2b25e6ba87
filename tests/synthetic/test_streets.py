"""The synthetic streets: kinds of Cityscapes, geometry that agrees with the labels, the camera's own field of view."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bridgenet.data.published.cityscapes import CLASS_NAMES, LABELS
from bridgenet.synthetic import render
from bridgenet.synthetic.raycast import Scene
from bridgenet.synthetic.streets import compose_street

SIZE = (48, 96)


@pytest.fixture(scope="module")
def streets() -> list[Scene]:
    return [render([5, number], SIZE, "cityscapes") for number in range(3)]


def where(scene: Scene, *kinds: str) -> np.ndarray:
    return np.isin(scene.instances, [instance for instance, kind in scene.kinds.items() if kind in kinds])


def test_kinds_are_labels_of_cityscapes_and_nearly_all_occur() -> None:
    found: set[str] = set()
    for number in range(20):
        room = compose_street(np.random.default_rng(number))
        assert set(room.kinds.values()) <= set(LABELS)
        found |= set(room.kinds.values())
    assert set(CLASS_NAMES) <= found


def test_sky_above_road_below_and_the_own_car_at_the_bottom(streets: list[Scene]) -> None:
    for scene in streets:
        rows = np.broadcast_to(np.arange(SIZE[0])[:, None], SIZE)
        assert rows[where(scene, "sky")].max() < SIZE[0] * 0.6 < rows[where(scene, "road")].max()
        assert where(scene, "ego vehicle")[-1].any()
        assert where(scene, "road").mean() > 0.15


def test_depth_grows_towards_the_horizon(streets: list[Scene]) -> None:
    for scene in streets:
        assert np.isfinite(scene.depth).all() and scene.depth.min() > 0.2
        depth = np.where(where(scene, "road"), scene.depth, np.nan)
        column = depth[:, SIZE[1] // 2]
        column = column[np.isfinite(column)]
        assert (np.diff(column) <= 0).all()  # from top to bottom


def test_road_is_flat_at_the_cameras_height(streets: list[Scene]) -> None:
    scene = streets[0]
    up = scene.normals[where(scene, "road")]
    assert np.percentile(up[:, 1], 5) > 0.98
    rays = (SIZE[0] / 2 - np.arange(SIZE[0]) - 0.5) / (SIZE[0] / 2) * math.tan(scene.fov[1] / 2)
    heights = (rays[:, None] * scene.depth)[-8:][where(scene, "road")[-8:]]  # below the axis, pitch aside
    assert heights.min() > -1.7 and heights.max() < -0.8


def test_field_of_view_is_the_data_sets() -> None:
    scene = render(0, (32, 64), "cityscapes")
    assert 64 / 2 / math.tan(scene.fov[0] / 2) == pytest.approx(2262.52 * 64 / 2048)


def test_seed_alone_decides() -> None:
    first, again, other = (render(seed, (32, 64), "cityscapes").rgb for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.std() > 10
