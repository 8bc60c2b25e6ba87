"""`bridgenet predict`: images, folders, URLs, videos and cameras."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridgenet.cli import export
from bridgenet.cli.arguments import PARTLY_DONE, USER_ERROR, MakeParser, add_device, add_network_config, add_trust
from bridgenet.cli.progress import ProgressLine
from bridgenet.export.formats import is_exported
from bridgenet.system.terminal import one_line, tell

if TYPE_CHECKING:
    from bridgenet.prediction.run import Predictor


def add_command(command: MakeParser) -> None:
    """Add the command's parser."""
    parser = command("predict", "predict images, videos and cameras")
    parser.add_argument("source", help="folder of a run, weights, or an exported network (.onnx, .pt2)")
    parser.add_argument(
        "inputs",
        nargs="+",
        help="images, videos, folders of images, patterns, http(s) URLs, the number of a camera, - (standard input)",
    )
    parser.add_argument("--out", type=Path, default=Path("predictions"), help="folder; each input gets a folder in it")
    parser.add_argument("--tasks", nargs="+", help="only these tasks")
    parser.add_argument(
        "--outputs",
        nargs="+",
        metavar="OUTPUT",
        help="raw labels colour panel overlay ply (default: raw panel; for videos: panel)",
    )
    parser.add_argument("--opacity", type=float, default=0.5, help="opacity of overlays, 0 to 1")
    parser.add_argument(
        "--field-of-view", type=float, metavar="DEG", help="horizontal field of view for ply (default: 60)"
    )
    parser.add_argument(
        "--skip-existing", action="store_true", help="resume: skip inputs that were predicted with the same options"
    )
    size = parser.add_argument_group("size and speed")
    size.add_argument(
        "--max-pixels", type=int, help="shrink larger images to this number of pixels (default: as in training)"
    )
    size.add_argument(
        "--tile",
        type=_tile,
        default="off",
        metavar="SIZE|auto|off",
        help="predict larger images in tiles at full size; auto: tiles of the training images' size",
    )
    size.add_argument(
        "--overlap", type=int, metavar="PIXELS", help="overlap of neighbouring tiles (default: a quarter of a tile)"
    )
    size.add_argument(
        "--batch-size", type=int, default=1, help="images of one size, or tiles, that are computed together"
    )
    size.add_argument(
        "--precision",
        choices=["float32", "bfloat16", "auto"],
        default="float32",
        help="auto: bfloat16 where it is faster on the device",
    )
    size.add_argument("--compile", action="store_true", help="compile the network first by torch.compile (minutes)")
    video = parser.add_argument_group("videos and cameras")
    video.add_argument("--fps", type=float, help="frames per second of the video to predict (default: all)")
    video.add_argument("--max-frames", type=int, help="stop after this number of frames")
    video.add_argument(
        "--smoothing", type=float, default=0.0, help="weight of previous frames in each frame, 0 (none) to below 1"
    )
    add_network_config(parser)
    add_trust(parser)
    add_device(parser)


def _tile(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """Run the command; returns the exit code."""
    from bridgenet.prediction.run import RunOptions, run_inputs
    from bridgenet.prediction.video import StreamOptions

    started = time.perf_counter()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    stream = StreamOptions(options.fps, options.max_frames, options.smoothing)
    predictor = export.predictor(options) if is_exported(options.source) else _network_predictor(options)
    lines: list[ProgressLine] = []

    def progress(what: str) -> ProgressLine:
        lines.append(ProgressLine(what))
        return lines[-1]

    def say(line: str) -> None:
        for kept in lines[:1]:
            kept.give_way()
        print(one_line(line), flush=True)

    run_options = RunOptions(
        outputs=options.outputs,
        field_of_view=options.field_of_view,
        opacity=options.opacity,
        skip_existing=options.skip_existing,
        stream=stream,
        settings={"source": options.source, "precision": options.precision, **_size(options)},
    )
    counts = run_inputs(
        predictor,
        options.inputs,
        options.out,
        say=say,
        options=run_options,
        progress=progress,
        rank=rank,
        world=world,
    )
    existing = f", {counts['existing']} done before" if counts["existing"] else ""
    process = f"process {rank} of {world}: " if world > 1 else ""
    seconds = time.perf_counter() - started
    print(f"{process}{counts['images']} images, {counts['skipped']} skipped{existing}, {seconds:.1f} s")
    if counts["skipped"] and not counts["images"] and not counts["existing"] and world == 1:
        tell("error: nothing could be predicted; see above")
        return USER_ERROR
    return PARTLY_DONE if counts["skipped"] and world == 1 else 0  # torchrun stops all where one process fails


def _network_predictor(options: argparse.Namespace) -> Predictor:
    """Create the predictor of weights."""
    from bridgenet.prediction.model import load
    from bridgenet.prediction.network import NetworkPredictor

    _choose_gpu(options.device)
    how = {"precision": options.precision, "compile": options.compile}
    model = load(options.source, device=options.device, config=options.config, **how)
    asked = {"tasks": options.tasks, "batch_size": options.batch_size, **_size(options)}
    return NetworkPredictor(model.prepared(), model.config, **asked)


def _size(options: argparse.Namespace) -> dict[str, Any]:
    return {"max_pixels": options.max_pixels, "tile": options.tile, "overlap": options.overlap}


def _choose_gpu(device: str) -> None:
    """Under torchrun, give each process of a machine its own GPU."""
    import torch

    if device == "auto" and "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
