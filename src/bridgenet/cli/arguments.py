"""Exit codes and flags that several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

PARTLY_DONE, USER_ERROR, INTERRUPTED = 1, 2, 130
"""Exit codes besides 0: inputs were skipped or data have faults; a user error; stopped by a signal."""

MakeParser = Callable[..., argparse.ArgumentParser]
"""Creates the parser of a command from its name and a line of text."""


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument("--device", choices=["auto", "cpu"], default="auto", help="auto: the GPU if there is one")


def add_network_config(parser: argparse.ArgumentParser) -> None:
    """Add `--config`, for checkpoints with the authors' weight names."""
    parser.add_argument(
        "--config",
        type=Path,
        help="JSON or YAML with the authors' keys, for unpublished networks with the authors' weight names",
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add `--trust`."""
    parser.add_argument(
        "--trust",
        nargs="+",
        action="extend",
        default=[],
        metavar="MODULE",
        help="allow weights, and the settings in the folder of a run, to load code from these modules",
    )


def is_main_process() -> bool:
    """Whether this process prints: the first one that torchrun starts."""
    return int(os.environ.get("RANK", "0")) == 0
