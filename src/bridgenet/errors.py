"""Errors that the user can fix: they are printed without a traceback, with exit code 2."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class UserError(Exception):
    """An error whose message says what was found, what was expected and what to do, and names the file, key or flag."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The text `" (did you mean X?)"` for the known name nearest to `name`, or an empty string.

    An abbreviation by initials counts as nearest: `optimizer.learning_rate` → `optimizer.lr`.
    """
    known = list(known)
    parent, dot, last = name.rpartition(".")
    initials = parent + dot + "".join(word[:1] for word in last.replace("-", "_").split("_"))
    matches = [initials] if len(initials) > len(parent + dot) + 1 and initials in known else []
    matches = matches or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {matches[0]}?)" if matches else ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory of the CPU or a GPU ran out: PyTorch has no common class for both."""
    return isinstance(error, MemoryError) or any(
        words in str(error) for words in ("out of memory", "can't allocate memory", "Unable to allocate")
    )


def failure_of_machine(error: BaseException) -> str | None:
    """A sentence for an error that is not one of the program: memory ran out, or a process was killed; else None."""
    if is_out_of_memory(error):
        what = next((line for line in str(error).splitlines() if "allocate" in line), "")
        return f"memory ran out. Choose smaller images, batches (batch_size) or networks{what and f' ({what.strip()[:200]})'}"
    if killed := re.search(r"DataLoader worker \(pid\(?s?\)? ?[\d, ]+\) [^\n]*", str(error)):
        return (
            f"a process that loads data was killed, for want of memory perhaps ({killed[0].strip()}). Try fewer: --data.workers 0 "
            "loads in the main process; a run goes on with --resume"
        )
    return None
