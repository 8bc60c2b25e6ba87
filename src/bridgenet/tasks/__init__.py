"""What a task is: the one place that knows. Everything else loops over tasks.

A task (:class:`Task`) is of a kind (:mod:`bridgenet.tasks.kinds`), which brings what tasks of that kind have in common.
It names its loss, metric and decoding as `"module:attribute"` (loaded when used) or gives them as callables. Register a
custom one with :func:`register`:

    bridgenet.register_task(bridgenet.tasks.of_kind("albedo", "regression", num_outputs=3))

Importing this package loads nothing; its names are loaded when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridgenet.system.lazy import lazy_attributes

if TYPE_CHECKING:
    from bridgenet.tasks.kinds import Kind
    from bridgenet.tasks.kinds import register as register_kind
    from bridgenet.tasks.kinds.base import IGNORE
    from bridgenet.tasks.references import Reference, name_of, resolve
    from bridgenet.tasks.registry import BUILT_IN, ensure, get, in_order, names, register
    from bridgenet.tasks.task import Headline, Task, from_dict, of_kind

_MODULES = {
    "Kind": "bridgenet.tasks.kinds",
    "register_kind": "bridgenet.tasks.kinds:register",
    "IGNORE": "bridgenet.tasks.kinds.base",
    **dict.fromkeys(("Reference", "name_of", "resolve"), "bridgenet.tasks.references"),
    **dict.fromkeys(("BUILT_IN", "ensure", "get", "in_order", "names", "register"), "bridgenet.tasks.registry"),
    **dict.fromkeys(("Headline", "Task", "from_dict", "of_kind"), "bridgenet.tasks.task"),
}

__all__ = [
    "BUILT_IN",
    "IGNORE",
    "Headline",
    "Kind",
    "Reference",
    "Task",
    "ensure",
    "from_dict",
    "get",
    "in_order",
    "name_of",
    "names",
    "of_kind",
    "register",
    "register_kind",
    "resolve",
]

__getattr__ = lazy_attributes(__name__, _MODULES)
