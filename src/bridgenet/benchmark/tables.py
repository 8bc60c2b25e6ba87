"""Tables of results for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridgenet.benchmark.reference import REFERENCE, TRAINING, Reference

Record = Mapping[str, Any]


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Align rows in columns: the first `left` ones to the left, the others to the right."""
    widths = [max(_width(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]

    def cell(text: str, i: int) -> str:
        blank = " " * (widths[i] - _width(text))
        return text + blank if i < left else blank + text

    return "\n".join("  ".join(cell(text, i) for i, text in enumerate(row)).rstrip() for row in rows)


def _width(text: str) -> int:
    return sum(not unicodedata.combining(letter) for letter in text)


def duration(seconds: float) -> str:
    """Format a duration, e.g. `3.41 s` or `12.3 ms`."""
    if seconds >= 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def spread(seconds: Mapping[str, Any]) -> str:
    """Format median and range: `3.41 s (3.38 to 3.52)`, in the unit of the median."""
    unit = 1 if seconds["median"] >= 1 else 1000
    low, high = (f"{unit * seconds[key]:.{2 if unit == 1 else 1}f}" for key in ("min", "max"))
    return f"{duration(seconds['median'])} ({low} to {high})"


def size(value: Sequence[int]) -> str:
    """Format a size, e.g. `448×576`."""
    return f"{value[0]}×{value[1]}"


NAMES: Mapping[str, Callable[[Record], str]] = {
    "network": lambda case: case["network"],
    "device": lambda case: case["device"],
    "precision": lambda case: case["precision"],
    "way": lambda case: case["way"] + (" end to end" if case.get("end_to_end") else ""),
    "size": lambda case: size(case["size"]),
    "batch": lambda case: f"{case['batch']}",
}
"""The text of each property of a case."""


def differing(cases: Sequence[Record]) -> list[str]:
    """The properties in which the cases differ, and always the network."""
    return [name for name, text in NAMES.items() if name == "network" or len({text(case) for case in cases}) > 1]


def shared(cases: Sequence[Record]) -> str:
    """The text of the properties that all cases share."""
    shown = differing(cases)
    return ", ".join(f"{name} {text(cases[0])}" for name, text in NAMES.items() if name not in shown)


def case_table(records: Sequence[Record]) -> str:
    """The shared properties, and a row per case: time, throughput, share, G, floor, memory, parameters, GMAC."""
    shown = differing([record["case"] for record in records])
    same = shared([record["case"] for record in records])
    measured = ["time", "images/s", "share", "reference", "G", "floor", "memory", "parameters", "GMAC"]
    rows, failures = [], []
    for record in records:
        case, result = record["case"], record["result"]
        names = [NAMES[name](case) for name in shown]
        if result is None:
            failures.append(f"{'  '.join(names)}  – {record['error']}")
        else:
            rows.append([*names, *_row(case, result)])
    text = aligned([[*shown, *measured], *rows], left=sum(name not in ("size", "batch") for name in shown))
    return "\n".join([*([same] if same else []), *([text] if rows else []), *failures])


def _row(case: Record, result: Record) -> list[str]:
    known = _reference(case, result)
    return [
        spread(result["seconds"]),
        f"{result['images_per_second']:.3g}",
        f"{result['share']:.2f}",
        f"{known.share:.2f}" if known and known.share else "–",
        f"{result['rates']['G']['median'] / 1e9:.0f}",
        duration(max(result["floor"]["operations"], result["floor"]["bytes"])),
        memory(result["memory"]),
        f"{result['cost']['parameters'] / 1e6:.1f} M",
        f"{result['gmac']:.3g}" if result["gmac"] < 100 else f"{result['gmac']:.0f}",
    ]


def _reference(case: Record, result: Record) -> Reference | None:
    """The reference's figures for the same case: float32 on a CPU, published size and batch."""
    table, batch = (TRAINING, 2) if case["kind"] == "training" else (REFERENCE, 1)
    same = result["gmac_source"] == "reference" and (case["device"], case["precision"]) == ("cpu", "float32")
    return table.get(case["network"]) if same and case["batch"] == batch else None


def memory(value: float | None) -> str:
    """Format bytes, e.g. `2.31 GB`."""
    return "–" if value is None else f"{value / 1e9:.2f} GB"


def rates_line(records: Sequence[Record]) -> str:
    """The rates of the machine between the runs: G and its range, best rates, bandwidth."""
    lines = []
    for device, precision in dict.fromkeys((r["case"]["device"], r["case"]["precision"]) for r in records):
        found = [
            r["result"]["rates"]
            for r in records
            if r["result"] and (r["case"]["device"], r["case"]["precision"]) == (device, precision)
        ]
        if not found:
            continue
        low, high = min(x["G"]["min"] for x in found) / 1e9, max(x["G"]["max"] for x in found) / 1e9
        base = "float32" if device == "cpu" else precision
        best = [f"{max(x[name]['median'] for x in found) / 1e9:.0f}" for name in ("product", "convolution")]
        copies = max(x["bandwidth"]["median"] for x in found) / 1e9
        lines.append(
            f"{device} {precision}: G {low:.0f} to {high:.0f} GFLOP/s ({base} product of {found[0]['side']}³); "
            f"products {best[0]}, convolutions {best[1]} GFLOP/s; copies {copies:.0f} GB/s"
        )
    return "\n".join(lines)
