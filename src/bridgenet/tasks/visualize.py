"""Predictions and targets in colour, and panels of them.

Maps are NumPy arrays as decoded (see :class:`bridgenet.Task`): classes (H, W) integers, probabilities (H, W) in [0, 1],
depth (H, W) [m], normals (H, W, 3) unit vectors, regressions (H, W) or (H, W, C); or targets (H, W, C) with IGNORE where there is no label.
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
    colour_map,
    draw_blocks,
    nearest_pixels,
    with_key,
)
from bridgenet.tasks import IGNORE

Map = NDArray[Any]

# Light grey for class 0 (background, wall), the colours of Okabe and Ito (2008), then each time the colour farthest in
# CIELAB from all before it as seen with full colour vision, deuteranopia and protanopia (Machado et al., 2009).
PALETTE = np.frombuffer(
    bytes.fromhex("""
        d4d4d0 e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7 183cb4 54fc90 783018 78186c e43054 7890fc c0a854 784860
        a8cc9c 48e4fc b4e460 3c6c3c 18489c 906024 d89ca8 8454d8 a8fcc0 e46c78 6c6090 a8a8cc cc9c6c 6c9c30 547884 c054cc
        304830 78a8fc 30fcfc a884c0 6c78fc fc603c 6c4890 9cccd8 c0cc3c fcb478 489054 d8f0d8 c02418 244848 fc6ce4 54a890
        6c1884 783c6c 6cf09c c03c78 18ccb4 549ca8 782448 c0c054 a8483c 187854 a8fc84 841830 6c48b4 90d8b4 9c48a8 78d878
    """),
    dtype=np.uint8,
).reshape(-1, 3)
"""(64, 3) RGB of the classes 0..63; further classes begin again."""

NO_LABEL = np.array((38, 38, 38), dtype=np.uint8)
"""RGB of pixels without a label; unknown depth is black."""

DEPTH_COLOURS = "viridis_r"  # near is bright; far stays told apart from unknown
PROBABILITY_COLOURS = "gray"
REGRESSION_COLOURS = "cividis"
TINT = np.array((213, 94, 0), dtype=np.uint8)
"""RGB of probabilities laid over a photo."""
STRIP = 256
"""Rows that are coloured at once."""


def colourise(task: str, map: Map, *, value_range: Range | None = None) -> NDArray[np.uint8]:
    """A prediction or target of that task as an (H, W, 3) uint8 RGB image.

    Classes take their :data:`PALETTE` colour; depth is bright near and dark far, over `value_range` [m] or the map's
    1st to 99th percentile; so is a regression, dark for small values (of three channels red, green and blue, of another
    number the first alone); normals show (n + 1) / 2, so that a wall faced by the camera is bluish and a floor greenish;
    probabilities are grey. Raises UserError for an unknown task or a map of another shape.
    """
    kind = tasks.get(task).kind
    values = as_map(task, map)
    if kind == "classes":
        labels = values.astype(np.int64)
        return np.where((labels == IGNORE)[..., None], NO_LABEL, PALETTE[labels % len(PALETTE)])
    if kind == "normals":
        colours = np.rint((np.clip(values, -1, 1) + 1) * 127.5).astype(np.uint8)
        return np.where((values == IGNORE).all(axis=-1, keepdims=True), NO_LABEL, colours)
    if kind == "probability":
        colours = colour_map(PROBABILITY_COLOURS, values)
        return np.where((values == IGNORE)[..., None], NO_LABEL, colours)
    if kind == "regression":
        low, high = value_range or find_value_range([values])
        known = np.isfinite(values) & (values != IGNORE)
        shares = (np.where(known, values, low) - low) / max(high - low, 1e-12)
        colours = colour_map(REGRESSION_COLOURS, shares) if values.ndim == 2 else _eight_bit(shares)
        return np.where(known[..., None] if values.ndim == 2 else known.all(axis=2, keepdims=True), colours, NO_LABEL)
    near, far = value_range or find_depth_range([values])
    known = known_depth(values)
    colours = colour_map(DEPTH_COLOURS, (np.where(known, values, near) - near) / max(far - near, 1e-6))
    return np.where(known[..., None], colours, np.uint8(0))


def _eight_bit(shares: Map) -> NDArray[np.uint8]:
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def find_depth_range(maps: Sequence[Map]) -> Range:
    """(nearest, farthest) [m] to colour these depth maps alike: the 1st and 99th percentile of what is known."""
    near, far = _percentiles([values[known_depth(values)].ravel() for values in maps])
    return near, max(far, near + 1e-3)


def find_value_range(maps: Sequence[Map]) -> Range:
    """(smallest, largest) to colour these regressions alike: the 1st and 99th percentile of what is known."""
    return _percentiles([values[np.isfinite(values) & (values != IGNORE)] for values in maps])


def _percentiles(known: Sequence[Map]) -> Range:
    # some ten thousand pixels tell a percentile
    joined = np.concatenate([values[:: 1 + values.size // 50_000] for values in known]) if known else np.empty(0)
    if joined.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(joined, (1, 99)))
    return low, high


def panel(
    image: NDArray[np.uint8],
    predictions: Mapping[str, Map],
    *,
    class_names: Mapping[str, Sequence[str]] | None = None,
    truths: Mapping[str, Map] | None = None,
    ranges: Mapping[str, Range] | None = None,
    legend_places: int = 0,
) -> Image.Image:
    """One picture: the photo, then each task's prediction in colour with its title and key.

    Args:
        image: (H, W, 3) uint8 RGB.
        predictions: task -> map of the image's size. Tasks appear in this order.
        class_names: task -> names in the order of the classes, for the keys of class maps.
        truths: task -> target or map, drawn below the prediction; depth shares its range with it.
        ranges: task -> values between which its colours lie, where they are not to come from the map, e.g. in videos.
        legend_places: leave place for so many names in every key, so that panels of one image size are of one size.

    Large images are reduced, small ones enlarged by a whole factor without smoothing. Raises UserError for a map that
    does not have the image's size.
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
        if task in truths and (np.asarray(truths[task]) == IGNORE).all():
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
    """Samples below one another, a column for the photos and one for each task's labels, with one key for all of them.

    Args:
        images: (H, W, 3) uint8 RGB, of any sizes.
        truths: task -> targets of the images' sizes.
        names: of the images.
        class_names: task -> names in the order of the classes, for the keys of class maps.
    """
    blocks = [Block("Photo", images, None, captions=names, long_side=SHEET_SIDE)]
    for task, maps in truths.items():
        block = _task_block(task, maps, (class_names or {}).get(task), long_side=SHEET_SIDE, most=MAX_SHEET_LEGEND)
        block.captions = ["no label" if (np.asarray(map) == IGNORE).all() else "" for map in maps]
        blocks.append(block)
    return draw_blocks(blocks, columns=len(blocks))


