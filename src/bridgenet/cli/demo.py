"""`bridgenet demo …`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bridgenet.cli.arguments import INTERRUPTED, MakeParser, add_device


def add_command(command: MakeParser) -> None:
    """Add the command's parser."""
    parser = command("demo", "generate rooms or streets, train and evaluate a small network on them, write a report")
    parser.add_argument("--layout", choices=["nyud", "cityscapes"], default="nyud", help="rooms (nyud) or streets")
    parser.add_argument("--out", type=Path, help="folder (default: outputs/demo, for streets outputs/demo-cityscapes)")
    parser.add_argument(
        "--overwrite", action="store_true", help="train again instead of resuming the run in the folder"
    )
    add_device(parser)


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """Run the demo; returns the exit code."""
    from bridgenet.cli.demo_run import DEMOS, demo
    from bridgenet.training.run import Interrupted

    out = options.out or Path("outputs") / DEMOS[options.layout].preset
    try:
        demo(out, layout=options.layout, overwrite=options.overwrite, device=options.device)
    except Interrupted:
        layout = "" if options.layout == "nyud" else f" --layout {options.layout}"
        print(f"stopped; everything is saved. To resume: bridgenet demo{layout} --out {out}")
        return INTERRUPTED
    return 0
