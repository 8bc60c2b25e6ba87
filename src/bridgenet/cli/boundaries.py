"""`bridgenet evaluate-boundaries`: odsF of a folder of boundary predictions."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bridgenet.cli.arguments import MakeParser
from bridgenet.cli.progress import ProgressLine
from bridgenet.errors import UserError
from bridgenet.system.files import write_json

if TYPE_CHECKING:
    from bridgenet.evaluation.boundaries import BoundaryJob

SHOWN = 20


def add_command(command: MakeParser) -> None:
    """Add the command's parser."""
    parser = command("evaluate-boundaries", "odsF, oisF and AP of a folder of boundary predictions")
    parser.add_argument(
        "predictions", type=Path, help="folder of 8-bit grey PNGs, ID.png, 255·probability, not thinned"
    )
    parser.add_argument(
        "--data",
        help="score a published data set by its protocol (nyud, pascal), or the YAML file of a folder of your own",
    )
    parser.add_argument("--data-root", "--root", type=Path, help="data root (default: $BRIDGENET_DATA)")
    parser.add_argument("--split", default="val", choices=["train", "val"])
    parser.add_argument(
        "--ground-truth", type=Path, help="instead of --data: folder of PNG label maps with the same names"
    )
    parser.add_argument(
        "--max-dist", type=float, help="with --ground-truth: largest distance as a fraction of the diagonal"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to this file")
    parser.add_argument(
        "--out", type=Path, help="folder for the curve and the counts so far (default: beside PREDICTIONS)"
    )
    parser.add_argument("--workers", type=int, help="processes (default: one per processor core)")


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """Run the command; returns the exit code."""
    from bridgenet.evaluation.boundaries import cache_file, check_predictions, evaluate_boundaries, scores_of
    from bridgenet.report.plots import precision_recall_curve, save

    if not options.predictions.is_dir():
        raise UserError(f"no folder of predictions at {options.predictions}")
    jobs, protocol, expected = _of_data(options) if options.data else _of_folder(options)
    extra = sorted(path.name for path in options.predictions.iterdir() if _is_extra(path, expected))
    for name in extra[:SHOWN]:
        print(f"! {options.predictions / name} belongs to no image: not scored")
    if len(extra) > SHOWN:
        print(f"! … and {len(extra) - SHOWN} more")
    check_predictions(jobs)
    out = options.out or options.predictions.resolve().parent / f"{options.predictions.resolve().name}-boundaries"
    out.mkdir(parents=True, exist_ok=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    counts = evaluate_boundaries(
        jobs, cache=cache_file(out), workers=options.workers, progress=ProgressLine("boundaries")
    )
    scores = scores_of(counts.values())
    print(f"{protocol}: {time.perf_counter() - started:.1f} s")
    print(f"odsF {100 * scores.ods_f:.2f} %   precision {100 * scores.ods_precision:.2f} %   "
          f"recall {100 * scores.ods_recall:.2f} %   threshold {scores.ods_threshold:g}")  # fmt: skip
    print(f"oisF {100 * scores.ois_f:.2f} %   AP {100 * scores.ap:.2f} %")
    report = {"protocol": protocol, "images": len(jobs), **scores.as_dict()}
    target = options.json or out / "boundaries.json"
    write_json(target, report)
    save(precision_recall_curve({options.predictions.name: report}), out / "boundaries.png")
    print(f"→ {target}   {out / 'boundaries.png'}")
    return 0


def _of_data(options: argparse.Namespace) -> tuple[list[BoundaryJob], str, set[str]]:
    """The images of a data set to score, the name of the protocol, and the names of the expected predictions."""
    from bridgenet import data
    from bridgenet.evaluation.boundaries import jobs_of, protocol

    if options.ground_truth or options.max_dist is not None:
        raise UserError("--data has its own truth and distance: leave out --ground-truth and --max-dist")
    source = data.get(options.data)
    root = data.data_root(options.data_root, flag="--data-root") if source.info.needs_root else ""
    if options.data in data.DATASETS and not Path(root, source.info.folder).is_dir():
        data.published(options.data).require_folder(root, flag="--data-root")
    dataset = source(root, options.split, ["edge"])
    jobs = jobs_of(dataset, options.predictions)
    if not jobs:
        raise UserError(f"no image of the {options.split} split of {dataset.info.title} has a label of edge")
    return jobs, protocol(dataset, len(jobs)), {f"{name}.png" for name in dataset.ids}


def _of_folder(options: argparse.Namespace) -> tuple[list[BoundaryJob], str, set[str]]:
    from bridgenet.evaluation.boundaries import BoundaryJob, read_label_png

    if options.ground_truth is None or options.max_dist is None:
        raise UserError("give --data nyud or pascal, or --ground-truth FOLDER with --max-dist X (e.g. 0.0075)")
    if not 0 < options.max_dist < 1:
        raise UserError(f"--max-dist {options.max_dist}: expected a fraction of the diagonal, e.g. 0.0075")
    if not options.ground_truth.is_dir():
        raise UserError(f"no folder of label maps at {options.ground_truth}")
    truths: Sequence[Path] = sorted(path for path in options.ground_truth.iterdir() if path.suffix.lower() == ".png")
    if not truths:
        raise UserError(f"{options.ground_truth} holds no PNG label maps")
    jobs = [
        BoundaryJob(path.stem, options.predictions / f"{path.stem}.png", path, read_label_png, options.max_dist)
        for path in truths
    ]
    protocol = f"SEISM boundaries, label maps of {options.ground_truth}, maxDist {options.max_dist}, {len(jobs)} images"
    return jobs, protocol, {job.prediction.name for job in jobs}


def _is_extra(path: Path, expected: set[str]) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.name not in expected
