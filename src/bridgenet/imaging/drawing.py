"""Arrange pictures with titles and keys on one canvas; sizes are in [pixels]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Range = tuple[float, float]

LONG_SIDE = 480
MARGIN = 16
TITLE, CAPTION, KEY_ROW, SWATCH = 26, 22, 19, 12
MIN_BLOCK_WIDTH = 260
MAX_LEGEND = 8
SHEET_SIDE, MAX_SHEET_LEGEND = 260, 30
INK, GREY = (30, 30, 30), (110, 110, 110)


def colour_map(name: str, values: NDArray[Any]) -> NDArray[np.uint8]:
    """Colours (…, 3) of values in [0, 1], which are clipped, from matplotlib's colour map `name` in 256 steps."""
    indices = np.rint(np.nan_to_num(np.clip(values, 0, 1)) * 255).astype(np.uint8)
    return _table(name)[indices]


@cache
def _table(name: str) -> NDArray[np.uint8]:
    from matplotlib import colormaps

    return np.rint(colormaps[name](np.arange(256))[:, :3] * 255).astype(np.uint8)


class Block:
    """A column of pictures with one title and one key."""

    def __init__(
        self,
        title: str,
        pictures: Sequence[NDArray[np.uint8]],
        key: Key | None,
        *,
        smooth: bool = True,
        captions: Sequence[str] = (),
        long_side: int = LONG_SIDE,
    ):
        self.title = title
        self.key = key
        self.captions = captions  # one above each picture, or empty
        self.truth_title = "ground truth"
        self.pictures = [_resize(picture, smooth, long_side) for picture in pictures]

    @property
    def width(self) -> int:
        heading = 0.0 if self.captions else _heading_width(self.title) + font_of(13).getlength("prediction")
        return max(MIN_BLOCK_WIDTH, math.ceil(heading), *(picture.width for picture in self.pictures))


