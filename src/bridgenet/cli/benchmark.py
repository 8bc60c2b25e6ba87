"""`bridgenet benchmark …`: what networks, training steps, data and metrics cost on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bridgenet.cli.arguments import INTERRUPTED, MakeParser

if TYPE_CHECKING:
    from bridgenet.benchmark.results import Results

NETWORK = "preset, YAML file or folder of a run"


def add_command(command: MakeParser) -> None:
    """Add the command; `command(name, text)` makes its parser."""
    parser = command("benchmark", "measure time, memory and arithmetic on this machine")
    parsers = parser.add_subparsers(dest="benchmark", metavar="WHAT", required=True, parser_class=type(parser))

    def add(name: str, text: str) -> argparse.ArgumentParser:
        added = parsers.add_parser(name, help=text, description=text, allow_abbrev=False)
        added.add_argument("--out", type=Path, default=Path("benchmark"), help=f"folder for {name}.json and {name}.png")
        return added

    cost = add("cost", "parameters and multiply-adds, counted, not measured")
    cost.add_argument("networks", nargs="*", metavar="NETWORK", help=f"{NETWORK} (default: all published)")

    inference = add("inference", "forward passes")
    inference.add_argument("networks", nargs="+", metavar="NETWORK", help=NETWORK)
    _grid(inference, "optimised plain compiled", batch=1)
    inference.add_argument(
        "--end-to-end", action="store_true", help="from an 8-bit picture to decoded maps (batch 1) instead of logits"
    )

    training = add("training", "training steps: forward, losses, backward, clipping, update")
    training.add_argument("networks", nargs="+", metavar="NETWORK", help=NETWORK)
    _grid(training, "optimised plain compiled checkpointed", batch=None)

    tasks = add("tasks", "inference against the number of tasks, with a line through it")
    tasks.add_argument("--tasks", type=_positive, nargs="+", help="numbers (default: 1 to those of the data set)")
    sizes = add("sizes", "inference against the number of pixels, with a line through it")
    sizes.add_argument("--sizes", type=_size, nargs="+", metavar="HxW", help="default: 1/2 to 5/4 of the network's own")
    batches = add("batches", "inference against the batch, with a line through it")
    batches.add_argument("--batches", type=_positive, nargs="+", default=[1, 2, 3, 4])
    for scaling in (tasks, sizes, batches):
        scaling.add_argument("networks", nargs=1, metavar="NETWORK", help=NETWORK)
        _runs(scaling)
        scaling.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
        scaling.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
        scaling.add_argument("--way", default="optimised", help="optimised, plain, compiled")
    tasks.add_argument("--size", type=_size, metavar="HxW", help="of the images (default: the network's own)")
    tasks.add_argument("--batch", type=_positive, default=1)
    sizes.add_argument("--batch", type=_positive, default=1)
    batches.add_argument("--size", type=_size, metavar="HxW", help="of the images (default: the network's own)")

    data = add("data", "training samples from files, on one core; rooms in a published layout are made for it")
    data.add_argument("dataset", metavar="nyud|pascal", help="the layout")
    data.add_argument("--size", type=_size, metavar="HxW", help="of the pictures (default: the data set's own)")
    data.add_argument("--images", type=_positive, default=24, help="pictures made")
    data.add_argument("--batch", type=_positive, default=3)
    data.add_argument("--samples", type=_positive, default=60, help="loaded in each run")
    data.add_argument("--runs", type=_positive, default=5)

    metrics = add("metrics", "updates of the tasks' metrics")
    metrics.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu")
    metrics.add_argument("--batch", type=_positive, default=6)
    metrics.add_argument("--size", type=_size, metavar="HxW", default=(448, 576))
    metrics.add_argument("--runs", type=_positive, default=30)


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """The command; returns the exit code."""
    from bridgenet.benchmark import commands

    kept: list[Results] = []
    try:
        return commands.COMMANDS[options.benchmark](options, kept)
    except KeyboardInterrupt:
        number = len(kept[0].records) if kept else 0
        cases = "1 finished case is" if number == 1 else f"{number} finished cases are"
        done = f"{cases} in {kept[0].path}" if kept else "nothing was measured"
        print(f"\nstopped; {done}")
        return INTERRUPTED


def _grid(parser: argparse.ArgumentParser, ways: str, batch: int | None) -> None:
    """The options whose every combination is measured."""
    own = "the network's own"
    parser.add_argument("--device", nargs="+", choices=["auto", "cpu", "cuda"], default=["auto"])
    parser.add_argument("--precision", nargs="+", choices=["float32", "bfloat16"], default=["float32"])
    parser.add_argument(
        "--ways", nargs="+", default=["optimised"], metavar="WAY", help=f"of: {ways}, or several joined by +"
    )
    told = "default: 1" if batch else f"default: {own}"
    parser.add_argument("--batch", type=_positive, nargs="+", default=[batch] if batch else [], help=told)
    parser.add_argument("--size", type=_size, nargs="+", metavar="HxW", default=[], help=f"of the images ({own})")
    _runs(parser)


def _runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=_positive, help="timed runs of each case (default: 7, on a GPU 30)")
    parser.add_argument("--warm-up", type=_positive, help="runs before them (default: 1, on a GPU 5)")
    parser.add_argument(
        "--product", type=_positive, metavar="SIDE", help="of the matrices for G (default: 2048, on a GPU 8192)"
    )


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return value


def _size(text: str) -> tuple[int, int]:
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no size, expected HEIGHTxWIDTH, e.g. 448x576")
    return int(parts[0]), int(parts[1])
