"""`bridgenet compare`: configurations × seeds, trained and evaluated alike, in one table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bridgenet.cli.arguments import INTERRUPTED, PARTLY_DONE, MakeParser, add_trust
from bridgenet.cli.progress import ProgressLine
from bridgenet.compare import compare
from bridgenet.errors import UserError
from bridgenet.system.signals import terminated_like_interrupted


def add_command(command: MakeParser) -> None:
    """Add the command's parser."""
    parser = command("compare", "train and evaluate configurations × seeds and write one table with costs and plots")
    parser.add_argument("plan", type=Path, help="PLAN.yaml: configurations, seeds and common settings")
    parser.add_argument("--out", type=Path, help="folder (default: comparisons/NAME of the plan)")
    parser.add_argument("--root", help="data root, overrides the settings; a benchmark is generated in it")
    parser.add_argument(
        "--devices",
        nargs="+",
        default=["auto"],
        metavar="DEVICE",
        help="each trains one run at a time: auto (all GPUs, else cpu), cpu, cuda:0 …; 'cpu cpu' shares the cores",
    )
    parser.add_argument(
        "--tables-only", action="store_true", help="train nothing, only write the tables of finished runs"
    )
    add_trust(parser)


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """Run the command; returns the exit code, which is 1 if some runs failed."""
    from bridgenet.training.run import Interrupted

    out = options.out or Path("comparisons") / options.plan.stem
    try:
        with terminated_like_interrupted():
            outcome = compare(
                options.plan,
                out,
                root=options.root,
                devices=chosen_devices(options.devices),
                trust=options.trust,
                tables_only=options.tables_only,
                progress=ProgressLine("steps"),
            )
    except Interrupted:
        print("stopped; everything is saved. To resume: run the same command again")
        return INTERRUPTED
    if outcome.files:
        print(outcome.table)
        print("→ " + "   ".join(map(str, outcome.files)))
    return PARTLY_DONE if outcome.failed else 0


def chosen_devices(asked: Sequence[str]) -> list[str]:
    """The devices, with `auto` resolved. UserError for a device that does not exist."""
    import torch

    count = torch.cuda.device_count()
    found: list[str] = []
    for name in asked:
        if name == "auto":
            found += [f"cuda:{i}" for i in range(count)] or ["cpu"]
        elif name == "cpu":
            found.append(name)
        else:
            kind, _, index = name.partition(":")
            if kind != "cuda" or not (index or "0").isdecimal():
                raise UserError(f"--devices: '{name}' is not a device (auto, cpu, cuda:0 and so on)")
            if int(index or 0) >= count:
                raise UserError(f"--devices {name}: this machine has {count} GPUs that PyTorch can use")
            found.append(f"cuda:{int(index or 0)}")
    return found
