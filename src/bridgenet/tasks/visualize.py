"""Draw predictions and targets in colour, and panels of them.

Maps are NumPy arrays as decoded (see :class:`bridgenet.Task`): classes (H, W) integers, probabilities (H, W) in [0, 1],
depth (H, W) [m], normals (H, W, 3) unit vectors, regressions (H, W) or (H, W, C); or targets (H, W, C).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.imaging.drawing import (
    LONG_SIDE,
    MAX_LEGEND,
    MAX_SHEET_LEGEND,
    SHEET_SIDE,
    Block,
    Key,
    Range,
    draw_blocks,
    nearest_pixels,
    with_key,
)
from bridgenet.tasks.colours import TINT

Map = NDArray[Any]

STRIP = 256
"""Number of rows that are coloured at a time."""


def colourise(task: str, map: Map, *, value_range: Range | None = None) -> NDArray[np.uint8]:
    """A prediction or target of that task as an (H, W, 3) uint8 RGB image.

    Classes have their :data:`bridgenet.tasks.colours.PALETTE` colour. Depth is bright near and dark far over
    `value_range` [m], by default the map's 1st to 99th percentile. A regression is dark for small values over such a
    range; three channels are red, green and blue, of any other number only the first is drawn. Normals are (n + 1) / 2: a
    wall that faces the camera is bluish, a floor greenish. Probabilities are grey.

    Raises UserError for an unknown task or a map of another shape.
    """
    return tasks.get(task).kind.colourise(as_map(task, map), value_range)


def panel(
    image: NDArray[np.uint8],
    predictions: Mapping[str, Map],
    *,
    class_names: Mapping[str, Sequence[str]] | None = None,
    truths: Mapping[str, Map] | None = None,
    ranges: Mapping[str, Range] | None = None,
    legend_places: int = 0,
) -> Image.Image:
    """Draw a photo, then each task's prediction in colour with its title and key, in one picture.

    Args:
        image: (H, W, 3) uint8 RGB.
        predictions: task -> map of the image's size. Tasks appear in this order.
        class_names: task -> names in the order of the classes, for the keys of class maps.
        truths: task -> target or map, drawn below the prediction; both have one range of values.
        ranges: task -> range of values for its colours instead of the range of the map, e.g. in videos.
        legend_places: space for this many names in every key, so that panels of one image size have one size.

    Large images are reduced; small ones are enlarged by a whole factor without smoothing. Raises UserError for a map of
    another size than the image.
    """
    truths = truths or {}
    for task, map in [*predictions.items(), *truths.items()]:
        if as_map(task, map).shape[:2] != image.shape[:2]:
            raise UserError(
                f"{task}: a map of {np.shape(map)} for an image of {image.shape}; resize it to the image first"
            )
    blocks = [Block("Photo", [image], None)]
    for task, prediction in predictions.items():
        names = (class_names or {}).get(task)
        maps = [prediction, *([truths[task]] if task in truths else [])]
        block = _task_block(task, maps, names, value_range=(ranges or {}).get(task))
        if task in truths and not _has_label(task, truths[task]):
            block.truth_title = "ground truth: no label"
        blocks.append(block)
    return draw_blocks(blocks, legend_places=legend_places)


def contact_sheet(
    images: Sequence[NDArray[np.uint8]],
    truths: Mapping[str, Sequence[Map]],
    names: Sequence[str],
    *,
    class_names: Mapping[str, Sequence[str]] | None = None,
) -> Image.Image:
    """Draw samples in rows: a column of photos and a column of labels for each task, with one key per column.

    Args:
        images: (H, W, 3) uint8 RGB, of any sizes.
        truths: task -> targets of the images' sizes.
        names: titles of the images.
        class_names: task -> names in the order of the classes, for the keys of class maps.
    """
    blocks = [Block("Photo", images, None, captions=names, long_side=SHEET_SIDE)]
    for task, maps in truths.items():
        block = _task_block(task, maps, (class_names or {}).get(task), long_side=SHEET_SIDE, most=MAX_SHEET_LEGEND)
        block.captions = ["" if _has_label(task, map) else "no label" for map in maps]
        blocks.append(block)
    return draw_blocks(blocks, columns=len(blocks))


def as_map(task: str, map: Map) -> Map:
    """A map or target in the shape in which it is drawn: (H, W), or (H, W, 3) for normals and regressions in colour.

    Raises UserError for any other shape.
    """
    known = tasks.get(task)
    return known.kind.as_map(known, map)


def _has_label(task: str, target: Map) -> bool:
    return not tasks.get(task).kind.is_unknown(np.asarray(target)).all()


def _task_block(
    task: str,
    maps: Sequence[Map],
    names: Sequence[str] | None,
    *,
    long_side: int = LONG_SIDE,
    most: int = MAX_LEGEND,
    value_range: Range | None = None,
) -> Block:
    is_smooth, title = tasks.get(task).kind.is_share, tasks.get(task).title
    values = [as_map(task, map) for map in maps]
    value_range = value_range or range_of(task, *values)
    # Reducing before colouring gives the same picture: the colours of a large photograph would take gigabytes.
    shown = values if is_smooth else [nearest_pixels(map, long_side) for map in values]
    pictures = [colourise(task, map, value_range=value_range) for map in shown]
    key = key_of(task, values, names, most, value_range)
    return Block(title, pictures, key, smooth=is_smooth, long_side=long_side)


def range_of(task: str, *maps: Map) -> Range | None:
    """The range of values for the colours of these maps; None for tasks whose colours have a fixed meaning."""
    return tasks.get(task).kind.find_range([as_map(task, map) for map in maps])


def key_of(task: str, values: Sequence[Map], names: Sequence[str] | None, most: int, value_range: Range | None) -> Key:
    """The key to the colours of these maps (:func:`as_map`): swatches of at most `most` classes, or a bar over `value_range`."""
    known = tasks.get(task)
    return known.kind.key(known, values, names, most, value_range)


def coloured(
    task: str,
    map: Map,
    *,
    names: Sequence[str] | None = None,
    over: NDArray[np.uint8] | None = None,
    opacity: float = 1.0,
) -> Image.Image:
    """Draw a map in colour at its own resolution, with title and key below.

    Args:
        task: task of the map.
        map: (H, W) or (H, W, C).
        names: names in the order of the classes.
        over: (H, W, 3) uint8 RGB, a photo below the colours. Probabilities tint it where they are high.
        opacity: opacity of the colours over the photo, 0 to 1.
    """
    values = as_map(task, map)
    kind, title = tasks.get(task).kind, tasks.get(task).title
    value_range = range_of(task, values)
    key = key_of(task, [values], names, MAX_SHEET_LEGEND, value_range)
    is_tint = over is not None and kind.is_share
    if is_tint:
        key = Key(swatches=[(tuple(TINT.tolist()), "probable")])
    picture = np.empty((*values.shape[:2], 3), np.uint8)
    for top in range(0, len(values), STRIP):  # all rows of a large photograph at once would take gigabytes
        rows = slice(top, top + STRIP)
        colours = TINT if is_tint else colourise(task, values[rows], value_range=value_range)
        if over is not None:
            share = opacity * values[rows, :, None] if is_tint else opacity
            colours = np.rint(over[rows] * (1 - share) + colours * share)
        picture[rows] = colours
    return with_key(picture, title, key)
