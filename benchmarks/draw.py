"""Pictures of what was measured: of every WHAT.json, WHAT.png beside it.

    python benchmarks/draw.py benchmark/inference.json benchmark/tasks.json

Takes what `bridgenet benchmark inference` and `training`, `scaling.py`, `loading.py` and `metrics.py` write.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from bridgenet.benchmark.tables import NAMES, differing, duration, shared, size
from bridgenet.report.plots import COLOURS, literal, rendered, save

Record = Mapping[str, Any]


def draw_cases(title: str, records: Sequence[Record]) -> Image.Image:
    """A bar per case for the time, with its range, its floor and its share of G, and one for the peak of memory."""
    done = [record for record in records if record["result"]]
    labels = _labels([record["case"] for record in done])
    figure = Figure(figsize=(12, 1.6 + 0.42 * len(done)), dpi=110, layout="constrained")
    times, memory = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [2, 1]})
    ways = list(dict.fromkeys((r["case"]["precision"], r["case"]["way"]) for r in done))
    colours = [COLOURS[ways.index((r["case"]["precision"], r["case"]["way"])) % len(COLOURS)] for r in done]
    places = np.arange(len(done))
    seconds = [record["result"]["seconds"] for record in done]
    medians = np.array([x["median"] for x in seconds])
    errors = [medians - [x["min"] for x in seconds], [x["max"] for x in seconds] - medians]
    floors = [max(r["result"]["floor"]["operations"], r["result"]["floor"]["bytes"]) for r in done]
    times.barh(places, medians, xerr=errors, color=colours, height=0.7, error_kw={"ecolor": "0.2", "capsize": 3})
    times.plot(floors, places, "|", color="black", markersize=14, markeredgewidth=2, label="floor")
    for place, record, x, floor in zip(places, done, seconds, floors):
        text = f"{duration(x['median'])}, share {record['result']['share']:.2f}"
        times.annotate(text, (max(x["max"], floor), place), (6, 0), textcoords="offset points", va="center", fontsize=8)
    times.set(title=literal(title), xlabel="seconds of a batch: median and range", yticks=places, yticklabels=labels)
    times.margins(x=0.28)
    times.set_xlim(left=0)
    times.invert_yaxis()
    times.legend(frameon=False, fontsize=8, loc="lower right")
    peaks = [(record["result"]["memory"] or 0) / 1e9 for record in done]
    memory.barh(places, peaks, color=colours, height=0.7)
    for place, peak in zip(places, peaks):
        memory.annotate(f"{peak:.2f}", (peak, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    memory.set(xlabel="peak of memory [GB]")
    memory.margins(x=0.18)
    for axes in (times, memory):
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    return rendered(figure)


def _labels(cases: Sequence[Record]) -> list[str]:
    shown = differing(cases)
    words = [
        [f"batch {NAMES[name](case)}" if name == "batch" else NAMES[name](case) for name in shown] for case in cases
    ]
    return [literal(", ".join(parts)) for parts in words]


def draw_scaling(
    title: str, quantity: str, x: Sequence[float], records: Sequence[Record], lines: Mapping[str, Record]
) -> Image.Image:
    """Time, multiply-adds and memory against a quantity, each with its line where there is one."""
    figure = Figure(figsize=(12, 4.2), dpi=110, layout="constrained")
    figure.suptitle(literal(title), fontsize=11)
    found = [(value, record["result"]) for value, record in zip(x, records) if record["result"]]
    places = np.array([value for value, _ in found])
    drawn = {
        "seconds": ("time [s]: median and range", [r["seconds"]["median"] for _, r in found]),
        "gmac": ("GMAC", [r["gmac"] for _, r in found]),
        "memory": ("peak of memory [GB]", [(r["memory"] or 0) / 1e9 for _, r in found]),
    }
    for axes, (name, (label, values)), colour in zip(figure.subplots(1, 3), drawn.items(), COLOURS):
        axes.plot(places, values, "o", color=colour, markersize=5)
        if name == "seconds":
            low, high = (np.array([r["seconds"][end] for _, r in found]) for end in ("min", "max"))
            axes.vlines(places, low, high, color=colour)
        if (line := lines.get(name)) is not None:
            ends = np.array([0, places.max()])
            told = f"R² {line['r2']:.4f}, within {100 * line['deviation']:.1f} %"
            axes.plot(ends, line["intercept"] + line["slope"] * ends, color=colour, linewidth=1, alpha=0.6, label=told)
            axes.legend(frameon=False, fontsize=8, loc="upper left")
        axes.set(xlabel=quantity, ylabel=label)
        axes.set_xlim(left=0)
        axes.set_ylim(0, 1.2 * axes.get_ylim()[1])  # room for the key
        axes.grid(alpha=0.3)
    return rendered(figure)


def draw_bars(
    title: str, label: str, values: Mapping[str, Record], *, factor: float = 1, goal: float | None = None
) -> Image.Image:
    """A bar per entry, with its range.

    Args:
        values: by name, what :func:`bridgenet.benchmark.rates.summary` gives; drawn times `factor`.
        goal: drawn as a line, in the unit of the drawing.
    """
    figure = Figure(figsize=(7, 1.4 + 0.35 * len(values)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    medians, low, high = (factor * np.array([x[key] for x in values.values()]) for key in ("median", "min", "max"))
    errors = [medians - low, high - medians]
    axes.barh(
        list(values), medians, xerr=errors, color=COLOURS[0], height=0.7, error_kw={"ecolor": "0.2", "capsize": 3}
    )
    if goal is not None:
        axes.axvline(goal, color="0.4", linestyle="--", linewidth=1, label=f"goal {goal:g}")
        axes.legend(frameon=False, fontsize=8)
    axes.set(title=literal(title), xlabel=label)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return rendered(figure)


def draw(content: Record) -> Image.Image | None:
    """What a file of results holds; None if no case gave a result."""
    kind, records = content["kind"], content["records"]
    done = [record for record in records if record["result"]]
    if not done:
        return None
    case, result = done[0]["case"], done[0]["result"]
    if kind == "data":
        title = f"Training samples of {case['layout']}, one core"
        return draw_bars(title, "samples a second: median and range", result["rates"])
    if kind == "metrics":
        title = f"One update of a metric, batch {case['batch']}, {size(case['size'])}, {case['device']}"
        seconds = {name: found["seconds"] for name, found in result["tasks"].items()}
        return draw_bars(title, "ms: median and range", seconds, factor=1000, goal=result["goal"])
    if "lines" in content:
        title = ", ".join(case[key] for key in ("network", "device", "precision", "way"))
        return draw_scaling(title, content["quantity"], content["x"], records, content["lines"])
    title = f"{kind}: {content['machine']['processor']}, {shared([record['case'] for record in records])}"
    return draw_cases(title, records)


def main(files: Sequence[str]) -> None:
    for file in map(Path, files):
        picture = draw(json.loads(file.read_text(encoding="utf-8")))
        if picture is None:
            print(f"{file}: no case gave a result")
            continue
        save(picture, file.with_suffix(".png"))
        print(f"→ {file.with_suffix('.png')}")


if __name__ == "__main__":
    main(sys.argv[1:])
