"""`bridgenet export`, and predicting with exported networks."""

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
    """Add the command's parser."""
    export = command("export", "write a network as ONNX (.onnx) or as a torch.export archive (.pt2)")
    export.add_argument("source", help="folder of a run, or weights")
    export.add_argument("out", type=Path, help="OUT.onnx or OUT.pt2")
    export.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="fix the size of the images (default: any size, if possible)",
    )
    export.add_argument("--fixed", action="store_true", help="fix the size to that of the training images")
    export.add_argument("--int8", action="store_true", help="ONNX with 8-bit weights; reports the loss of accuracy")
    export.add_argument("--images", nargs="+", metavar="IMAGE", help="images to measure that on (default: random ones)")
    export.add_argument("--opset", type=int, default=18, help="ONNX opset, 17 or later (default: 18)")
    export.add_argument("--overwrite", action="store_true", help="overwrite an existing file")
    add_network_config(export)
    add_trust(export)


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """Run the command; returns the exit code."""
    from bridgenet.export.write import export
    from bridgenet.imaging.reading import read_picture
    from bridgenet.prediction.model import load_network

    started = time.perf_counter()
    if options.out.exists() and not options.overwrite:
        raise UserError(f"{options.out} exists; give another name, or --overwrite to overwrite it")
    pictures = [read_picture(path) for path in options.images or ()]
    network = load_network(options.source, device="cpu", config=options.config)
    how = {"size": options.size, "fixed": options.fixed, "int8": options.int8, "opset": options.opset}
    description = export(network, options.out, **how, pictures=pictures, say=print)
    for key, value in description.summary().items():
        print(f"{key}: {value}")
    size, seconds = options.out.stat().st_size / 1e6, time.perf_counter() - started
    print(f"→ {options.out}  {size:.1f} MB, {seconds:.0f} s")
    return 0


def predictor(options: argparse.Namespace) -> ExportedPredictor:
    """Create the predictor of `bridgenet predict OUT.onnx|OUT.pt2 …`. For ONNX, PyTorch is not loaded."""
    from bridgenet.export.predictor import open_exported

    if options.precision != "float32" or options.compile or options.config is not None:
        raise UserError(f"{options.source} is exported: --precision, --compile and --config are for weights")
    if options.tile != "off" or options.overlap is not None:
        raise UserError(f"{options.source} is exported: tiles are for weights. --max-pixels lets it see larger images")
    return open_exported(
        options.source, tasks=options.tasks, max_pixels=options.max_pixels, batch_size=options.batch_size
    )
