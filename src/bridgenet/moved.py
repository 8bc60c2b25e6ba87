"""Old module names: they can still be imported in this version, with a warning that gives the new name."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED = {
    f"bridgenet.{old}": f"bridgenet.{new}"
    for old, new in {
        "data.benchmarks": "synthetic.benchmarks",
        "data.scenes": "synthetic",
        "decoding": "tasks.decoding",
        "evaluate": "evaluation.evaluate",
        "images": "imaging.reading",
        "inference": "model.inference",
        "model.config": "model.build",
        "ops.linear": "model.fast.linear",
        "ops.upsampled": "model.fast.upsampled",
        "predict": "prediction",
        "scores": "tasks.scores",
        "settings": "config.settings",
        "visualize": "tasks.visualize",
    }.items()
}
"""Modules that the documentation or written files have named."""


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None  # the default: an ordinary module

    def exec_module(self, module: ModuleType) -> None:
        new = MOVED[module.__name__]
        warnings.warn(f"{module.__name__} is {new} now; the old name goes with the next version", stacklevel=2)

        def get(attribute: str) -> Any:
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            return getattr(importlib.import_module(new), attribute)

        module.__getattr__ = get  # type: ignore[method-assign]


def renamed(reference: str) -> str:
    """Replace the old module name in a reference `module:attribute` of a file from an earlier version."""
    module, colon, attribute = reference.partition(":")
    return MOVED.get(module, module) + colon + attribute


def install() -> None:
    """Install the finder of old names, after all others."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
