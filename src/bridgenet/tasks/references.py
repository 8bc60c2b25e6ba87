"""Functions and classes by name, `"module:attribute"`, which loads nothing until it is resolved."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

Reference = str | Callable[..., Any]


def resolve(reference: Reference) -> Callable[..., Any]:
    """The callable that a ``"module:attribute"`` string names; a callable is returned as it is."""
    if callable(reference):
        return reference
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


def name_of(function: Callable[..., Any]) -> str:
    """``"module:attribute"`` of a callable, the inverse of :func:`resolve`."""
    return f"{function.__module__}:{function.__qualname__}"
