"""Parts of one's own, named by dotted path in settings: `package.module:attribute`. See `docs/extend.md`.

Nothing heavy is imported before a part is asked for.
"""

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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bridgenet.errors import UserError, nearest

Check = Callable[[Any], str]
"""Says in words what is wrong with an object; empty if it fits."""


def is_path(text: str) -> bool:
    """Whether a setting names something of the user's own rather than a part by its name, which has one dot at most.

    `package.module:attribute`, or, with two dots or more, `package.module.attribute`.
    """
    return re.fullmatch(r"[\w.]+:[\w.]+|[^\W\d]\w*(\.[^\W\d]\w*){2,}", text) is not None


def module_of(text: str) -> str:
    """The module that a dotted path names: what is imported."""
    return text.partition(":")[0] if ":" in text else text.rpartition(".")[0]


def is_foreign(part: object) -> bool:
    """Whether something is of a class that is not this package's."""
    return type(part).__module__.partition(".")[0] != "bridgenet"


def add_current_folder() -> None:
    """Let modules in the current folder be found however the command line was started; installed ones come first.

    `python -m bridgenet` has the folder on the path already. Processes that are started from this one inherit it.
    """
    if not getattr(sys.flags, "safe_path", False) and not _current_folder_is_on_path():  # Python 3.10 has no such flag
        sys.path.append(str(Path.cwd()))


def load_object(text: str, where: str, check: Check | None = None) -> Any:
    """The object that a dotted path names; its module is imported.

    Args:
        text: `package.module:attribute`, or `package.module.attribute`.
        where: the file and key that it stands in, which errors begin with, e.g. `rooms.yaml: network.decoder`.
        check: what it must be, see :func:`subclass_of`, :func:`is_metric`, :func:`is_loss`, :func:`is_decoding`.

    Raises:
        UserError: no such path, module or attribute; the module cannot be imported; the object is something else.
    """
    name, attribute = _parts(text, where)
    found = _module(name, text, where)
    done = name
    for part in attribute.split("."):
        if not hasattr(found, part):
            file = getattr(found, "__file__", None)
            known = [entry for entry in dir(found) if not entry.startswith("_")]
            raise UserError(
                f"{where}: {done}{f' ({file})' if file else ''} has no '{part}'{nearest(part, known)}, named by '{text}'"
            )
        found, done = getattr(found, part), f"{done}.{part}"
    if check is not None and (problem := check(found)):
        raise UserError(f"{where}: {text} is {problem}")
    return found


def _parts(text: str, where: str) -> tuple[str, str]:
    """Module and attribute of a dotted path."""
    module, colon, attribute = str(text).partition(":")
    if not colon:
        module, _, attribute = module.rpartition(".")
    words = [*module.split("."), *attribute.split(".")]
    if not all(word.isidentifier() and not keyword.iskeyword(word) for word in words):
        raise UserError(f"{where}: '{text}' is no path to an object; expected package.module:attribute")
    return module, attribute


def _module(name: str, text: str, where: str) -> ModuleType:
    importlib.invalidate_caches()  # it may have been written a moment ago
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing != name and not name.startswith(f"{missing}."):
            raise UserError(f"{where}: {name} cannot be imported: {in_words(error)}") from None
        parent, _, last = missing.rpartition(".")
        inside = getattr(sys.modules.get(parent), "__path__", None) if parent else None
        known = [entry.name for entry in pkgutil.iter_modules(inside or ([] if parent else None))]
        if not parent:  # of the hundreds that are installed, one is always a little like it
            known += [entry.name for entry in Path.cwd().iterdir() if entry.is_dir()]
            known = difflib.get_close_matches(last, set(known) - sys.stdlib_module_names, cutoff=0.75)
        hint = nearest(last, known)
        raise UserError(f"{where}: there is no module '{missing}'{hint}, named by '{text}'; {_path_hint()}") from None
    except (Exception, SystemExit) as error:  # whatever the user's code does when it is run
        raise UserError(f"{where}: {name} cannot be imported: {in_words(error)}") from None


