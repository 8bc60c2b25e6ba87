"""Curves of training runs, alone and overlaid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from bridgenet import tasks
from bridgenet.report import plots


def rows(evaluations: bool = True) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"kind": "train", "step": i, "loss": 9 / (i + 1), "lr": 1e-4} for i in range(60)]
    if evaluations:
        scores = {task: {tasks.get(task).headline: 0.5, "other": 1.0} for task in tasks.names()}
        found += [{"kind": "evaluation", "step": step, "scores": scores} for step in (30, 60)]
    return found


@pytest.mark.parametrize(
    "log",
    [
        [],
        rows(),
        rows(evaluations=False),
        rows()[60:],
        [*rows(), {"kind": "note"}, {"kind": "train", "step": 61, "loss": float("nan")}],
        [{"kind": "evaluation", "step": 1, "scores": {"depth": {"rmse": float("nan")}}}],
    ],
    ids=["empty", "both", "train only", "evaluation only", "not finite", "nothing valid"],
)
def test_training_curves(log: list[dict[str, Any]]) -> None:
    drawn = plots.training_curves(log)
    assert drawn.mode == "RGB" and drawn.width == 1300 and drawn.height >= 440
    assert np.asarray(drawn).std() > 1


def test_curves_of_several_runs_are_overlaid() -> None:
    axes = Figure().add_subplot()
    plots.plot_loss(axes, {"one": rows(), "two": rows(), "none": []})
    assert [line.get_label() for line in axes.lines] == ["one", "two"]
    assert len({line.get_color() for line in axes.lines}) == 2

    axes = Figure().add_subplot()
    plots.plot_headline(axes, tasks.get("depth"), {"one": rows(), "two": rows()})
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one: best 0.5", "two: best 0.5"]
