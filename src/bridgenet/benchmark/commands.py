"""The benchmark commands."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from bridgenet import config as configuration
from bridgenet.benchmark import tables
from bridgenet.benchmark.cases import Case, grid
from bridgenet.benchmark.cost import count
from bridgenet.benchmark.inference import measure_inference
from bridgenet.benchmark.machine import check_precisions, choose_devices, in_words
from bridgenet.benchmark.reference import REFERENCE
from bridgenet.benchmark.results import NOTE, Results
from bridgenet.benchmark.training import measure_training
from bridgenet.config.resolved import network_size
from bridgenet.errors import UserError

WORK: dict[str, Callable[[Case], dict[str, Any]]] = {"inference": measure_inference, "training": measure_training}
PARTLY_DONE = 1


def networks(options: argparse.Namespace) -> int:
    """Run `inference` or `training` with all combinations of the options; returns the exit code."""
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
    results = Results(options.out, kind, devices)
    measure(results, cases, options)
    print(tables.case_table(results.records))
    if any(record["result"] for record in results.records):
        print(tables.rates_line(results.records))
    print(f"→ {results.path}")
    return 0 if results.is_whole else PARTLY_DONE


def cost(options: argparse.Namespace) -> int:
    """Print parameters and GMAC of networks at their image size beside the reference; returns the exit code."""
    chosen = options.networks or [name for name in configuration.presets() if name != "demo"]
    configs = {name: configuration.load(name) for name in chosen}
    results = Results(options.out, "cost")
    rows = [["network", "size", "parameters M", "backbone M", "GMAC", "reference M", "GMAC"]]
    for name, config in configs.items():
        counted, known = count(config), REFERENCE.get(name)
        row = [name, tables.size(network_size(config)), f"{counted.parameters / 1e6:.1f}"]
        row += [f"{counted.backbone_parameters / 1e6:.1f}", f"{counted.gmac:.3g}"]
        rows.append([*row, f"{known.parameters:.1f}" if known else "–", f"{known.gmac:.0f}" if known else "–"])
        results.records.append({"case": {"network": name}, "result": counted.as_dict(), "error": None})
        results.write()
    print(tables.aligned(rows, left=2))
    print(f"→ {results.path}")
    return 0


def measure(results: Results, cases: Sequence[Case], options: argparse.Namespace) -> None:
    """Measure the cases in turn and print each result. `options`: `runs`, `warm_up` and `product`."""
    print(f"{in_words(results.content['machine'], results.content['versions'])}\n{NOTE}", flush=True)
    try:
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
            text = tables.spread(result["seconds"]) if result else f"– {record['error']}"
            print(f"[{number}/{len(cases)}] {case.words}: {text}", flush=True)
    except KeyboardInterrupt:
        finished = len(results.records)
        print(f"\nstopped; {finished} finished {'case is' if finished == 1 else 'cases are'} in {results.path}")
        raise


COMMANDS = {"cost": cost, "inference": networks, "training": networks}
