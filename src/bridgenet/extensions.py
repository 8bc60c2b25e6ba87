"""Custom parts that settings name by dotted path: `package.module:attribute`. See `docs/extend.md`."""

from __future__ import annotations

import difflib
import importlib
import inspect
import keyword
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bridgenet.errors import UserError, nearest
from bridgenet.trust import is_own, is_remembered, is_trusted, make_findable, remember

Check = Callable[[Any], str]
"""Returns what is wrong with an object; an empty string if nothing is."""

_LOADED: set[str] = set()
"""Modules, other than this package's, whose objects were loaded."""


def is_path(text: str) -> bool:
    """Whether a setting is a dotted path of custom code rather than a name, which has at most one dot.

    Paths are `package.module:attribute` or, with at least two dots, `package.module.attribute`.
    """
    return re.fullmatch(r"[\w.]+:[\w.]+|[^\W\d]\w*(\.[^\W\d]\w*){2,}", text) is not None


def module_of(text: str) -> str:
    """The module of a dotted path."""
    return text.partition(":")[0] if ":" in text else text.rpartition(".")[0]


def is_foreign(part: object) -> bool:
    """Whether the class of an object is not from this package."""
    return type(part).__module__.partition(".")[0] != "bridgenet"


def load_object(text: str, where: str, check: Check | None = None) -> Any:
    """Import the object of a dotted path.

    Args:
        text: `package.module:attribute`, or `package.module.attribute`.
        where: file and key of the path, the prefix of errors, e.g. `rooms.yaml: network.decoder`.
        check: checks the object, see :func:`subclass_of`, :func:`is_metric`, :func:`is_loss`, :func:`is_decoding`.

    Raises:
        UserError: the path, module or attribute does not exist; the module cannot be imported; or the check fails.
    """
    name, attribute = _parts(text, where)
    if _named_by is not None:
        check_trusted({where: text}, _named_by, of_run=True)
    found = _module(name, text, where)
    if not is_own(name):
        _LOADED.add(name)
    path = name
    for part in attribute.split("."):
        if not hasattr(found, part):
            file = getattr(found, "__file__", None)
            known = [entry for entry in dir(found) if not entry.startswith("_")]
            raise UserError(
                f"{where}: {path}{f' ({file})' if file else ''} has no '{part}'{nearest(part, known)}, named by '{text}'"
            )
        found, path = getattr(found, part), f"{path}.{part}"
    if check is not None and (problem := check(found)):
        raise UserError(f"{where}: {text} is {problem}")
    return found


def _parts(text: str, where: str) -> tuple[str, str]:
    """Split a dotted path into module and attribute."""
    module, colon, attribute = str(text).partition(":")
    if not colon:
        module, _, attribute = module.rpartition(".")
    words = [*module.split("."), *attribute.split(".")]
    if not all(word.isidentifier() and not keyword.iskeyword(word) for word in words):
        raise UserError(f"{where}: '{text}' is no path to an object; expected package.module:attribute")
    return module, attribute


def _module(name: str, text: str, where: str) -> ModuleType:
    importlib.invalidate_caches()  # it may have been written a moment ago
    make_findable(name)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing != name and not name.startswith(f"{missing}."):
            raise UserError(f"{where}: {name} cannot be imported: {in_words(error)}") from None
        parent, _, last = missing.rpartition(".")
        inside = getattr(sys.modules.get(parent), "__path__", None) if parent else None
        known = [entry.name for entry in pkgutil.iter_modules(inside or ([] if parent else None))]
        if not parent:  # hundreds are installed: only close matches help
            known += [entry.name for entry in Path.cwd().iterdir() if entry.is_dir()]
            known = difflib.get_close_matches(last, set(known) - sys.stdlib_module_names, cutoff=0.75)
        hint = nearest(last, known)
        raise UserError(f"{where}: there is no module '{missing}'{hint}, named by '{text}'; {_path_hint()}") from None
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise UserError(f"{where}: {name} cannot be imported: {in_words(error)}") from None


def _path_hint() -> str:
    if _current_folder_is_on_path():
        return f"modules are looked for in the current folder ({Path.cwd()}) and among the installed packages"
    return f"the current folder ({Path.cwd()}) is not on Python's path: add it with PYTHONPATH, or install the package"


def _current_folder_is_on_path() -> bool:
    return any(not entry or os.path.realpath(entry) == os.path.realpath(Path.cwd()) for entry in sys.path)


