"""Inference against the number of tasks, of pixels or of images in the batch, with a line through the points.

    python benchmarks/scaling.py tasks nyud-vit-base [--tasks 1 2 4 8]
    python benchmarks/scaling.py sizes nyud-vit-base [--sizes 224x288 448x576 560x720]
    python benchmarks/scaling.py batches nyud-vit-base [--batches 1 2 4 8]

Prints a table and the lines, and writes `tasks.json`, `sizes.json` or `batches.json`, which `benchmarks/draw.py` draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bridgenet.benchmark.cases import Case, grid
from bridgenet.benchmark.commands import measure
from bridgenet.benchmark.cost import description
from bridgenet.benchmark.machine import check_precisions, choose_devices
from bridgenet.benchmark.results import Results
from bridgenet.benchmark.tables import aligned, duration, memory, spread
from bridgenet.cli.benchmark import NETWORK, add_runs, image_size, positive
from bridgenet.config.resolved import network_size
from bridgenet.errors import UserError

QUANTITIES = {"tasks": "tasks", "sizes": "megapixels", "batches": "images"}
FACTORS = (0.5, 0.75, 1.0, 1.25)
"""Of both sides of the network's own image size."""


@dataclass(frozen=True)
class Line:
    """y = intercept + slope·x, by least squares.

    Attributes:
        r2: share of the points' variance that the line explains.
        deviation: largest distance of a point from the line, as a share of the point's value.
    """

    slope: float
    intercept: float
    r2: float
    deviation: float


def fit(x: Sequence[float], y: Sequence[float]) -> Line:
    """The line through points; UserError for fewer than three, through which there is always one."""
    if len(set(x)) < 3:
        raise UserError(f"a line is shown by three points or more, there are {len(set(x))}")
    xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
    slope, intercept = np.polyfit(xs, ys, 1)
    rest = ys - (intercept + slope * xs)
    spread = ((ys - ys.mean()) ** 2).sum()
    r2 = 1 - (rest**2).sum() / spread if spread > 0 else 1.0
    return Line(float(slope), float(intercept), float(r2), float(np.abs(rest / ys).max()))


def points(options: argparse.Namespace, start: Case) -> tuple[list[Case], list[float]]:
    """The cases, and the quantity of each. UserError for fewer than three."""
    if options.what == "tasks":
        numbers = sorted(set(options.tasks or range(1, len(description(start.config).num_outputs) + 1)))
        cases, x = [replace(start, num_tasks=number) for number in numbers], [float(number) for number in numbers]
    elif options.what == "sizes":
        sides = network_size(start.config)
        own = [tuple(32 * round(side * factor / 32) or 32 for side in sides) for factor in FACTORS]
        sizes = sorted(set(options.sizes or own), key=lambda size: size[0] * size[1])
        cases, x = [replace(start, size=size) for size in sizes], [size[0] * size[1] / 1e6 for size in sizes]
    else:
        numbers = sorted(set(options.batches))
        cases, x = [replace(start, batch=number) for number in numbers], [float(number) for number in numbers]
    if len(set(x)) < 3:
        raise UserError(f"--{options.what}: a line is shown by three points or more, there are {len(set(x))}")
    return cases, x


def fit_lines(x: Sequence[float], records: Sequence[dict[str, Any]]) -> dict[str, Line]:
    """Lines of time [s], GMAC and memory [GB], where three cases or more gave a result."""
    found = [(value, record["result"]) for value, record in zip(x, records) if record["result"]]
    if len(found) < 3:
        return {}
    places = [value for value, _ in found]
    lines = {
        "seconds": fit(places, [result["seconds"]["median"] for _, result in found]),
        "gmac": fit(places, [result["gmac"] for _, result in found]),
    }
    if all(result["memory"] for _, result in found):
        lines["memory"] = fit(places, [result["memory"] / 1e9 for _, result in found])
    return lines


def table(quantity: str, records: Sequence[Mapping[str, Any]], x: Sequence[float]) -> str:
    """One row per point: the quantity, time, GMAC, memory."""
    rows = [[quantity, "time", "a unit", "share", "memory", "GMAC"]]
    for value, record in zip(x, records):
        result = record["result"]
        if result is None:
            rows.append([f"{value:g}", f"– {record['error']}", "", "", "", ""])
            continue
        rows.append(
            [
                f"{value:g}",
                spread(result["seconds"]),
                duration(result["seconds"]["median"] / value),
                f"{result['share']:.2f}",
                memory(result["memory"]),
                f"{result['gmac']:.4g}",
            ]
        )
    return aligned(rows)


def line_in_words(what: str, unit: str, quantity: str, line: Line) -> str:
    """`time = 0.84 s + 1.31 s · tasks   R² 0.9991, largest deviation 1.2 %`."""
    sign, unit = "−" if line.slope < 0 else "+", f" {unit}" if unit else ""
    return (
        f"{what} = {line.intercept:.3g}{unit} {sign} {abs(line.slope):.3g}{unit} · {quantity}   "
        f"R² {line.r2:.4f}, largest deviation {100 * line.deviation:.1f} %"
    )


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("what", choices=list(QUANTITIES))
    made.add_argument("network", metavar="NETWORK", help=NETWORK)
    made.add_argument("--tasks", type=positive, nargs="+", help="numbers (default: 1 to those of the data set)")
    made.add_argument("--sizes", type=image_size, nargs="+", metavar="HxW", help="default: 1/2 to 5/4 of its own")
    made.add_argument("--batches", type=positive, nargs="+", default=[1, 2, 3, 4])
    made.add_argument("--size", type=image_size, metavar="HxW", help="of the images (default: the network's own)")
    made.add_argument("--batch", type=positive, default=1)
    made.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    made.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    made.add_argument("--way", default="optimised", help="optimised, plain, compiled")
    made.add_argument("--out", type=Path, default=Path("benchmark"), help="folder for WHAT.json")
    add_runs(made)
    return made


def run(options: argparse.Namespace) -> int:
    """Returns the exit code: 1 if some case gave no result."""
    devices = choose_devices([options.device])
    check_precisions(devices, [options.precision])
    (start,) = grid(
        "inference",
        [options.network],
        devices=devices,
        precisions=[options.precision],
        ways=[options.way],
        batches=[options.batch],
        sizes=[options.size] if options.size else [],
    )
    quantity = QUANTITIES[options.what]
    cases, x = points(options, start)
    results = Results(options.out, options.what, devices)
    measure(results, cases, options)
    print(table(quantity, results.records, x))
    lines = fit_lines(x, results.records)
    results.add(quantity=quantity, x=x, lines={name: asdict(line) for name, line in lines.items()})
    for name, (what, unit) in {"seconds": ("time", "s"), "gmac": ("GMAC", ""), "memory": ("memory", "GB")}.items():
        if name in lines:
            print(line_in_words(what, unit, quantity, lines[name]))
    print(f"→ {results.path}")
    return 0 if results.is_whole else 1


def main(arguments: Sequence[str] | None = None) -> int:
    made = parser()
    options = made.parse_args(arguments)
    try:
        return run(options)
    except UserError as error:
        made.error(str(error))


if __name__ == "__main__":
    raise SystemExit(main())