class Key:
    """A key: swatches with names, or a bar over a range of values."""

    def __init__(self, *, swatches: Sequence[tuple[Any, str]] = (), bar: tuple[str, Range, str] | None = None):
        self.swatches = swatches
        self.bar = bar  # colours, range, unit

    def height(self, columns: int = 2) -> int:
        return 2 * KEY_ROW if self.bar else KEY_ROW * math.ceil(len(self.swatches) / columns)

    def draw(
        self, canvas: Image.Image, place: tuple[int, int], bar: int, column: int, columns: int, scale: int
    ) -> None:
        """Draw a bar of width `bar`, or swatches in `columns` of width `column`, at `place` (left, top)."""
        if self.bar:
            _draw_bar(canvas, self.bar, place, bar, scale)
            return
        rows = math.ceil(len(self.swatches) / columns)
        side, space = SWATCH * scale, 6 * scale
        draw = ImageDraw.Draw(canvas)
        for number, (colour, name) in enumerate(self.swatches):
            x, y = place[0] + number // rows * column, place[1] + number % rows * KEY_ROW * scale
            if colour:
                draw.rectangle((x, y + scale, x + side, y + scale + side), fill=colour, outline=GREY)
            text = _shortened(name, column // scale - SWATCH - 12)
            draw.text((x + side + space, y - scale), text, fill=INK, font=font_of(13 * scale))


def _resize(picture: NDArray[np.uint8], smooth: bool, long_side: int) -> Image.Image:
    """Reduce large pictures to `long_side`, and enlarge small ones by a whole factor up to it."""
    drawn = Image.fromarray(np.ascontiguousarray(picture))
    longest = max(drawn.size)
    if longest <= long_side:
        factor = long_side // longest
        return drawn.resize((drawn.width * factor, drawn.height * factor), Image.Resampling.NEAREST)
    size = reduced_size(drawn.width, drawn.height, long_side)
    return drawn.resize(size, Image.Resampling.BOX if smooth else Image.Resampling.NEAREST)


def reduced_size(width: int, height: int, long_side: int) -> tuple[int, int]:
    """(width, height) of a picture after reducing it to `long_side`; unchanged if it is not larger."""
    share = min(1.0, long_side / max(width, height))
    return max(1, round(width * share)), max(1, round(height * share))


def nearest_pixels(values: NDArray[Any], long_side: int) -> NDArray[Any]:
    """Reduce a map (H, W[, C]) to `long_side` exactly like Pillow's nearest neighbour."""
    height, width = values.shape[:2]
    new_width, new_height = reduced_size(width, height, long_side)

    def places(old: int, new: int) -> NDArray[np.int32]:  # by Pillow, whose rounding is special
        return np.asarray(
            Image.fromarray(np.arange(old, dtype=np.int32)[None]).resize((new, 1), Image.Resampling.NEAREST)
        )[0]

    rows, columns = places(height, new_height), places(width, new_width)
    return values[rows[:, None], columns]


def draw_blocks(blocks: Sequence[Block], columns: int | None = None, legend_places: int = 0) -> Image.Image:
    """Draw blocks in a grid of `columns` (None: chosen automatically), with space for `legend_places` names in every key."""
    width = max(block.width for block in blocks)
    picture_height = max(picture.height for block in blocks for picture in block.pictures)
    stacked = max(len(block.pictures) for block in blocks)
    key_heights = [block.key.height() if block.key else 0 for block in blocks]
    key_height = max(*key_heights, KEY_ROW * math.ceil(legend_places / 2))
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
    """The number of columns for which the page is closest to twice as wide as high, with few empty positions."""

    def badness(columns: int) -> float:
        rows = math.ceil(number / columns)
        return abs(math.log(columns * width / (rows * height) / 2)) + (columns * rows - number) / number

    return min(range(1, number + 1), key=badness)


def _draw_block(
    canvas: Image.Image, block: Block, left: int, top: int, width: int, picture_height: int, *, captions: bool
) -> None:
    draw = ImageDraw.Draw(canvas)
    draw.text((left, top), block.title, fill=INK, font=font_of(15, bold=True))
    if captions and block.key and not block.captions:
        draw.text((left + _heading_width(block.title), top + 2), "prediction", fill=GREY, font=font_of(13))
    top += TITLE
    for number, picture in enumerate(block.pictures):
        if block.captions:
            draw.text((left, top + 3), _shortened(block.captions[number], width), fill=GREY, font=font_of(13))
            top += CAPTION
        elif number:
            draw.text((left, top + 3), block.truth_title, fill=GREY, font=font_of(13))
            top += CAPTION
        canvas.paste(picture, (left, top))
        top += picture.height
    if block.key:
        widest = max(picture.width for picture in block.pictures)
        block.key.draw(canvas, (left, top + 8), widest, width // 2, 2, 1)


def with_key(picture: NDArray[np.uint8], title: str, key: Key) -> Image.Image:
    """Draw title and key, scaled to the picture, below an (H, W, 3) RGB picture, which keeps its size."""
    height, width = picture.shape[:2]
    scale = max(1, round(width / 900))
    canvas_width = max(width, MIN_BLOCK_WIDTH)
    columns = max(1, canvas_width // (170 * scale))
    strip = TITLE + 12 + key.height(columns)
    canvas = Image.new("RGB", (canvas_width, height + strip * scale), "white")
    canvas.paste(Image.fromarray(picture))
    draw, left, top = ImageDraw.Draw(canvas), 6 * scale, height + 4 * scale
    draw.text((left, top), title, fill=INK, font=font_of(15 * scale, bold=True))
    top += TITLE * scale
    bar = min(canvas_width - 2 * left, 480 * scale)
    key.draw(canvas, (left, top), bar, (canvas_width - left) // columns, columns, scale)
    return canvas


def _heading_width(title: str) -> float:
    """Width of a block's title with the space after it."""
    return font_of(15, bold=True).getlength(title) + 8


def _shortened(text: str, width: int) -> str:
    """Shorten a small text to `width`."""
    while font_of(13).getlength(text) > width:
        text = text.rstrip("…")[:-1] + "…"
    return text


def _draw_bar(canvas: Image.Image, bar: tuple[str, Range, str], place: tuple[int, int], width: int, scale: int) -> None:
    colours, (low, high), unit = bar
    left, top = place
    height = SWATCH * scale
    ramp = Image.fromarray(np.repeat(colour_map(colours, np.linspace(0, 1, width))[None], height, axis=0))
    canvas.paste(ramp, (left, top))
    draw, font = ImageDraw.Draw(canvas), font_of(13 * scale)
    draw.rectangle((left, top, left + width - 1, top + height - 1), outline=GREY)
    for share in (0.0, 0.5, 1.0):
        text = f"{low + share * (high - low):.3g}{unit}"
        x = left + share * (width - draw.textlength(text, font=font))
        draw.text((x, top + height + 2 * scale), text, fill=INK, font=font)


@cache
def font_of(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    from matplotlib import get_data_path

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / name), size)
