"""One line that tells how far a long command is and how long it has still to go."""

from __future__ import annotations

import sys
import time


class ProgressLine:
    """A callback ``(done, total or None)``; writes to the standard error stream.

    A terminal gets one line that is kept up to date, a file a line every half minute.

    Args:
        what: what is going on, e.g. ``"checking"``.
        unit: ``"bytes"`` are shown in megabytes and as a speed; anything else is counted.
    """

    def __init__(self, what: str, unit: str = "") -> None:
        self.what = what
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
        """Make room for another line of text where the terminal's last one is kept up to date."""
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
            left = round((total - done) / speed)
            text += f"  {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"
        return text
