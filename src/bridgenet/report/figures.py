"""The report's plots: learning curves, confusion matrices, precision and recall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Drawing

from bridgenet import tasks
from bridgenet.report.blocks import Figure, Figures
from bridgenet.report.plots import evaluated_tasks, literal, plot_headline, plot_loss, precision_recall_curve, rendered
from bridgenet.report.sources import Source
from bridgenet.report.tables import boundary_protocol, confusion_of

DPI = 150


def learning_curves(sources: Sequence[Source]) -> Figures | None:
    """Plot loss and headline of each task against the step for all runs; None if no run has a log."""
    runs = {source.name: source.rows for source in sources if source.rows}
    if not runs:
        return None
    figures = []
    for task in [None, *evaluated_tasks(runs)]:
        drawing = Drawing(figsize=(4.6, 3.1), dpi=DPI, layout="constrained")
        axes = drawing.add_subplot()
        if task is None:
            plot_loss(axes, runs)
            axes.title.set_fontsize(9)
            axes.tick_params(labelsize=8)
            if axes.get_legend():
                axes.legend(fontsize=8, frameon=False)
            alt = "Training loss against the step"
        else:
            plot_headline(axes, tasks.get(task), runs)
            alt = f"{tasks.get(task).title}: {tasks.get(task).headline_title} against the step"
        figures.append(Figure(rendered(drawing), f"{alt}, of {', '.join(runs)}"))
    return Figures(figures)


def precision_recall(sources: Sequence[Source]) -> Figure | None:
    """Plot precision against recall of the boundaries; None if no source has them."""
    found = {source.name: source.evaluation["boundaries"] for source in sources if source.evaluation.get("boundaries")}
    if not found:
        return None
    protocols = dict.fromkeys(boundary_protocol(source).split(";")[0] for source in sources if source.name in found)
    odsf = ", ".join(f"{name} odsF {100 * scores['odsF']:.1f} %" for name, scores in found.items())
    return Figure(
        precision_recall_curve(found),
        f"Precision against recall of boundaries: {odsf}",
        "; ".join(protocols),
    )


def confusion(task: str, source: Source) -> Figure | None:
    """Plot the confusion matrix of the classes that occur, normalised by row; None without a matrix."""
    matrix = confusion_of(source, task)
    if matrix is None:
        return None
    shown = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    if not shown.size:
        return None
    names = source.class_names(task)
    labels = [literal(names[i]) if i < len(names) else f"class {i}" for i in shown]
    part = matrix[np.ix_(shown, shown)].astype(np.float64)
    shares = part / np.maximum(part.sum(axis=1, keepdims=True), 1)
    side = 2.6 + 0.2 * max(len(shown), 8)
    drawing = Drawing(figsize=(side + 0.6, side), dpi=DPI, layout="constrained")
    axes = drawing.add_subplot()
    drawn = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    ticks = np.arange(len(shown))
    axes.set_xticks(ticks, labels, rotation=90, fontsize=7)
    axes.set_yticks(ticks, labels, fontsize=7)
    axes.set_xlabel("predicted", fontsize=8)
    axes.set_ylabel("true", fontsize=8)
    bar = drawing.colorbar(drawn, ax=axes, fraction=0.04, label="share of the true class's pixels")
    bar.ax.tick_params(labelsize=7)
    alt = f"{source.name}: confusion matrix of {len(shown)} classes; right on the diagonal"
    return Figure(
        rendered(drawing), alt, f"{source.name}: confusion matrix, classes that occur", width=round(100 * (side + 0.6))
    )
