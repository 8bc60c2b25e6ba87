"""`bridgenet evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bridgenet import config as configuration
from bridgenet.cli.arguments import MakeParser, add_device, add_trust, is_main_process
from bridgenet.cli.progress import ProgressLine
from bridgenet.cli.train import SETTINGS_HELP


def add_command(command: MakeParser) -> None:
    """Add the command's parser."""
    parser = command("evaluate", "score a network on a validation split", epilog=SETTINGS_HELP)
    parser.add_argument("source", help="folder of a run, or weights")
    parser.add_argument("config", nargs="?", help="preset or YAML file (default: the run's own settings)")
    parser.add_argument("--out", type=Path, help="folder for evaluation.json and edge/ (default: the run's folder)")
    parser.add_argument("--no-boundaries", action="store_true", help="leave out odsF, oisF and AP of the boundaries")
    parser.add_argument("--boundary-workers", type=int, help="processes that count boundaries (default: one per core)")
    parser.add_argument("--flip", action="store_true", help="average with the prediction for the mirror image")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0], help="average predictions at these scales")
    parser.add_argument("--reference", metavar="RUN|JSON", help="report the gain Δm over these scores")
    add_trust(parser)
    add_device(parser)


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """Evaluate and print the table; returns the exit code."""
    from bridgenet.evaluation.command import EvaluationOptions, evaluate_source
    from bridgenet.tasks.scores import read_scores, table

    source = Path(options.source)
    is_run = source.is_dir() and not (source / "model.safetensors").is_file()  # which a folder of the hub has
    config = None  # it follows from the weights
    if options.config or is_run:
        config = configuration.load(options.config or options.source, settings)
    out = options.out or (source if is_run else Path("evaluation"))
    how = EvaluationOptions(
        boundaries=not options.no_boundaries,
        boundary_workers=options.boundary_workers,
        flip=options.flip,
        scales=tuple(options.scales),
        reference=options.reference,
    )
    report = evaluate_source(
        options.source,
        config,
        out=out,
        overrides=settings,
        options=how,
        device=options.device,
        progress=ProgressLine,
    )
    if is_main_process():
        reference = read_scores(options.reference) if options.reference else None
        print(table(report["scores"], reference, report["labelled"], report["images"]))
        if report["test_time_augmentation"]:
            print(f"test-time augmentation: {report['test_time_augmentation']}")
        if "boundaries" in report:
            print(f"boundaries: {report['boundaries']['protocol']}, threshold {report['boundaries']['threshold']:g}")
        print(f"→ {out / 'evaluation.json'}" + (f"   {out / 'edge'}/" if "edge" in report["scores"] else ""))
    return 0
