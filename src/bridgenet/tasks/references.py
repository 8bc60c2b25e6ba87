"""Functions and classes by name, `"module:attribute"`, so that naming one loads nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

Reference = str | Callable[..., Any]


def resolve(reference: Reference) -> Callable[..., Any]:
    """The callable that a ``"module:attribute"`` string names; callables pass through."""
    if callable(reference):
        return reference
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


def name_of(function: Callable[..., Any]) -> str:
    """``"module:attribute"`` of a callable, the inverse of :func:`resolve`."""
    return f"{function.__module__}:{function.__qualname__}"
