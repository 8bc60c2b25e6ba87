from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.imaging import drawing
from bridgenet.tasks import colours, registry, visualize
from tests.pictures import noise

H, W = 48, 64


def maps(height: int = H, width: int = W) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(height, width, 3)).astype(np.float32)
    return {
        "semseg": rng.integers(40, size=(height, width)),
        "depth": rng.uniform(0.5, 9, (height, width)).astype(np.float32),
        "human_parts": rng.integers(7, size=(height, width)),
        "sal": rng.random((height, width), dtype=np.float32),
        "normals": normals / np.linalg.norm(normals, axis=-1, keepdims=True),
        "edge": rng.random((height, width), dtype=np.float32),
    }


def truth(task: str, map: Any) -> Any:
    """As a target: (H, W, C) float32, the first row without a label."""
    target = np.asarray(map, np.float32).reshape(*map.shape[:2], -1).copy()
    target[0] = tasks.get(task).kind.unknown
    return target


def photo(height: int = H, width: int = W) -> Any:
    return noise(height, width, seed=1)


@pytest.mark.parametrize("task", maps())
def test_colour_of_predictions_and_targets(task: str) -> None:
    prediction = maps()[task]
    shown, target = visualize.colourise(task, prediction), visualize.colourise(task, truth(task, prediction))
    assert shown.shape == target.shape == (H, W, 3) and shown.dtype == target.dtype == np.uint8
    unlabelled = (0, 0, 0) if task == "depth" else tuple(colours.NO_LABEL)
    assert (target[0] == unlabelled).all()
    if task != "depth":  # its range is that of the labelled pixels
        assert (target[1:] == shown[1:]).all()


def test_palette_is_distinct_from_itself_and_from_no_label() -> None:
    all_colours = np.concatenate([colours.PALETTE, colours.NO_LABEL[None]]).astype(int)
    distances = np.abs(all_colours[:, None] - all_colours[None]).sum(axis=-1) + 1000 * np.eye(
        len(all_colours), dtype=int
    )
    assert len(colours.PALETTE) >= 40 and distances.min() > 20


def test_normals_of_a_wall_and_a_floor() -> None:
    shown = visualize.colourise("normals", np.array([[[0, 0, 1], [0, 1, 0]]], np.float32))
    assert shown.tolist() == [[[128, 128, 255], [128, 255, 128]]]


def test_depth_range_is_shared_and_unknown_is_black() -> None:
    near, far, unknown = visualize.colourise("depth", np.array([[1.0, 5.0, 0.0]]), value_range=(1, 5))[0].astype(int)
    again = visualize.colourise("depth", np.array([[0.5, 7.0, np.nan]]), value_range=(1, 5))[0]
    assert near.sum() > far.sum() > unknown.sum() == 0
    assert (again == [near, far, unknown]).all()


def test_depth_without_any_known_pixel() -> None:
    assert visualize.colourise("depth", np.zeros((3, 4))).max() == 0
    assert tasks.get("depth").kind.find_range([np.full((3, 4), 2.0)])[1] > 2


def test_other_shapes_are_refused() -> None:
    with pytest.raises(UserError, match=r"normals: a map of shape \(4, 5\)"):
        visualize.colourise("normals", np.zeros((4, 5)))
    with pytest.raises(UserError, match="resize it to the image"):
        visualize.panel(photo(), {"depth": np.ones((4, 5))})


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("with_truths", [False, True])
def test_panel_of_up_to_six_tasks(number: int, with_truths: bool) -> None:
    predictions = dict(list(maps().items())[:number])
    truths = {task: truth(task, map) for task, map in predictions.items()} if with_truths else None
    drawn = visualize.panel(photo(), predictions, class_names={"semseg": ["wall", "floor"]}, truths=truths)
    tile = 7 * H, 7 * W  # the whole factor that comes nearest to 480 pixels
    assert drawn.mode == "RGB"
    assert drawn.width * drawn.height > (number + 1) * tile[0] * tile[1] * (2 if with_truths and number > 2 else 1) / 2
    assert drawn.width >= tile[1] and drawn.height >= tile[0]


@pytest.mark.parametrize(("height", "width"), [(1200, 900), (1, 1), (30, 900), (480, 20)])
def test_panel_of_any_size(height: int, width: int) -> None:
    drawn = visualize.panel(photo(height, width), {"edge": maps(height, width)["edge"]})
    assert max(drawn.size) < 1100


def test_panel_shows_the_photo_and_the_map_as_they_are() -> None:
    image, depth = photo(), maps()["depth"]
    pixels = np.asarray(visualize.panel(image, {"depth": depth}))
    enlarged = image.repeat(7, axis=0).repeat(7, axis=1)
    top, left = drawing.MARGIN + drawing.TITLE, drawing.MARGIN
    assert (pixels[top : top + 7 * H, left : left + 7 * W] == enlarged).all()


@pytest.fixture
def heights() -> Iterator[str]:
    tasks.register(tasks.of_kind("heights", "regression", unit="m"))
    yield "heights"
    del registry._TASKS["heights"]


def test_regressions_of_one_and_of_three_channels(heights: str) -> None:
    low, high, unknown = visualize.colourise(heights, np.array([[-4.0, 12.0, np.nan]]), value_range=(-4, 12))[0].astype(
        int
    )
    assert low.sum() < high.sum()
    assert (unknown == colours.NO_LABEL).all()
    drawn = visualize.colourise(heights, np.array([[[0.0, 1.0, 0.5], [np.nan] * 3]]), value_range=(0, 1))
    assert drawn[0, 0].tolist() == [0, 255, 128]
    assert (drawn[0, 1] == colours.NO_LABEL).all()
    panel = visualize.panel(photo(), {heights: np.linspace(-4, 12, H * W).reshape(H, W)})
    assert panel.width > 2 * drawing.MIN_BLOCK_WIDTH


@pytest.mark.parametrize(("height", "width"), [(1000, 700), (481, 480), (723, 2001), (5, 900)])
def test_reduced_as_pillow_does(height: int, width: int) -> None:
    values = np.random.default_rng(0).integers(256, size=(height, width), dtype=np.uint8)
    size = drawing.reduced_size(width, height, 480)
    expected = Image.fromarray(values).resize(size, Image.Resampling.NEAREST)
    np.testing.assert_array_equal(drawing.nearest_pixels(values, 480), expected)
