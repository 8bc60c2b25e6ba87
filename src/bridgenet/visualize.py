"""Predictions and targets in colour, and panels of them.

Maps are NumPy arrays as decoded (see :class:`bridgenet.Task`): classes (H, W) integers, probabilities (H, W) in [0, 1],
depth (H, W) [m], normals (H, W, 3) unit vectors, regressions (H, W) or (H, W, C); or targets (H, W, C) with IGNORE where there is no label.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.tasks import IGNORE

Map = NDArray[Any]
Range = tuple[float, float]

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
) -> Image.Image:
    """One picture: the photo, then each task's prediction in colour with its title and key.

    Args:
        image: (H, W, 3) uint8 RGB.
        predictions: task -> map of the image's size. Tasks appear in this order.
        class_names: task -> names in the order of the classes, for the keys of class maps.
        truths: task -> target or map, drawn below the prediction; depth shares its range with it.

    Large images are reduced, small ones enlarged by a whole factor without smoothing. Raises UserError for a map that
    does not have the image's size.
    """
    truths = truths or {}
    for task, map in [*predictions.items(), *truths.items()]:
        if as_map(task, map).shape[:2] != image.shape[:2]:
            raise UserError(
                f"{task}: a map of {np.shape(map)} for an image of {image.shape}; resize it to the image first"
            )
    blocks = [_Block("Photo", [image], None)]
    for task, prediction in predictions.items():
        names = (class_names or {}).get(task)
        block = _task_block(task, [prediction, *([truths[task]] if task in truths else [])], names)
        if task in truths and (np.asarray(truths[task]) == IGNORE).all():
            block.truth_title = "ground truth: no label"
        blocks.append(block)
    return _draw(blocks)


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
    blocks = [_Block("Photo", images, None, captions=names, long_side=SHEET_SIDE)]
    for task, maps in truths.items():
        block = _task_block(task, maps, (class_names or {}).get(task), long_side=SHEET_SIDE, most=MAX_SHEET_LEGEND)
        block.captions = ["no label" if (np.asarray(map) == IGNORE).all() else "" for map in maps]
        blocks.append(block)
    return _draw(blocks, columns=len(blocks))


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


def colour_map(name: str, values: Map) -> NDArray[np.uint8]:
    """Values in [0, 1], clipped, by a table of 256 colours."""
    indices = np.rint(np.nan_to_num(np.clip(values, 0, 1)) * 255).astype(np.uint8)
    return _table(name)[indices]


@cache
def _table(name: str) -> NDArray[np.uint8]:
    from matplotlib import colormaps

    return np.rint(colormaps[name](np.arange(256))[:, :3] * 255).astype(np.uint8)


# --- the panel: blocks in a grid, each a title, one or two pictures and a key below them; sizes in [pixels] ---

LONG_SIDE = 480
MARGIN = 16
TITLE, CAPTION, KEY_ROW, SWATCH = 26, 22, 19, 12
MIN_BLOCK_WIDTH = 260
MAX_LEGEND = 8
SHEET_SIDE, MAX_SHEET_LEGEND = 260, 30
INK, GREY = (30, 30, 30), (110, 110, 110)


class _Block:
    """One column of pictures that share a title and a key."""

    def __init__(
        self,
        title: str,
        pictures: Sequence[NDArray[np.uint8]],
        key: _Key | None,
        *,
        smooth: bool = True,
        captions: Sequence[str] = (),
        long_side: int = LONG_SIDE,
    ):
        self.title = title
        self.key = key
        self.captions = captions  # one above each picture, or none
        self.truth_title = "ground truth"
        self.pictures = [_resize(picture, smooth, long_side) for picture in pictures]

    @property
    def width(self) -> int:
        heading = 0.0 if self.captions else _heading_width(self.title) + _font(13).getlength("prediction")
        return max(MIN_BLOCK_WIDTH, math.ceil(heading), *(picture.width for picture in self.pictures))


class _Key:
    """Swatches with names, or a bar from one value to another."""

    def __init__(self, *, swatches: Sequence[tuple[Any, str]] = (), bar: tuple[str, Range, str] | None = None):
        self.swatches = swatches
        self.bar = bar  # colours, range, unit

    @property
    def height(self) -> int:
        return 2 * KEY_ROW if self.bar else KEY_ROW * math.ceil(len(self.swatches) / 2)


def _task_block(
    task: str,
    maps: Sequence[Map],
    names: Sequence[str] | None,
    *,
    long_side: int = LONG_SIDE,
    most: int = MAX_LEGEND,
) -> _Block:
    kind, title = tasks.get(task).kind, tasks.get(task).title
    values = [as_map(task, map) for map in maps]
    if kind == "classes":
        key = _Key(swatches=legend(values, names, most))
        return _Block(title, [colourise(task, map) for map in values], key, smooth=False, long_side=long_side)
    if kind == "depth":
        depth_range = find_depth_range(values)
        pictures = [colourise(task, map, value_range=depth_range) for map in values]
        return _Block(title, pictures, _Key(bar=(DEPTH_COLOURS, depth_range, " m")), smooth=False, long_side=long_side)
    if kind == "regression":
        value_range = find_value_range(values)
        pictures = [colourise(task, map, value_range=value_range) for map in values]
        unit = f" {tasks.get(task).unit}".rstrip()
        colours = REGRESSION_COLOURS if values[0].ndim == 2 else "gray"
        return _Block(title, pictures, _Key(bar=(colours, value_range, unit)), smooth=False, long_side=long_side)
    pictures = [colourise(task, map) for map in values]
    if kind == "probability":
        return _Block(title, pictures, _Key(bar=(PROBABILITY_COLOURS, (0.0, 1.0), "")), long_side=long_side)
    axes = [((255, 128, 128), "to the right"), ((128, 255, 128), "up"), ((128, 128, 255), "to the camera")]
    return _Block(title, pictures, _Key(swatches=axes), smooth=False, long_side=long_side)


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


def _resize(picture: NDArray[np.uint8], smooth: bool, long_side: int) -> Image.Image:
    """To at most `long_side`: large pictures reduced, small ones enlarged by a whole factor."""
    drawn = Image.fromarray(np.ascontiguousarray(picture))
    longest = max(drawn.size)
    if longest <= long_side:
        factor = long_side // longest
        return drawn.resize((drawn.width * factor, drawn.height * factor), Image.Resampling.NEAREST)
    size = (max(1, round(drawn.width * long_side / longest)), max(1, round(drawn.height * long_side / longest)))
    return drawn.resize(size, Image.Resampling.BOX if smooth else Image.Resampling.NEAREST)


def _draw(blocks: Sequence[_Block], columns: int | None = None) -> Image.Image:
    width = max(block.width for block in blocks)
    picture_height = max(picture.height for block in blocks for picture in block.pictures)
    stacked = max(len(block.pictures) for block in blocks)
    key_height = max(block.key.height if block.key else 0 for block in blocks)
    captions = stacked if blocks[0].captions else stacked - 1
    height = TITLE + stacked * picture_height + captions * CAPTION + 8 + key_height
    columns = columns or _columns(len(blocks), width + MARGIN, height + MARGIN)
    rows = math.ceil(len(blocks) / columns)
    canvas = Image.new("RGB", (MARGIN + columns * (width + MARGIN), MARGIN + rows * (height + MARGIN)), "white")
    for number, block in enumerate(blocks):
        row, column = divmod(number, columns)
        left, top = MARGIN + column * (width + MARGIN), MARGIN + row * (height + MARGIN)
        _draw_block(canvas, block, left, top, width, picture_height, captions=stacked > 1)
    return canvas


def _columns(number: int, width: int, height: int) -> int:
    """How many blocks of that size side by side come nearest to a page twice as wide as high, with few places empty."""

    def badness(columns: int) -> float:
        rows = math.ceil(number / columns)
        return abs(math.log(columns * width / (rows * height) / 2)) + (columns * rows - number) / number

    return min(range(1, number + 1), key=badness)


def _draw_block(
    canvas: Image.Image, block: _Block, left: int, top: int, width: int, picture_height: int, *, captions: bool
) -> None:
    draw = ImageDraw.Draw(canvas)
    draw.text((left, top), block.title, fill=INK, font=_font(15, bold=True))
    if captions and block.key and not block.captions:
        draw.text((left + _heading_width(block.title), top + 2), "prediction", fill=GREY, font=_font(13))
    top += TITLE
    for number, picture in enumerate(block.pictures):
        if block.captions:
            draw.text((left, top + 3), _shortened(block.captions[number], width), fill=GREY, font=_font(13))
            top += CAPTION
        elif number:
            draw.text((left, top + 3), block.truth_title, fill=GREY, font=_font(13))
            top += CAPTION
        canvas.paste(picture, (left, top))
        top += picture.height
    if block.key and block.key.bar:
        _draw_bar(canvas, block.key.bar, left, top + 8, max(picture.width for picture in block.pictures))
    elif block.key:
        _draw_swatches(draw, block.key.swatches, left, top + 8, width // 2)


def _draw_swatches(
    draw: ImageDraw.ImageDraw, swatches: Sequence[tuple[Any, str]], left: int, top: int, column_width: int
) -> None:
    rows = math.ceil(len(swatches) / 2)
    for number, (colour, name) in enumerate(swatches):
        x, y = left + number // rows * column_width, top + number % rows * KEY_ROW
        if colour:
            draw.rectangle((x, y + 1, x + SWATCH, y + 1 + SWATCH), fill=colour, outline=GREY)
        text = _shortened(name, column_width - SWATCH - 12)
        draw.text((x + SWATCH + 6, y - 1), text, fill=INK, font=_font(13))


def _heading_width(title: str) -> float:
    """Of a block's title with the space after it."""
    return _font(15, bold=True).getlength(title) + 8


def _shortened(text: str, width: int) -> str:
    """As much of a small text as `width` holds."""
    while _font(13).getlength(text) > width:
        text = text.rstrip("…")[:-1] + "…"
    return text


def _draw_bar(canvas: Image.Image, bar: tuple[str, Range, str], left: int, top: int, width: int) -> None:
    colours, (low, high), unit = bar
    ramp = Image.fromarray(np.repeat(colour_map(colours, np.linspace(0, 1, width))[None], SWATCH, axis=0))
    canvas.paste(ramp, (left, top))
    draw, font = ImageDraw.Draw(canvas), _font(13)
    draw.rectangle((left, top, left + width - 1, top + SWATCH - 1), outline=GREY)
    for share in (0.0, 0.5, 1.0):
        text = f"{low + share * (high - low):.3g}{unit}"
        x = left + share * (width - draw.textlength(text, font=font))
        draw.text((x, top + SWATCH + 2), text, fill=INK, font=font)


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    from matplotlib import get_data_path

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / name), size)
