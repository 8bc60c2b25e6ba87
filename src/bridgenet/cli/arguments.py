"""What several commands share: exit codes, common flags, and which process speaks."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

PARTLY_DONE, USER_ERROR, INTERRUPTED = 1, 2, 130
"""Exit codes besides 0: inputs were skipped or data have faults; a mistake of the user's; stopped by a signal."""

MakeParser = Callable[..., argparse.ArgumentParser]
"""Makes a command's parser from its name and a line of text."""


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`."""
    parser.add_argument("--device", choices=["auto", "cpu"], default="auto", help="auto: the GPU if there is one")


def add_network_config(parser: argparse.ArgumentParser) -> None:
    """`--config`, of checkpoints in the authors' names."""
    parser.add_argument(
        "--config", type=Path, help="JSON or YAML, the authors' keys: of unpublished networks in the authors' names"
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """`--trust`."""
    parser.add_argument(
        "--trust",
        nargs="+",
        action="extend",
        default=[],
        metavar="MODULE",
        help="let weights name code of these modules",
    )


def is_main_process() -> bool:
    """Whether this is the process that prints (of those that torchrun starts, the first)."""
    return int(os.environ.get("RANK", "0")) == 0
