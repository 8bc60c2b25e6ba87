"""The commands: what each measures, prints, keeps and draws."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from bridgenet.benchmark import tables
from bridgenet.benchmark.cases import Case, Size, grid, published_size
from bridgenet.benchmark.data import DataCase, measure_data
from bridgenet.benchmark.inference import measure_inference
from bridgenet.benchmark.lines import Line, fit
from bridgenet.benchmark.machine import check_precisions, choose_devices, in_words
from bridgenet.benchmark.metrics import MetricsCase, measure_metrics
from bridgenet.benchmark.reference import METRICS_GOAL
from bridgenet.benchmark.results import NOTE, Results
from bridgenet.benchmark.training import measure_training
from bridgenet.errors import UserError

WORK: dict[str, Callable[[Case], dict[str, Any]]] = {"inference": measure_inference, "training": measure_training}
PARTLY_DONE = 1
FACTORS = (0.5, 0.75, 1.0, 1.25)
"""Of both sides of the network's own image size."""


def networks(options: argparse.Namespace, kept: list[Results]) -> int:
    """`inference` and `training`: every combination of what was asked for."""
    kind = options.benchmark
    devices = choose_devices(options.device)
    check_precisions(devices, options.precision)
    if getattr(options, "end_to_end", False) and options.batch != [1]:
        raise UserError("--end-to-end takes one picture at a time: leave out --batch")
    cases = grid(
        kind,
        options.networks,
        devices=devices,
        precisions=options.precision,
        ways=options.ways,
        batches=options.batch or [1],
        sizes=options.size,
        end_to_end=getattr(options, "end_to_end", False),
    )
    if not options.batch:
        cases = [dataclasses.replace(case, batch=case.config.batch_size) for case in cases]
    results = _measure(kind, cases, options, kept)
    print(tables.case_table(results.records))
    if not results.is_empty:
        print(tables.rates_line(results.records))
    from bridgenet.benchmark.plots import draw_cases

    title = f"{kind}: {results.content['machine']['processor']}, {tables.shared([x['case'] for x in results.records])}"
    return _finish(results, lambda: draw_cases(title, results.records))


def scaling(options: argparse.Namespace, kept: list[Results]) -> int:
    """`tasks`, `sizes` and `batches`: inference against one quantity, and a line through the points."""
    devices = choose_devices([options.device])
    check_precisions(devices, [options.precision])
    (start,) = grid(
        "inference",
        options.networks,
        devices=devices,
        precisions=[options.precision],
        ways=[options.way],
        batches=[getattr(options, "batch", 1)],
        sizes=[options.size] if getattr(options, "size", None) else [],
    )
    quantity, cases, x = _points(options, start)
    if len(set(x)) < 3:
        raise UserError(f"--{options.benchmark}: a line is shown by three points or more, there are {len(set(x))}")
    results = _measure(options.benchmark, cases, options, kept)
    print(tables.scaling_table(quantity, results.records, x))
    lines = _fit_lines(x, results.records)
    results.add(quantity=quantity, x=x, lines={name: line.as_dict() for name, line in lines.items()})
    for name, (what, unit) in {"seconds": ("time", "s"), "gmac": ("GMAC", ""), "memory": ("memory", "GB")}.items():
        if name in lines:
            print(tables.line_in_words(what, unit, quantity, lines[name]))
    from bridgenet.benchmark.plots import draw_scaling

    title = f"{start.network}, {start.device}, {start.precision}, {start.way}"
    return _finish(results, lambda: draw_scaling(title, quantity, x, results.records, lines))


def _points(options: argparse.Namespace, start: Case) -> tuple[str, list[Case], list[float]]:
    """The quantity's name, the cases, and the quantity of each."""
    if options.benchmark == "tasks":
        from bridgenet.benchmark.cost import description

        numbers = sorted(set(options.tasks or range(1, len(description(start.config).num_outputs) + 1)))
        return (
            "tasks",
            [dataclasses.replace(start, num_tasks=number) for number in numbers],
            [float(n) for n in numbers],
        )
    if options.benchmark == "sizes":
        sizes = sorted(set(options.sizes or _sizes(start.config)), key=lambda size: size[0] * size[1])
        cases = [dataclasses.replace(start, size=size) for size in sizes]
        return "megapixels", cases, [size[0] * size[1] / 1e6 for size in sizes]
    numbers = sorted(set(options.batches))
    return "images", [dataclasses.replace(start, batch=number) for number in numbers], [float(n) for n in numbers]


def _sizes(config: Any) -> list[Size]:
    height, width = published_size(config)
    return [(32 * round(height * factor / 32) or 32, 32 * round(width * factor / 32) or 32) for factor in FACTORS]


def _fit_lines(x: Sequence[float], records: Sequence[dict[str, Any]]) -> dict[str, Line]:
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


