"""Attributes of packages that are imported when they are first asked for, so that importing a package stays light."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_attributes(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose public names stand in other modules.

    Args:
        package: its `__name__`.
        modules: the module of each name, or `module:attribute` where it has another name there.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        module, _, attribute = modules[name].partition(":")
        return getattr(importlib.import_module(module), attribute or name)

    return get