def _path_hint() -> str:
    if _current_folder_is_on_path():
        return f"modules are looked for in the current folder ({Path.cwd()}) and among the installed packages"
    return f"the current folder ({Path.cwd()}) is not on Python's path: add it with PYTHONPATH, or install the package"


def _current_folder_is_on_path() -> bool:
    return any(not entry or os.path.realpath(entry) == os.path.realpath(Path.cwd()) for entry in sys.path)


def in_words(error: BaseException) -> str:
    """An exception of the user's code in one line: type, message, and the file and line of his where it came from."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, SyntaxError):  # its message names file and line
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    own = [frame for frame in frames if not _is_library(frame.filename)]
    if not own:
        return text
    return f"{text} ({own[-1].filename}, line {own[-1].lineno})"


def _is_library(file: str) -> bool:
    """Whether a source file is Python's, an installed package's, or this one's, rather than the user's."""
    here, standard = str(Path(__file__).parent), str(Path(os.__file__).parent)
    return file.startswith((here + os.sep, standard + os.sep)) or "site-packages" in Path(file).parts


def subclass_of(base: type, title: str) -> Check:
    """A check for classes that are derived from `base`, which errors call `title`."""

    def check(found: Any) -> str:
        if isinstance(found, type) and issubclass(found, base):
            return ""
        return f"{describe(found)}, expected a subclass of {title}"

    return check


def is_metric(found: Any) -> str:
    """What is wrong with the class of a metric; empty if it fits. See :class:`bridgenet.Task`."""
    from torchmetrics import Metric

    return subclass_of(Metric, "torchmetrics.Metric")(found)


def is_loss(found: Any) -> str:
    """What is wrong with a loss; empty if it is a function that can be called as those of :mod:`bridgenet.losses`."""
    return _not_callable(found, "(logits, target, *, mean_over_processes)", None, None, mean_over_processes=None)


def is_decoding(found: Any) -> str:
    """What is wrong with a decoding; empty if it is a function of logits."""
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
    """What an object is, in words, e.g. `the class mine.Decoder`."""
    if isinstance(found, type):
        return f"the class {found.__module__}.{found.__qualname__}"
    if callable(found) and hasattr(found, "__qualname__"):
        return f"the function {found.__qualname__}"
    return f"a {type(found).__name__}"


def made(kind: Any, where: str, path: str, /, *arguments: Any, **settings: Any) -> Any:
    """An object of a class of the user's; whatever he raises in making it as a UserError that begins with `where`."""
    try:
        return kind(*arguments, **settings)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{where}: {path} cannot be made: {in_words(error)}") from error


@contextmanager
def failing_as(where: str) -> Iterator[None]:
    """Whatever the user's code raises inside of the block as a UserError that begins with `where`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{where} fails: {in_words(error)}") from error


_TRUSTED: set[str] = set()


def trust(modules: Iterable[str]) -> None:
    """Let weight files name code of these modules or packages; for the life of the process."""
    _TRUSTED.update(modules)


@contextmanager
def trusting(modules: Iterable[str]) -> Iterator[None]:
    """As :func:`trust`, inside of the block alone."""
    before = set(_TRUSTED)
    _TRUSTED.update(modules)
    try:
        yield
    finally:
        _TRUSTED.clear()
        _TRUSTED.update(before)


def check_trusted(named: Mapping[str, str], file: Path) -> None:
    """UserError if a weight file names code of a module that nobody said is to be trusted; importing it would run it.

    Trusted are this package, what :func:`trust` was told, and what the program has imported itself, unless it is Python's own.

    Args:
        named: dotted paths by what they stand for, e.g. `{"network.decoder": "mine.decoder:Small"}`.
        file: that names them.
    """
    for where, text in named.items():
        module = _parts(text, where)[0]
        parents = {module, *(module[: dot.start()] for dot in re.finditer(r"\.", module))}
        is_imported = module in sys.modules and module.partition(".")[0] not in sys.stdlib_module_names
        if not (is_imported or parents & (_TRUSTED | {"bridgenet"})):
            raise UserError(
                f"{file} names code of the module {module} ({where}: {text}), which would be run. If you know it, say "
                f"--trust {module}, or bridgenet.load(…, trust=['{module}'])"
            )
