"""Predictions and targets in colour, panels of them, and curves of a training run.

Maps are NumPy arrays as decoded (see :class:`bridgenet.Task`): classes (H, W) integers, probabilities (H, W) in [0, 1],
depth (H, W) [m], normals (H, W, 3) unit vectors; or targets (H, W, C) with IGNORE where there is no label.
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


def colourise(task: str, map: Map, *, depth_range: Range | None = None) -> NDArray[np.uint8]:
    """A prediction or target of that task as an (H, W, 3) uint8 RGB image.

    Classes take their :data:`PALETTE` colour; depth is bright near and dark far, over `depth_range` [m] or the map's
    1st to 99th percentile; normals show (n + 1) / 2, so that a wall faced by the camera is bluish and a floor greenish;
    probabilities are grey. Raises UserError for an unknown task or a map of another shape.
    """
    kind = tasks.get(task).kind
    values = _as_map(task, map)
    if kind == "classes":
        labels = values.astype(np.int64)
        return np.where((labels == IGNORE)[..., None], NO_LABEL, PALETTE[labels % len(PALETTE)])
    if kind == "normals":
        colours = np.rint((np.clip(values, -1, 1) + 1) * 127.5).astype(np.uint8)
        return np.where((values == IGNORE).all(axis=-1, keepdims=True), NO_LABEL, colours)
    if kind == "probability":
        colours = _colour_map(PROBABILITY_COLOURS, values)
        return np.where((values == IGNORE)[..., None], NO_LABEL, colours)
    near, far = depth_range or find_depth_range([values])
    known = _known_depth(values)
    colours = _colour_map(DEPTH_COLOURS, (np.where(known, values, near) - near) / max(far - near, 1e-6))
    return np.where(known[..., None], colours, np.uint8(0))


def find_depth_range(maps: Sequence[Map]) -> Range:
    """(nearest, farthest) [m] to colour these depth maps alike: the 1st and 99th percentile of what is known."""
    known = [values[_known_depth(values)].ravel() for values in maps]
    # some ten thousand pixels tell a percentile
    joined = np.concatenate([values[:: 1 + values.size // 50_000] for values in known]) if known else np.empty(0)
    if joined.size == 0:
        return 0.0, 1.0
    near, far = (float(value) for value in np.percentile(joined, (1, 99)))
    return near, max(far, near + 1e-3)


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
        if _as_map(task, map).shape[:2] != image.shape[:2]:
            raise UserError(
                f"{task}: a map of {np.shape(map)} for an image of {image.shape}; resize it to the image first"
            )
    blocks = [_Block("Photo", [image], None)]
    for task, prediction in predictions.items():
        names = (class_names or {}).get(task)
        blocks.append(_task_block(task, [prediction, *([truths[task]] if task in truths else [])], names))
    return _draw(blocks)


def training_curves(rows: Sequence[Mapping[str, Any]]) -> Image.Image:
    """Loss and headline scores against the step, from the rows of a run's metrics.jsonl.

    Rows: ``{"kind": "train", "step": int, "loss": float, ...}`` and ``{"kind": "evaluation", "step": int, "scores":
    {task: {metric: value}}}``; rows of other kinds and values that are not finite are passed over.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    evaluations = [row for row in rows if row.get("kind") == "evaluation"]
    found = {task for row in evaluations for task in row["scores"]}
    shown = [task for task in tasks.names() if task in found]
    height = max(1, math.ceil(len(shown) / 2))
    figure = Figure(figsize=(13, max(4.4, 2.5 * height)), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    grid = figure.add_gridspec(height, 4 if shown else 2)
    _plot_loss(figure.add_subplot(grid[:, :2]), [row for row in rows if row.get("kind") == "train"])
    for number, task in enumerate(shown):
        axes = figure.add_subplot(grid[number // 2, 2 + number % 2])
        _plot_headline(axes, tasks.get(task), evaluations)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def _plot_loss(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.ticker import LogFormatter

    steps, losses = _finite([(row["step"], row.get("loss")) for row in rows])
    axes.set(title="Training loss", xlabel="step")
    axes.grid(alpha=0.3)
    if not steps.size:
        axes.text(0.5, 0.5, "no training rows yet", ha="center", transform=axes.transAxes)
        return
    smoothed = _smooth(losses)
    axes.plot(steps, losses, color="0.75", linewidth=0.8, label="as logged")
    axes.plot(steps, smoothed, color="#0072b2", linewidth=1.8, label="smoothed")
    if losses.min() > 0 and losses.max() > 5 * losses.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(LogFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))  # plain numbers, not 3 x 10^1
    axes.legend(frameon=False)


def _plot_headline(axes: Any, task: tasks.Task, rows: Sequence[Mapping[str, Any]]) -> None:
    scores = [(row["step"], row["scores"].get(task.name, {}).get(task.headline)) for row in rows]
    steps, values = _finite(scores)
    if task.unit == "%":
        values = values * 100
    direction = "higher" if task.higher_is_better else "lower"
    unit = f" [{task.unit}]" if task.unit else ""
    axes.set_title(f"{task.title}: {task.headline_title}{unit}, {direction} is better", fontsize=9)
    axes.set_xlabel("step", fontsize=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    if not steps.size:
        return
    axes.plot(steps, values, color="#0072b2", marker="o", markersize=3)
    best = values.argmax() if task.higher_is_better else values.argmin()
    axes.plot(
        steps[best],
        values[best],
        color="#d55e00",
        marker="o",
        markersize=6,
        linestyle="",
        label=f"best {values[best]:.4g}",
    )
    axes.legend(handlelength=1, fontsize=8, loc="lower right" if task.higher_is_better else "upper right")
    axes.margins(y=0.25)


def _finite(pairs: Sequence[tuple[Any, Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    kept = [(x, y) for x, y in pairs if isinstance(y, int | float) and math.isfinite(y)]
    array = np.array(kept, dtype=np.float64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over a window around each value, a twentieth of the curve, shorter at both ends."""
    half = len(values) // 40
    total = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - half, 0)
    last = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (total[last] - total[first]) / (last - first)


def _as_map(task: str, map: Map) -> Map:
    """(H, W), or (H, W, 3) for normals, without the channel of a target; UserError for anything else."""
    normals = tasks.get(task).kind == "normals"
    values = np.asarray(map)
    if not normals and values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != (3 if normals else 2) or (normals and values.shape[2] != 3):
        expected = "(H, W, 3)" if normals else "(H, W) or (H, W, 1)"
        raise UserError(f"{task}: a map of shape {values.shape} cannot be drawn, {expected} was expected")
    return values


def _known_depth(values: Map) -> NDArray[np.bool_]:
    return np.isfinite(values) & (values > 0) & (values != IGNORE)


def _colour_map(name: str, values: Map) -> NDArray[np.uint8]:
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
INK, GREY = (30, 30, 30), (110, 110, 110)


class _Block:
    """One column of pictures that share a title and a key."""

    def __init__(self, title: str, pictures: Sequence[NDArray[np.uint8]], key: _Key | None, *, smooth: bool = True):
        self.title = title
        self.key = key
        self.pictures = [_resize(picture, smooth) for picture in pictures]

    @property
    def width(self) -> int:
        return max(MIN_BLOCK_WIDTH, *(picture.width for picture in self.pictures))


class _Key:
    """Swatches with names, or a bar from one value to another."""

    def __init__(self, *, swatches: Sequence[tuple[Any, str]] = (), bar: tuple[str, Range, str] | None = None):
        self.swatches = swatches
        self.bar = bar  # colours, range, unit

    @property
    def height(self) -> int:
        return 2 * KEY_ROW if self.bar else KEY_ROW * math.ceil(len(self.swatches) / 2)


def _task_block(task: str, maps: Sequence[Map], names: Sequence[str] | None) -> _Block:
    kind, title = tasks.get(task).kind, tasks.get(task).title
    values = [_as_map(task, map) for map in maps]
    if kind == "classes":
        key = _Key(swatches=_legend(values, names))
        return _Block(title, [colourise(task, map) for map in values], key, smooth=False)
    if kind == "depth":
        depth_range = find_depth_range(values)
        pictures = [colourise(task, map, depth_range=depth_range) for map in values]
        return _Block(title, pictures, _Key(bar=(DEPTH_COLOURS, depth_range, " m")), smooth=False)
    pictures = [colourise(task, map) for map in values]
    if kind == "probability":
        return _Block(title, pictures, _Key(bar=(PROBABILITY_COLOURS, (0.0, 1.0), "")))
    axes = [((255, 128, 128), "to the right"), ((128, 255, 128), "up"), ((128, 128, 255), "to the camera")]
    return _Block(title, pictures, _Key(swatches=axes), smooth=False)


def _legend(maps: Sequence[Map], names: Sequence[str] | None) -> list[tuple[Any, str]]:
    """Colour and name of the classes present, the largest first; the last place tells how many are left out."""
    labels = np.concatenate([map.astype(np.int64).ravel() for map in maps])
    area = np.bincount(labels[labels != IGNORE], minlength=1)
    present = [int(label) for label in np.argsort(-area, kind="stable") if area[label]]
    shown = present if len(present) <= MAX_LEGEND else present[: MAX_LEGEND - 1]
    titles = [names[label] if names and label < len(names) else f"class {label}" for label in shown]
    entries: list[tuple[Any, str]] = [(tuple(PALETTE[i % len(PALETTE)].tolist()), t) for i, t in zip(shown, titles)]
    if len(shown) < len(present):
        entries.append((None, f"and {len(present) - len(shown)} more"))
    return entries


def _resize(picture: NDArray[np.uint8], smooth: bool) -> Image.Image:
    """To at most LONG_SIDE: large pictures reduced, small ones enlarged by a whole factor."""
    drawn = Image.fromarray(np.ascontiguousarray(picture))
    longest = max(drawn.size)
    if longest <= LONG_SIDE:
        factor = LONG_SIDE // longest
        return drawn.resize((drawn.width * factor, drawn.height * factor), Image.Resampling.NEAREST)
    size = (max(1, round(drawn.width * LONG_SIDE / longest)), max(1, round(drawn.height * LONG_SIDE / longest)))
    return drawn.resize(size, Image.Resampling.BOX if smooth else Image.Resampling.NEAREST)


def _draw(blocks: Sequence[_Block]) -> Image.Image:
    width = max(block.width for block in blocks)
    picture_height = max(picture.height for block in blocks for picture in block.pictures)
    stacked = max(len(block.pictures) for block in blocks)
    key_height = max(block.key.height if block.key else 0 for block in blocks)
    height = TITLE + stacked * picture_height + (stacked - 1) * CAPTION + 8 + key_height
    columns = _columns(len(blocks), width + MARGIN, height + MARGIN)
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
    if captions and block.key:
        offset = draw.textlength(block.title, font=_font(15, bold=True)) + 8
        draw.text((left + offset, top + 2), "prediction", fill=GREY, font=_font(13))
    top += TITLE
    for number, picture in enumerate(block.pictures):
        if number:
            draw.text((left, top + 3), "ground truth", fill=GREY, font=_font(13))
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
        text, font = name, _font(13)
        while draw.textlength(text, font=font) > column_width - SWATCH - 12:
            text = text.rstrip("…")[:-1] + "…"
        draw.text((x + SWATCH + 6, y - 1), text, fill=INK, font=font)


def _draw_bar(canvas: Image.Image, bar: tuple[str, Range, str], left: int, top: int, width: int) -> None:
    colours, (low, high), unit = bar
    ramp = Image.fromarray(np.repeat(_colour_map(colours, np.linspace(0, 1, width))[None], SWATCH, axis=0))
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