def as_map(task: str, map: Map) -> Map:
    """(H, W), or (H, W, 3) for normals and regressions that are drawn in colour, without the channel of a target.

    Raises UserError for anything else.
    """
    kind = tasks.get(task).kind
    normals = kind == "normals"
    values = np.asarray(map)
    if kind == "regression" and values.ndim == 3:
        return values if values.shape[2] == 3 else values[..., 0]
    if not normals and values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != (3 if normals else 2) or (normals and values.shape[2] != 3):
        expected = "(H, W, 3)" if normals else "(H, W) or (H, W, 1)"
        raise UserError(f"{task}: a map of shape {values.shape} cannot be drawn, {expected} was expected")
    return values


def known_depth(values: Map) -> NDArray[np.bool_]:
    return np.isfinite(values) & (values > 0) & (values != IGNORE)


def _task_block(
    task: str,
    maps: Sequence[Map],
    names: Sequence[str] | None,
    *,
    long_side: int = LONG_SIDE,
    most: int = MAX_LEGEND,
    value_range: Range | None = None,
) -> Block:
    kind, title = tasks.get(task).kind, tasks.get(task).title
    values = [as_map(task, map) for map in maps]
    value_range = value_range or range_of(task, *values)
    is_smooth = kind == "probability"
    # Reduced before it is coloured, which gives the same: colours of a large photograph would take gigabytes.
    shown = values if is_smooth else [nearest_pixels(map, long_side) for map in values]
    pictures = [colourise(task, map, value_range=value_range) for map in shown]
    key = key_of(task, values, names, most, value_range)
    return Block(title, pictures, key, smooth=is_smooth, long_side=long_side)


