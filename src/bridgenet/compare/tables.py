"""The report of a comparison: main table, differences, plots of quality against cost; for HTML, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure as Drawing

from bridgenet import tasks
from bridgenet.benchmark.tables import aligned, duration
from bridgenet.compare.plan import Plan
from bridgenet.compare.results import Entry
from bridgenet.compare.statistics import CONFIDENCE, FEWEST, Difference, Spread
from bridgenet.report.blocks import Block, Cell, Column, Figure, Figures, Row, Section, Table, Text
from bridgenet.report.plots import COLOURS, literal, rendered
from bridgenet.report.terms import heading
from bridgenet.tasks import Headline

PERCENT = Headline("gain", "Δm", True, "%")


def sections(plan: Plan, headlines: dict[str, Headline], entries: Sequence[Entry], how: Sequence[str]) -> list[Section]:
    """The sections of page and Markdown."""
    counts = sorted({len(entry.seeds) for entry in entries}) or [0]
    over = f"{counts[0]}{f' to {counts[-1]}' if len(counts) > 1 else ''} seed{'s' * (counts != [1])}"
    results: list[Block] = [
        main_table(plan, headlines, entries),
        Text(
            f"Mean ± sample deviation over {over}; ★ the best of those with {FEWEST} or more. Δm: mean relative gain of the tasks' "
            f"headlines over the mean scores of {plan.reference}, – where the tasks are others. Scores are those of the last weights. "
            "GMAC and latency: one image of the training size; training time without evaluation; memory: peak of a training process.",
            note=True,
        ),
    ]
    found = [
        Section("Results", results),
        Section(f"Differences to {plan.against}", _differences(plan, headlines, entries)),
    ]
    figures = [plot for plot in (_plot(entries, *axis) for axis in _AXES) if plot is not None]
    if figures:
        found.append(Section("Quality against cost", [Figures(figures)]))
    found.append(Section("How it was made", [Text(line) for line in how]))
    return found


def main_table(plan: Plan, headlines: dict[str, Headline], entries: Sequence[Entry]) -> Table:
    """The table of all headlines with mean and deviation, Δm, and costs."""
    columns = [Column("configuration", numeric=False)]
    columns += [Column(tasks.get(task).title, heading(headline)) for task, headline in headlines.items()]
    columns += [Column("Δm [%]", f"over {plan.reference}"), Column("parameters", "million"), Column("GMAC")]
    columns += [Column("training"), Column("memory", "GB"), Column("latency")]
    rated = [entry for entry in entries if len(entry.seeds) >= FEWEST]  # fewer seeds allow no verdict
    best = {task: _best(headline, [entry.scores[task].mean for entry in rated]) for task, headline in headlines.items()}
    best_gain = _best(PERCENT, [entry.gain.mean for entry in rated])
    rows = []
    for entry in entries:
        cells = [Cell(entry.name)]
        for task, headline in headlines.items():
            own = entry.scores[task]
            cells.append(Cell(number(headline, own), own.mean, entry in rated and own.mean == best[task]))
        cells.append(
            Cell(
                number(PERCENT, entry.gain, signed=True),
                entry.gain.mean,
                entry in rated and entry.gain.mean == best_gain,
            )
        )
        cost = entry.cost
        cells.append(_cell(cost.get("parameters"), lambda value: f"{value / 1e6:.1f}"))
        cells.append(_cell(cost.get("gmac"), lambda value: f"{value:.1f}" if value >= 10 else f"{value:.2f}"))
        cells.append(_cell(entry.seconds.mean, duration))
        cells.append(_cell(entry.memory.mean, lambda value: f"{value / 1e9:.2f}"))
        cells.append(_cell(cost.get("latency"), duration))
        rows.append(Row(cells))
    return Table(columns, rows)


def as_text(plan: Plan, headlines: dict[str, Headline], entries: Sequence[Entry]) -> str:
    """The main table for a terminal."""
    table = main_table(plan, headlines, entries)
    titles = [*headlines, *(column.title for column in table.columns[1 + len(headlines) :])]
    heads = [[table.columns[0].title, *titles], [column.below for column in table.columns]]
    return aligned([*heads, *([cell.text for cell in row.cells] for row in table.rows)])


def _differences(plan: Plan, headlines: dict[str, Headline], entries: Sequence[Entry]) -> list[Block]:
    others = [(entry, entry.difference) for entry in entries if entry.difference is not None]
    if not others:
        return [Text("There is nothing to compare with yet.", note=True)]
    columns = [Column("configuration", numeric=False), Column("Δm"), Column("", "in all", numeric=False)]
    columns += [Column(tasks.get(task).title) for task in headlines]
    rows = []
    for entry, difference in others:
        cells = [Cell(entry.name), _difference(difference), Cell(difference.verdict)]
        rows.append(Row([*cells, *(_difference(entry.differences[task]) for task in headlines)]))
    counts = [difference.seeds for _, difference in others if difference.seeds >= FEWEST]
    text = (
        f"Relative gain minus that of {plan.against}, in points of per cent, paired by seed, with the {100 * CONFIDENCE:.0f} % "
        "bootstrap interval over seeds. Better or worse: the interval of Δm does not hold 0; inconclusive: it does. "
    )
    if not counts:
        text += f"From fewer than {FEWEST} seeds nothing follows: no winner is named."
    elif min(counts) == 3:
        text += (
            "From 3 seeds it is the range of the differences, which holds the true median with 75 % at best: where nothing differs, one "
            "row in four says better or worse all the same."
        )
    else:
        text += f"From {min(counts)} seeds it is rather too narrow, and of several rows some differ by chance; nothing corrects for that."
    return [Table(columns, rows), Text(text, note=True)]


def number(headline: Headline, value: Spread, *, signed: bool = False) -> str:
    """Format mean and deviation in the unit of the heading, e.g. `41.2 ± 0.3`."""
    if not math.isfinite(value.mean):
        return "–"
    factor, digits = (100, 2) if headline.unit == "%" else (1, 2) if headline.unit == "deg" else (1, 4)
    mean = round(factor * value.mean, digits) + 0.0  # no "-0.00"
    text = f"{mean:{'+' if signed else ''}.{digits}f}"
    return text if not math.isfinite(value.deviation) else f"{text} ± {factor * value.deviation:.{digits}f}"


def _difference(value: Difference) -> Cell:
    if not math.isfinite(value.mean):
        return Cell("–")
    text = f"{round(100 * value.mean, 2) + 0.0:+.2f}"
    if math.isfinite(value.low):
        text += f" [{100 * value.low:+.2f}, {100 * value.high:+.2f}]"
    return Cell(text, value.mean)


def _cell(value: float | None, text: Any) -> Cell:
    return Cell(text(value), value) if value is not None and math.isfinite(value) else Cell("–")


def _best(headline: Headline, values: Sequence[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 2:
        return None
    return max(known) if headline.higher_is_better else min(known)


_AXES = (
    ("gmac", "GMAC of an image"),
    ("latency", "latency of an image [s]"),
    ("seconds", "training time [min]"),
)


def _plot(entries: Sequence[Entry], key: str, title: str) -> Figure | None:
    """Plot Δm against a cost, with the deviation over seeds."""
    points = []
    for entry in entries:
        x = entry.seconds.mean / 60 if key == "seconds" else entry.cost.get(key)
        if x is not None and math.isfinite(x) and math.isfinite(entry.gain.mean):
            points.append((x, entry))
    if len(points) < 2:
        return None
    drawing = Drawing(figsize=(5.2, 3.8), dpi=150, layout="constrained")
    axes = drawing.add_subplot()
    for number, (x, entry) in enumerate(points):
        deviation = entry.gain.deviation
        axes.errorbar(
            x,
            100 * entry.gain.mean,
            yerr=100 * deviation if math.isfinite(deviation) else None,
            fmt="os^Dv<>"[number // len(COLOURS) % 7],
            color=COLOURS[number % len(COLOURS)],
            capsize=3,
            label=literal(entry.name),
        )
    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.set(xlabel=title, ylabel="Δm [%]")
    axes.set_xlim(left=0)
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return Figure(rendered(drawing), f"Δm against {title} of {', '.join(entry.name for _, entry in points)}")


def csv_table(headlines: dict[str, Headline], entries: Sequence[Entry]) -> str:
    """One row per configuration with numbers in base units: fractions in 0..1, metres, degrees, seconds, bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    scores = [f"{task}.{headline.key}" for task, headline in headlines.items()]
    spreads = [*scores, "gain", "training_seconds", "training_memory"]
    costs = ("parameters", "gmac", "latency")
    difference = ("difference", "difference_low", "difference_high", "verdict")
    header = [f"{name}{part}" for name in spreads for part in ("", "_deviation")]
    writer.writerow(["configuration", "seeds", *header, *costs, *difference])
    for entry in entries:
        values = [*(entry.scores[task] for task in headlines), entry.gain, entry.seconds, entry.memory]
        row: list[Any] = [entry.name, len(entry.seeds)]
        row += [_text(x) for value in values for x in (value.mean, value.deviation)]
        row += [_text(entry.cost.get(key)) for key in costs]
        own = entry.difference
        row += [_text(own.mean), _text(own.low), _text(own.high), own.verdict] if own else [""] * 4
        writer.writerow(row)
    return text.getvalue()


def _text(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{round(value, 12) + 0.0:.8g}"
