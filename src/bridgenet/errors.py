"""Errors that are the user's to mend: reported in words, without a traceback, with exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """What was found, what was expected and what to do; names the file, the key or the flag."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`" (did you mean X?)"` for the known name nearest to `name`, or the empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {matches[0]}?)" if matches else ""
