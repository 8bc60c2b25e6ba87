"""What processes of their own are given to do; loads nothing heavy."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from bridgenet.errors import UserError


def echo(argument: Any) -> dict[str, Any]:
    return {"got": argument, "process": os.getpid()}


def die(argument: int) -> dict[str, Any]:
    os.kill(os.getpid(), argument)
    signal.pause()
    return {}


def wait(begun: Path) -> dict[str, Any]:
    """For ever, once the file is there."""
    begun.touch()
    signal.pause()
    return {}


def leave(argument: int) -> dict[str, Any]:
    os._exit(argument)


def fail(argument: str) -> dict[str, Any]:
    if argument == "user":
        raise UserError("no such thing")
    raise RuntimeError(argument)
