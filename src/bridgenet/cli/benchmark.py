"""`bridgenet benchmark`: the cost of networks and training steps on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from bridgenet.cli.arguments import MakeParser
from bridgenet.errors import UserError

NETWORK = "preset, YAML file or folder of a run"
SCRIPTS = {
    "tasks": "scaling.py tasks",
    "sizes": "scaling.py sizes",
    "batches": "scaling.py batches",
    "data": "loading.py",
    "metrics": "metrics.py",
}
"""Commands of version 0.1.0 that are now scripts of the source tree."""


def add_command(command: MakeParser) -> None:
    """Add the command's parser."""
    parser = command("benchmark", "measure time, memory and arithmetic on this machine")
    parsers = parser.add_subparsers(dest="benchmark", metavar="WHAT", required=True, parser_class=type(parser))

    def add(name: str, text: str) -> argparse.ArgumentParser:
        added = parsers.add_parser(name, help=text, description=text, allow_abbrev=False)
        added.add_argument("--out", type=Path, default=Path("benchmark"), help=f"folder for {name}.json")
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

    for name in SCRIPTS:  # accepts all former arguments, flags included
        moved = parsers.add_parser(name, add_help=False, prefix_chars="\0")
        moved.add_argument("words", nargs="*")


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """Run the command; returns the exit code."""
    if options.benchmark in SCRIPTS:
        raise UserError(
            f"bridgenet benchmark {options.benchmark} is a script now: python benchmarks/{SCRIPTS[options.benchmark]}"
        )
    from bridgenet.benchmark.commands import COMMANDS

    return COMMANDS[options.benchmark](options)


def _grid(parser: argparse.ArgumentParser, ways: str, batch: int | None) -> None:
    """Add the options whose combinations are measured."""
    own = "the network's own"
    parser.add_argument("--device", nargs="+", choices=["auto", "cpu", "cuda"], default=["auto"])
    parser.add_argument("--precision", nargs="+", choices=["float32", "bfloat16"], default=["float32"])
    parser.add_argument(
        "--ways", nargs="+", default=["optimised"], metavar="WAY", help=f"of: {ways}, or several joined by +"
    )
    text = "default: 1" if batch else f"default: {own}"
    parser.add_argument("--batch", type=positive, nargs="+", default=[batch] if batch else [], help=text)
    parser.add_argument("--size", type=image_size, nargs="+", metavar="HxW", default=[], help=f"of the images ({own})")
    add_runs(parser)


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Add the options for the number of runs and the matrix product that G is measured with."""
    parser.add_argument("--runs", type=positive, help="timed runs of each case (default: 7, on a GPU 30)")
    parser.add_argument("--warm-up", type=positive, help="runs before them (default: 1, on a GPU 5)")
    parser.add_argument(
        "--product", type=positive, metavar="SIDE", help="side of the matrices for G (default: 2048, on a GPU 8192)"
    )


def positive(text: str) -> int:
    """Parse an integer of at least 1 for argparse."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return value


def image_size(text: str) -> tuple[int, int]:
    """Parse (height, width) from `448x576` for argparse."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no size, expected HEIGHTxWIDTH, e.g. 448x576")
    return int(parts[0]), int(parts[1])
