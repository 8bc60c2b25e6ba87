"""Lazy attributes of packages, which are imported at their first use."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_attributes(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Create the `__getattr__` of a package whose public names are defined in other modules.

    Args:
        package: `__name__` of the package.
        modules: module of each name, or `module:attribute` if it has another name there.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        module, _, attribute = modules[name].partition(":")
        return getattr(importlib.import_module(module), attribute or name)

    return get
