"""How long each task's metric takes for one update with a batch of decoded predictions.

    python benchmarks/metrics.py [--device cuda] [--batch 6] [--size 448x576] [--runs 30] [--out benchmark]

Prints a table and writes `metrics.json`, which `benchmarks/draw.py` draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bridgenet import tasks
from bridgenet.benchmark.machine import choose_devices
from bridgenet.benchmark.rates import seconds_of, summary
from bridgenet.benchmark.results import Results
from bridgenet.benchmark.samples import decoded_batch
from bridgenet.benchmark.tables import aligned, size, spread
from bridgenet.cli.benchmark import image_size, positive
from bridgenet.errors import UserError

SEMSEG_CLASSES = 40
REFERENCE = {"semseg": 494.0, "depth": 243.0, "normals": 1115.0, "sal": 498.0}
"""By task: an update with the reference implementation, a batch of 6 at 448×576 [ms]."""
GOAL = 25.0
"""[ms]"""


@dataclass(frozen=True)
class MetricsCase:
    """All tasks' metrics, in turn, so that a disturbance meets them all."""

    device: str = "cpu"
    batch: int = 6
    size: tuple[int, int] = (448, 576)
    runs: int = 30
    warm_up: int = 3


def measure(case: MetricsCase) -> dict[str, Any]:
    """`tasks`: by name, the seconds of an update."""
    device = torch.device(case.device)
    updates: dict[str, Callable[[], None]] = {}
    for name in tasks.names():
        task = tasks.get(name)
        classes = task.num_outputs or SEMSEG_CLASSES
        pair = tuple(x.to(device) for x in decoded_batch(task, classes, case.batch, case.size))
        metric: Any = tasks.resolve(task.metric)(classes).to(device)
        updates[name] = partial(metric.update_decoded, *pair)
    taken: dict[str, list[float]] = {name: [] for name in updates}
    for i in range(case.warm_up + case.runs):
        for name, update in updates.items():
            seconds = seconds_of(update, device)
            if i >= case.warm_up:
                taken[name].append(seconds)
    return {
        "tasks": {name: {"seconds": summary(values)} for name, values in taken.items()},
        "goal": GOAL,
        "threads": torch.get_num_threads(),
    }


def table(result: Mapping[str, Any]) -> str:
    """One row per task: time of an update, the reference's, whether the goal is met."""
    rows = [["task", "an update", "reference", f"under {GOAL:g} ms"]]
    for name, found in result["tasks"].items():
        known = f"{REFERENCE[name]:.0f} ms" if name in REFERENCE else "–"
        met = "yes" if 1000 * found["seconds"]["median"] < GOAL else "no"
        rows.append([name, spread(found["seconds"]), known, met])
    return aligned(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=positive, default=6)
    parser.add_argument("--size", type=image_size, metavar="HxW", default=(448, 576))
    parser.add_argument("--runs", type=positive, default=30)
    parser.add_argument("--out", type=Path, default=Path("benchmark"), help="folder for metrics.json")
    options = parser.parse_args(arguments)
    try:
        (device,) = choose_devices([options.device])
        results = Results(options.out, "metrics", [device])
    except UserError as error:
        parser.error(str(error))
    case = MetricsCase(device=device, batch=options.batch, size=options.size, runs=options.runs)
    record = results.measure(measure, case, asdict(case))
    print(f"{device}, batch {case.batch}, {size(case.size)}, {case.runs} updates of each")
    print(table(record["result"]) if record["result"] else f"– {record['error']}")
    print(f"→ {results.path}")
    return 0 if results.is_whole else 1


if __name__ == "__main__":
    raise SystemExit(main())