def metrics(options: argparse.Namespace, kept: list[Results]) -> int:
    """Updates of all metrics."""
    (device,) = choose_devices([options.device])
    case = MetricsCase(device=device, batch=options.batch, size=options.size, runs=options.runs)
    results = _open(options, "metrics", [device], kept)
    record = results.measure(measure_metrics, case, dataclasses.asdict(case))
    print(f"{device}, batch {case.batch}, {tables.size(case.size)}, {case.runs} updates of each")
    print(tables.metrics_table(record["result"]) if record["result"] else f"– {record['error']}")
    from bridgenet.benchmark.plots import draw_bars

    title = f"One update of a metric, batch {case.batch}, {tables.size(case.size)}, {device}"
    return _finish(
        results,
        lambda: draw_bars(
            title,
            "ms: median and range",
            {name: found["seconds"] for name, found in record["result"]["tasks"].items()},
            factor=1000,
            goal=METRICS_GOAL,
        ),
    )


def data(options: argparse.Namespace, kept: list[Results]) -> int:
    """Training samples from disk."""
    from bridgenet import data as datasets

    name = datasets.info(options.dataset).name
    case = DataCase(
        layout=name,
        images=options.images,
        size=options.size,
        batch=options.batch,
        samples=options.samples,
        runs=options.runs,
    )
    results = _open(options, "data", ["cpu"], kept)
    record = results.measure(measure_data, case, dataclasses.asdict(case))
    result = record["result"]
    told = tables.size(case.size) if case.size else "the size of photographs"
    print(f"rooms in {name}'s layout, {told}, all tasks, batch {case.batch}, one core")
    print(tables.data_table(name, result) if result else f"– {record['error']}")
    from bridgenet.benchmark.plots import draw_bars

    title = f"Training samples of {name}, one core"
    return _finish(results, lambda: draw_bars(title, "samples a second: median and range", result["rates"]))


def cost(options: argparse.Namespace, kept: list[Results]) -> int:
    """Parameters and GMAC of networks at their own image size, beside the reference's."""
    from bridgenet import config as configuration
    from bridgenet.benchmark.cost import count
    from bridgenet.benchmark.reference import REFERENCE

    chosen = options.networks or [name for name in configuration.presets() if name != "demo"]
    configs = {name: configuration.load(name) for name in chosen}
    results = _open(options, "cost", ["cpu"], kept)
    rows = [["network", "size", "parameters M", "backbone M", "GMAC", "reference M", "GMAC"]]
    for name, config in configs.items():
        counted, known = count(config), REFERENCE.get(name)
        row = [name, tables.size(published_size(config)), f"{counted.parameters / 1e6:.1f}"]
        row += [f"{counted.backbone_parameters / 1e6:.1f}", f"{counted.gmac:.3g}"]
        rows.append([*row, f"{known.parameters:.1f}" if known else "–", f"{known.gmac:.0f}" if known else "–"])
        results.records.append({"case": {"network": name}, "result": counted.as_dict(), "error": None})
        results.write()
    print(tables.aligned(rows, left=2))
    print(f"→ {results.path}")
    return 0


def _open(options: argparse.Namespace, name: str, devices: Sequence[str], kept: list[Results]) -> Results:
    """The file of results; what is in it when the command is interrupted can be told from `kept`."""
    results = Results(options.out, name, devices)
    kept.append(results)
    return results


def _measure(name: str, cases: Sequence[Case], options: argparse.Namespace, kept: list[Results]) -> Results:
    """Measure the cases one after the other, each told as it is finished."""
    results = _open(options, name, [case.device for case in cases], kept)
    print(f"{in_words(results.content['machine'], results.content['versions'])}\n{NOTE}", flush=True)
    for number, case in enumerate(cases, 1):
        gpu = case.device == "cuda"
        case = dataclasses.replace(
            case,
            runs=options.runs or (30 if gpu else 7),
            warm_up=options.warm_up or (5 if gpu else 1),
            side=options.product or (8192 if gpu else 2048),
        )
        record = results.measure(WORK[case.kind], case, case.as_dict())
        result = record["result"]
        told = tables.spread(result["seconds"]) if result else f"– {record['error']}"
        print(f"[{number}/{len(cases)}] {case.words}: {told}", flush=True)
    return results


def _finish(results: Results, draw: Callable[[], Any]) -> int:
    picture = results.picture(draw)
    print(f"→ {results.path}" + (f"   {picture}" if picture else ""))
    return 0 if results.is_whole else PARTLY_DONE


COMMANDS: dict[str, Callable[[argparse.Namespace, list[Results]], int]] = {
    "cost": cost,
    "inference": networks,
    "training": networks,
    "tasks": scaling,
    "sizes": scaling,
    "batches": scaling,
    "data": data,
    "metrics": metrics,
}
