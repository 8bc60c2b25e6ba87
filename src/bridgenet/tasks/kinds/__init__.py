"""The kinds of tasks: class maps, probabilities, metric depth, unit vectors, and any real numbers.

Everything that depends on a task's kind is in one object of a subclass of :class:`Kind`, one file each. :func:`register`
adds a custom kind.
"""

from __future__ import annotations

from bridgenet.errors import UserError, nearest
from bridgenet.tasks.kinds.base import Kind
from bridgenet.tasks.kinds.classes import Classes
from bridgenet.tasks.kinds.depth import Depth
from bridgenet.tasks.kinds.normals import Normals
from bridgenet.tasks.kinds.probability import Probability
from bridgenet.tasks.kinds.regression import Regression

_KINDS: dict[str, Kind] = {kind.name: kind for kind in (Classes(), Probability(), Depth(), Normals(), Regression())}


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
