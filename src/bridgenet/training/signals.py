"""Ctrl-C and SIGTERM: a run finishes its step and saves."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second Ctrl-C raises KeyboardInterrupt at once.

    SIGTERM after Ctrl-C does not: torchrun sends it to its processes, which are about to save.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    asked = 0.0

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        if stop.is_set() and number == signal.SIGINT and time.monotonic() - asked > 1:
            raise KeyboardInterrupt
        asked = asked if stop.is_set() else time.monotonic()
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def asked_to_stop(stop: threading.Event, step: int, accelerator: Accelerator) -> bool:
    """Whether any process was asked to stop. On GPUs they synchronise every tenth step only, as that waits for the device."""
    if accelerator.num_processes == 1:
        return stop.is_set()
    if step % 10 and accelerator.device.type != "cpu":
        return False
    asked = torch.tensor(float(stop.is_set()), device=accelerator.device)
    return bool(accelerator.reduce(asked, "sum").item())
