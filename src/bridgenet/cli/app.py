"""`bridgenet app`: the web page."""

from __future__ import annotations

import argparse
from pathlib import Path

from bridgenet.cli.arguments import MakeParser, add_device, add_trust
from bridgenet.errors import UserError
from bridgenet.system.allocator import use_one_arena
from bridgenet.system.signals import terminated_like_interrupted


def add_command(command: MakeParser) -> None:
    """Add the command's parser."""
    app = command("app", "serve a web page on this machine: upload images, see all tasks")
    app.add_argument("source", help="folder of a run, or weights")
    app.add_argument("--port", type=int, default=7860)
    app.add_argument(
        "--host",
        default="127.0.0.1",
        help="0.0.0.0 gives other machines access without a password (default: this machine only)",
    )
    app.add_argument(
        "--max-pixels", type=int, help="shrink larger images to this number of pixels (default: as in training)"
    )
    app.add_argument("--precision", choices=["float32", "bfloat16", "auto"], default="float32")
    add_trust(app)
    add_device(app)


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """Run the command; returns the exit code."""
    if not 0 <= options.port <= 65535:
        raise UserError(f"port is {options.port}, expected 0 to 65535")
    use_one_arena()
    from bridgenet.app import serve
    from bridgenet.prediction.model import load

    network = load(options.source, device=options.device, precision=options.precision)
    with terminated_like_interrupted():  # a service manager sends SIGTERM: temporary files are deleted then, too
        serve(
            network,
            Path(options.source).absolute().name,
            host=options.host,
            port=options.port,
            max_pixels=options.max_pixels,
        )
    return 0
