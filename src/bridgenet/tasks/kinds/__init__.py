"""The kinds of tasks: class maps, probabilities, metric depth, unit vectors, and any real numbers.

Everything that depends on a task's kind is in one object of a subclass of :class:`Kind`, in one file of this folder, which
registers it. :func:`register` adds a kind of another package.
"""

from __future__ import annotations

from bridgenet.errors import UserError, nearest
from bridgenet.system.members import members
from bridgenet.tasks.kinds.base import Kind

_KINDS: dict[str, Kind] = {kind.name: kind() for kind in members(__name__, Kind)}  # type: ignore[type-abstract]


def register(kind: Kind) -> Kind:
    """Register a kind by its name. Raises UserError if another kind has the name."""
    if type(_KINDS.setdefault(kind.name, kind)) is not type(kind):
        raise UserError(f"the kind '{kind.name}' is known already; give yours another name")
    return kind


def get(name: str, where: str = "") -> Kind:
    """The kind of that name. Raises UserError, prefixed by `where`, with the nearest name for an unknown one."""
    if name not in _KINDS:
        before = f"{where}: " if where else ""
        raise UserError(f"{before}'{name}' is not a kind{nearest(str(name), _KINDS)} ({', '.join(_KINDS)})")
    return _KINDS[name]


def names() -> list[str]:
    """The names of all kinds."""
    return list(_KINDS)
