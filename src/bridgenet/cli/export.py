"""The command line of exporting."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bridgenet.cli.arguments import MakeParser, add_network_config, add_trust
from bridgenet.errors import UserError

if TYPE_CHECKING:
    from bridgenet.export.predictor import ExportedPredictor


def add_command(command: MakeParser) -> None:
    """Add `bridgenet export`; `command` makes a parser from name and text."""
    export = command("export", "write a network as ONNX (.onnx) or as a torch.export archive (.pt2)")
    export.add_argument("source", help="folder of a run, or weights")
    export.add_argument("out", type=Path, help="OUT.onnx or OUT.pt2")
    export.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="for images of this size alone (default: any, if possible)",
    )
    export.add_argument("--fixed", action="store_true", help="for images of the training images' size alone")
    export.add_argument("--int8", action="store_true", help="of ONNX: 8-bit weights; tells what that costs")
    export.add_argument("--images", nargs="+", metavar="IMAGE", help="measure that on these (default: random ones)")
    export.add_argument("--opset", type=int, default=18, help="of ONNX, 17 or later (default: 18)")
    export.add_argument("--overwrite", action="store_true", help="take the place of a file that is there")
    add_network_config(export)
    add_trust(export)


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """`bridgenet export …`; returns the exit code."""
    from bridgenet.export.write import export, summary
    from bridgenet.imaging.reading import read_picture
    from bridgenet.prediction.model import load_network

    started = time.perf_counter()
    if options.out.exists() and not options.overwrite:
        raise UserError(f"{options.out} exists; give another name, or --overwrite to take its place")
    pictures = [read_picture(path) for path in options.images or ()]
    network = load_network(options.source, device="cpu", config=options.config)
    how = {"size": options.size, "fixed": options.fixed, "int8": options.int8, "opset": options.opset}
    description = export(network, options.out, **how, pictures=pictures, say=print)
    for key, value in summary(description).items():
        print(f"{key}: {value}")
    size, seconds = options.out.stat().st_size / 1e6, time.perf_counter() - started
    print(f"→ {options.out}  {size:.1f} MB, {seconds:.0f} s")
    return 0


def predictor(options: argparse.Namespace) -> ExportedPredictor:
    """What `bridgenet predict OUT.onnx|OUT.pt2 …` computes with. Of ONNX, PyTorch is not loaded."""
    from bridgenet.export.predictor import open_exported

    if options.precision != "float32" or options.compile or options.config is not None:
        raise UserError(f"{options.source} is exported: --precision, --compile and --config are for weights")
    if options.tile != "off" or options.overlap is not None:
        raise UserError(f"{options.source} is exported: tiles are for weights. --max-pixels has it see larger pictures")
    return open_exported(
        options.source, tasks=options.tasks, max_pixels=options.max_pixels, batch_size=options.batch_size
    )
