"""Plots of scores and curves of training runs, as PIL images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from numpy.typing import NDArray
from PIL import Image

from bridgenet import tasks
from bridgenet.system.files import replacing

Rows = Sequence[Mapping[str, Any]]
"""Rows of metrics.jsonl: ``{"kind": "train", "step": int, "loss": float, ...}`` and ``{"kind": "evaluation", "step":
int, "scores": {task: {metric: value}}}``; other rows and values that are not finite are ignored."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Colours that colour-blind readers can distinguish (Okabe and Ito)."""


def precision_recall_curve(boundaries: Mapping[str, Mapping[str, Any]]) -> Image.Image:
    """Plot precision against recall of boundary predictions with lines of equal F; the best threshold is marked.

    Args:
        boundaries: by title, what :meth:`bridgenet.metrics.boundary.BoundaryScores.as_dict` gives.
    """
    figure = Figure(figsize=(5.6, 5.2), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    recall, precision = np.meshgrid(np.linspace(0.01, 1, 100), np.linspace(0.01, 1, 100))
    lines = axes.contour(
        recall,
        precision,
        2 * precision * recall / (precision + recall),
        np.arange(0.1, 1, 0.1),
        colors="0.85",
        linewidths=0.8,
    )
    axes.clabel(lines, fmt="F %.1f", fontsize=7, colors="0.6")
    for (title, scores), colour in zip(boundaries.items(), COLOURS * len(boundaries)):
        label = f"{literal(title)}: odsF {100 * scores['odsF']:.1f} %"
        axes.plot(scores["recall"], scores["precision"], color=colour, linewidth=1.8, label=label)
        axes.plot(scores["odsR"], scores["odsP"], "o", color=colour, markersize=7)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), title="Boundaries", aspect="equal")
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    return rendered(figure)


def training_curves(rows: Rows) -> Image.Image:
    """Plot loss and headline scores of a run against the step in one image."""
    shown = evaluated_tasks({"": rows})
    height = max(1, math.ceil(len(shown) / 2))
    figure = Figure(figsize=(13, max(4.4, 2.5 * height)), dpi=100, layout="constrained")
    grid = figure.add_gridspec(height, 4 if shown else 2)
    plot_loss(figure.add_subplot(grid[:, :2]), {"": rows})
    for number, task in enumerate(shown):
        plot_headline(figure.add_subplot(grid[number // 2, 2 + number % 2]), tasks.get(task), {"": rows})
    return rendered(figure)


def evaluated_tasks(runs: Mapping[str, Rows]) -> list[str]:
    """The tasks in the evaluations during training of any of these runs, in the canonical order."""
    found = {
        task for rows in runs.values() for row in rows if row.get("kind") == "evaluation" for task in row["scores"]
    }
    return [task for task in tasks.names() if task in found]


def plot_loss(axes: Any, runs: Mapping[str, Rows]) -> None:
    """Plot the smoothed training loss of runs, by their titles, on matplotlib axes; for a single run also as logged."""
    axes.set(title="Training loss", xlabel="step")
    axes.grid(alpha=0.3)
    drawn = []
    for (title, rows), colour in zip(runs.items(), COLOURS * len(runs)):
        steps, losses = _finite([(row["step"], row.get("loss")) for row in rows if row.get("kind") == "train"])
        if not steps.size:
            continue
        if len(runs) == 1:
            axes.plot(steps, losses, color="0.75", linewidth=0.8, label="as logged")
        label = "smoothed" if len(runs) == 1 else title
        axes.plot(steps, _smooth(losses), color=colour, linewidth=1.8, label=label)
        drawn.append(losses)
    if not drawn:
        axes.text(0.5, 0.5, "no training rows yet", ha="center", transform=axes.transAxes)
        return
    values = np.concatenate(drawn)
    if values.min() > 0 and values.max() > 5 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(LogFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))  # plain numbers, not 3 x 10^1
    axes.legend(frameon=False)


def plot_headline(axes: Any, task: tasks.Task, runs: Mapping[str, Rows]) -> None:
    """Plot the task's headline of runs, by their titles, on matplotlib axes; the best value of each run is marked."""
    direction = "higher" if task.higher_is_better else "lower"
    unit = f" [{task.unit}]" if task.unit else ""
    axes.set_title(f"{task.title}: {task.headline_title}{unit}, {direction} is better", fontsize=9)
    axes.set_xlabel("step", fontsize=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    for (title, rows), colour in zip(runs.items(), COLOURS * len(runs)):
        evaluations = [row for row in rows if row.get("kind") == "evaluation"]
        steps, values = _finite(
            [(row["step"], row["scores"].get(task.name, {}).get(task.headline)) for row in evaluations]
        )
        if not steps.size:
            continue
        if task.unit == "%":
            values = values * 100
        best = values.argmax() if task.higher_is_better else values.argmin()
        single = len(runs) == 1
        label = f"best {values[best]:.4g}"
        axes.plot(steps, values, color=colour, marker="o", markersize=3, label=None if single else f"{title}: {label}")
        axes.plot(
            steps[best],
            values[best],
            color=COLOURS[1] if single else colour,
            marker="o",
            markersize=6,
            linestyle="",
            label=label if single else None,
        )
    if axes.lines:
        corner = "lower right" if task.higher_is_better else "upper right"  # away from a curve that improves
        axes.legend(handlelength=1, fontsize=8, loc=corner if len(runs) == 1 else "best")
        axes.margins(y=0.25)


def _finite(pairs: Sequence[tuple[Any, Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    kept = [(x, y) for x, y in pairs if isinstance(y, int | float) and math.isfinite(y)]
    array = np.array(kept, dtype=np.float64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth values by a moving average over a twentieth of the curve, with shorter windows at both ends."""
    half = len(values) // 40
    total = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - half, 0)
    last = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (total[last] - total[first]) / (last - first)


def literal(text: str) -> str:
    """Escape text for matplotlib, which parses $ as formulas and leaves labels that begin with _ out of legends."""
    return text.replace("$", r"\$").replace("_", "\u200b_", 1) if text.startswith("_") else text.replace("$", r"\$")


def rendered(figure: Any) -> Image.Image:
    """Render a matplotlib figure as an image."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG atomically."""
    with replacing(path) as partial:
        picture.save(partial, format="PNG")
