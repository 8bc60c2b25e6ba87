"""Output of the command line: any stream, any encoding, and no control characters out of files and their names."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress

_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except line breaks and tabs, marks that turn the direction of writing, and bytes that are no text."""


def printable(text: str) -> str:
    r"""The text with escapes, like `\x1b`, for what would act on a terminal instead of being seen."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """:func:`printable`, with line breaks as escapes, too."""
    return printable(text).replace("\n", "\\n")


def tell(text: str) -> None:
    """Print to standard error; a closed one is no error of the command."""
    with suppress(OSError, ValueError):
        print(printable(text), file=sys.stderr, flush=True)


def prepare_streams() -> None:
    """Make the standard streams take every text: letters that their encoding lacks become escapes."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell (`>&-`); what is opened first would take its place
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def give_up_streams() -> None:
    """Discard what the streams still hold if their reader is gone or the disk full: Python would report it at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