def range_of(task: str, *maps: Map) -> Range | None:
    """The values between which the colours of these maps lie, for tasks whose colours depend on them."""
    finders = {"depth": find_depth_range, "regression": find_value_range}
    finder = finders.get(tasks.get(task).kind)
    return finder([as_map(task, map) for map in maps]) if finder else None


def key_of(task: str, values: Sequence[Map], names: Sequence[str] | None, most: int, value_range: Range | None) -> Key:
    """What the colours of these maps (:func:`as_map`) mean: swatches of at most `most` classes, or a bar over `value_range`."""
    kind = tasks.get(task).kind
    if kind == "classes":
        return Key(swatches=legend(values, names, most))
    if kind == "probability":
        return Key(bar=(PROBABILITY_COLOURS, (0.0, 1.0), ""))
    if value_range is not None:
        unit = " m" if kind == "depth" else f" {tasks.get(task).unit}".rstrip()
        of_regression = REGRESSION_COLOURS if values[0].ndim == 2 else "gray"
        return Key(bar=(DEPTH_COLOURS if kind == "depth" else of_regression, value_range, unit))
    axes = [((255, 128, 128), "to the right"), ((128, 255, 128), "up"), ((128, 128, 255), "to the camera")]
    return Key(swatches=axes)


def coloured(
    task: str,
    map: Map,
    *,
    names: Sequence[str] | None = None,
    over: NDArray[np.uint8] | None = None,
    opacity: float = 1.0,
) -> Image.Image:
    """A map in colour in its own pixels, its title and key below: names of classes, a bar of values.

    Args:
        task: its task.
        map: (H, W) or (H, W, C).
        names: in the order of the classes.
        over: (H, W, 3) uint8 RGB, a photo that shows through. Probabilities then tint it where they are high.
        opacity: of the colours over the photo, 0 to 1.
    """
    values = as_map(task, map)
    kind, title = tasks.get(task).kind, tasks.get(task).title
    value_range = range_of(task, values)
    key = key_of(task, [values], names, MAX_SHEET_LEGEND, value_range)
    is_tint = over is not None and kind == "probability"
    if is_tint:
        key = Key(swatches=[(tuple(TINT.tolist()), "probable")])
    picture = np.empty((*values.shape[:2], 3), np.uint8)
    for top in range(0, len(values), STRIP):  # of a large photograph all at once would take gigabytes
        rows = slice(top, top + STRIP)
        colours = TINT if is_tint else colourise(task, values[rows], value_range=value_range)
        if over is not None:
            share = opacity * values[rows, :, None] if is_tint else opacity
            colours = np.rint(over[rows] * (1 - share) + colours * share)
        picture[rows] = colours
    return with_key(picture, title, key)


def legend(maps: Sequence[Map], names: Sequence[str] | None, most: int = MAX_LEGEND) -> list[tuple[Any, str]]:
    """Colour and name of the classes present, the largest first; the last place tells how many are left out."""
    labels = np.concatenate([map.astype(np.int64).ravel() for map in maps])
    area = np.bincount(labels[labels != IGNORE], minlength=1)
    present = [int(label) for label in np.argsort(-area, kind="stable") if area[label]]
    shown = present if len(present) <= most else present[: most - 1]
    titles = [names[label] if names and label < len(names) else f"class {label}" for label in shown]
    entries: list[tuple[Any, str]] = [(tuple(PALETTE[i % len(PALETTE)].tolist()), t) for i, t in zip(shown, titles)]
    if len(shown) < len(present):
        entries.append((None, f"and {len(present) - len(shown)} more"))
    return entries
