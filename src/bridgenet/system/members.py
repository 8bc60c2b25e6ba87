"""Parts that stand in a folder, a file each, found by looking there: no list has to name them."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Collection
from typing import TypeVar

Part = TypeVar("Part")


def members(package: str, base: type[Part], *, without: Collection[str] = ()) -> list[type[Part]]:
    """The classes derived from `base`, abstract ones left out, that the modules of a package define.

    Args:
        package: its name; its modules are imported, in the order of their names.
        base: what the classes are derived from.
        without: names of modules that hold none and are not imported.
    """
    found: list[type[Part]] = []
    for entry in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if entry.name in without:
            continue
        module = importlib.import_module(f"{package}.{entry.name}")
        own = [
            value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__
        ]
        found += [part for part in own if issubclass(part, base) and not inspect.isabstract(part)]
    return found