def in_words(error: BaseException) -> str:
    """An exception of the user's code in one line: type, message, and file and line of the user's code that raised it."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, SyntaxError):  # its message names file and line
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    own = [frame for frame in frames if not _is_library(frame.filename)]
    if not own:
        return text
    return f"{text} ({own[-1].filename}, line {own[-1].lineno})"


def _is_library(file: str) -> bool:
    """Whether a source file belongs to Python, an installed package or this package rather than to the user."""
    here, standard = str(Path(__file__).parent), str(Path(os.__file__).parent)
    return file.startswith((here + os.sep, standard + os.sep)) or "site-packages" in Path(file).parts


def subclass_of(base: type, title: str) -> Check:
    """Create a check for subclasses of `base`, which errors call `title`."""

    def check(found: Any) -> str:
        if isinstance(found, type) and issubclass(found, base):
            return ""
        return f"{describe(found)}, expected a subclass of {title}"

    return check


def is_metric(found: Any) -> str:
    """Check the class of a metric, see :data:`Check` and :class:`bridgenet.Task`."""
    from torchmetrics import Metric

    return subclass_of(Metric, "torchmetrics.Metric")(found)


def is_loss(found: Any) -> str:
    """Check a loss function, which must have the signature of those in :mod:`bridgenet.losses`; see :data:`Check`."""
    return _not_callable(found, "(logits, target, *, mean_over_processes)", None, None, mean_over_processes=None)


def is_decoding(found: Any) -> str:
    """Check a decoding, which must be a function of logits; see :data:`Check`."""
    return _not_callable(found, "(logits)", None)


def _not_callable(found: Any, expected: str, *arguments: Any, **keywords: Any) -> str:
    if not callable(found) or isinstance(found, type) or inspect.isbuiltin(found):
        return f"{describe(found)}, expected a function {expected}"
    try:
        inspect.signature(found).bind(*arguments, **keywords)
    except (TypeError, ValueError) as error:
        return f"a function that cannot be called with {expected}: {error}"
    return ""


def describe(found: Any) -> str:
    """Describe an object, e.g. `the class mine.Decoder`."""
    if isinstance(found, type):
        return f"the class {found.__module__}.{found.__qualname__}"
    if callable(found) and hasattr(found, "__qualname__"):
        return f"the function {found.__qualname__}"
    return f"a {type(found).__name__}"


def made(kind: Any, where: str, path: str, /, *arguments: Any, **settings: Any) -> Any:
    """Create an object of a custom class. Its exceptions are raised as UserError that begins with `where`."""
    with failing_as(f"{where}: {path}", "cannot be made:"):
        return kind(*arguments, **settings)


@contextmanager
def failing_as(where: str, failure: str = "fails:") -> Iterator[None]:
    """Raise exceptions of custom code in the block as UserError: `where`, `failure`, and the exception."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{where} {failure} {in_words(error)}") from error


_named_by: Path | None = None


@contextmanager
def named_by(file: Path | None) -> Iterator[None]:
    """In the block :func:`load_object` loads for a file of a run's folder, and checks whether the code is trusted."""
    global _named_by
    before, _named_by = _named_by, file
    try:
        yield
    finally:
        _named_by = before


def check_trusted(named: Mapping[str, str], file: Path, *, of_run: bool = False) -> None:
    """UserError if a file names code of an untrusted module, since importing it would run it; see :mod:`bridgenet.trust`.

    Args:
        named: dotted paths by their key, e.g. `{"network.decoder": "mine.decoder:Small"}`.
        file: the weight file, or the settings of a run.
        of_run: whether the file is a run's: modules that a training of this user has run are trusted then.
    """
    for where, text in named.items():
        module = _parts(text, where)[0]
        if not (is_trusted(module) or (of_run and is_remembered(module))):
            raise UserError(
                f"{file} names code of the module {module} ({where}: {text}), which would be run. If you know it, give "
                f"--trust {module}, or bridgenet.load(…, trust=['{module}'])"
            )


def remember_loaded() -> str:
    """Note the modules of all objects loaded so far as run by this user; returns why it failed, or an empty string."""
    try:
        remember(sorted(_LOADED))
    except (OSError, RuntimeError) as error:
        return (
            f"it cannot be noted that you have run {', '.join(sorted(_LOADED))} ({error}): to load the run give --trust"
        )
    return ""
