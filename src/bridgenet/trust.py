"""Which modules' code may run because a file names it: see SECURITY.md and `docs/extend.md`.

Trusted are modules that the user named, for this process (:func:`trust`), and, for folders of runs, those that a training
of this user has run: it notes module and place outside of the run's folder (:func:`remember`), where nothing that was
downloaded can write. A module of the same name that lies elsewhere is another one.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_TRUSTED: set[str] = set()


def trust(modules: Iterable[str]) -> None:
    """Allow files to load code from these modules or packages, until the process ends."""
    _TRUSTED.update(modules)


@contextmanager
def trusting(modules: Iterable[str]) -> Iterator[None]:
    """Like :func:`trust`, but only inside the block."""
    before = set(_TRUSTED)
    _TRUSTED.update(modules)
    try:
        yield
    finally:
        _TRUSTED.clear()
        _TRUSTED.update(before)


def is_trusted(module: str) -> bool:
    """Whether a module is this package's, or was given to :func:`trust`, or has been imported and is not Python's own."""
    words = module.split(".")
    parents = {".".join(words[:count]) for count in range(1, len(words) + 1)}
    is_imported = module in sys.modules and words[0] not in sys.stdlib_module_names
    return is_imported or is_own(module) or bool(parents & _TRUSTED)


def is_own(module: str) -> bool:
    """Whether a module is of this package."""
    return module.partition(".")[0] == "bridgenet"


def make_findable(module: str) -> None:
    """Append the current folder to Python's path if only there the module is. Child processes inherit the path.

    It is not there from the start, since libraries try to import optional modules, which a downloaded folder may hold.
    """
    top, folder = module.partition(".")[0], str(Path.cwd())
    if _spec(top) is None and _in_current_folder(top) is not None:
        sys.path.append(folder)


def remember(modules: Iterable[str]) -> None:
    """Note that this user has run these modules, so that the folders of runs that name them load.

    Raises:
        OSError: the note cannot be written.
    """
    for module in modules:
        if place := _place(module):
            note = _note(module, place)
            if not note.is_file():
                note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                partial = note.with_name(f"{note.name}.{os.getpid()}")
                partial.write_text(_text(module, place), encoding="utf-8")
                partial.replace(note)


def is_remembered(module: str) -> bool:
    """Whether this user has run the module, and it is found in the same place."""
    place = _place(module)
    try:
        return bool(place) and _note(module, place).read_text(encoding="utf-8") == _text(module, place)
    except OSError:
        return False


def state_folder() -> Path:
    """The folder of this user's notes, after the conventions of the system."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local"
    else:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(base) / "bridgenet"


def _place(module: str) -> list[str]:
    """The absolute file, or folders, of a module's topmost package, found without running any code; empty if there is none."""
    top = module.partition(".")[0]
    spec = _spec(top) or _in_current_folder(top)
    if spec is None:
        return []
    found = [spec.origin] if spec.origin and spec.has_location else list(spec.submodule_search_locations or ())
    return sorted(os.path.realpath(entry) for entry in found)


def _spec(top: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(top)
    except ValueError:  # a module that was made by hand
        return None


def _in_current_folder(top: str) -> importlib.machinery.ModuleSpec | None:
    if getattr(sys.flags, "safe_path", False):  # Python 3.10 has no such flag
        return None
    return importlib.machinery.PathFinder.find_spec(top, [str(Path.cwd())])


def _text(module: str, place: list[str]) -> str:
    return json.dumps({"module": module, "place": place})


def _note(module: str, place: list[str]) -> Path:
    return state_folder() / "run-before" / f"{hashlib.sha256(_text(module, place).encode()).hexdigest()}.json"
