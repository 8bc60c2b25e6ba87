"""A line with the progress and the remaining time of a long command."""

from __future__ import annotations

import sys
import time
from datetime import timedelta

from bridgenet.system.terminal import one_line


class ProgressLine:
    """A callback ``(done, total or None)`` that prints progress to standard error.

    A terminal gets one line that is updated, a file one line every 30 s.

    Args:
        what: name of the work, e.g. ``"checking"``.
        unit: ``"bytes"`` are shown in megabytes with their speed; anything else is counted.
    """

    def __init__(self, what: str, unit: str = "") -> None:
        self.what = one_line(what)
        self.unit = unit
        self.terminal = sys.stderr.isatty()
        self.started = self.shown = time.monotonic()
        self.first: int | None = None
        self.width = 0
        self.finished = False

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if self.first is None or done < self.first:
            self.first, self.started = done, now
        was_finished, self.finished = self.finished, done == total
        if was_finished and self.finished:
            return
        finishes = self.finished and self.terminal
        if not finishes and now - self.shown < (0.2 if self.terminal else 30):
            return
        self.shown = now
        text = self._text(done, total, now - self.started)
        if self.terminal:
            print(f"\r{text:<{self.width}}", end="\n" if done == total else "", file=sys.stderr, flush=True)
            self.width = len(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def give_way(self) -> None:
        """Clear the line on a terminal before other text is printed."""
        if self.width and self.terminal:
            print("\r" + " " * self.width, end="\r", file=sys.stderr, flush=True)

    def _text(self, done: int, total: int | None, seconds: float) -> str:
        speed = (done - (self.first or 0)) / seconds if seconds > 0 else 0.0
        if self.unit == "bytes":
            text = f"{self.what} {done / 1e6:.1f}" + ("" if total is None else f"/{total / 1e6:.1f}") + " MB"
            text += f"  {speed / 1e6:.1f} MB/s" if speed else ""
        else:
            text = f"{self.what} {done}" + ("" if total is None else f"/{total}")
        if total is not None and speed and done < total:
            text += f"  {timedelta(seconds=round((total - done) / speed))} left"
        return text
