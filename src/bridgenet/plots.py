"""Plots of scores, as PIL images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bridgenet.files import replacing

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by colour-blind readers as well (Okabe and Ito)."""


def precision_recall_curve(boundaries: Mapping[str, Mapping[str, Any]]) -> Image.Image:
    """Precision against recall of boundary predictions, over lines of equal F, the best threshold marked.

    Args:
        boundaries: by title, what :meth:`bridgenet.metrics.boundary.BoundaryScores.as_dict` gives.
    """
    from matplotlib.figure import Figure

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
        label = f"{title}: odsF {100 * scores['odsF']:.1f} %"
        axes.plot(scores["recall"], scores["precision"], color=colour, linewidth=1.8, label=label)
        axes.plot(scores["odsR"], scores["odsP"], "o", color=colour, markersize=7)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), title="Boundaries", aspect="equal")
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    return rendered(figure)


def rendered(figure: Any) -> Image.Image:
    """A matplotlib figure as a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG atomically."""
    with replacing(path) as partial:
        picture.save(partial, format="PNG")
