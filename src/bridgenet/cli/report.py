"""`bridgenet report`: evaluations of runs as one page that people can read."""

from __future__ import annotations

import argparse
from pathlib import Path

from bridgenet.cli.arguments import MakeParser, add_device
from bridgenet.cli.progress import ProgressLine


def add_command(command: MakeParser) -> None:
    """Add the command; `command(name, text)` makes its parser."""
    parser = command("report", "one HTML page, and Markdown, of one or several evaluated runs")
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="folder of a run, or what `bridgenet evaluate --out` wrote"
    )
    parser.add_argument(
        "--out", type=Path, help="the page (default: report.html in the run's folder, of several runs here)"
    )
    parser.add_argument("--no-images", action="store_true", help="leave out the best and worst images of each task")
    add_device(parser)


def run(options: argparse.Namespace, settings: list[str]) -> int:
    """The command; returns the exit code."""
    from bridgenet.report import report

    page = report(options.runs, options.out, images=not options.no_images, device=options.device, progress=ProgressLine)
    print(f"→ {page}   {page.with_suffix('.md')}")
    return 0
