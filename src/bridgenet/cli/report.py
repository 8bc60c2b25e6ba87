"""`bridgenet report`: a page on evaluated runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from bridgenet.cli.arguments import MakeParser, add_device
from bridgenet.cli.progress import ProgressLine


def add_command(command: MakeParser) -> None:
    """Add the command's parser."""
    parser = command("report", "write a report on evaluated runs as HTML and Markdown")
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="folder of a run, or folder that `bridgenet evaluate --out` wrote"
    )
    parser.add_argument(
        "--out", type=Path, help="file of the page (default: report.html in the run's folder, for several runs here)"
    )
    parser.add_argument("--no-images", action="store_true", help="leave out the best and worst images of each task")
    add_device(parser)


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """Run the command; returns the exit code."""
    from bridgenet.report import report

    page = report(options.runs, options.out, images=not options.no_images, device=options.device, progress=ProgressLine)
    print(f"→ {page}   {page.with_suffix('.md')}")
    return 0
