"""Putting modules in the place of others, from outside: the network's own code knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)
Table = Mapping[type[nn.Module], Callable[[Any], nn.Module]]
"""For modules of exactly this class: what makes the module that takes their place."""


def exchanged(module: nn.Module, kind: type[Module]) -> Module:
    """The module as one of another class, whose `forward` computes the same in another way.

    Parameters, buffers, children, hooks and settings are shared with the module, under the same names: optimisers, files of
    weights and data-parallel wrappers see no difference.
    """
    other = kind.__new__(kind)
    other.__dict__ = module.__dict__
    return other


def exchange(network: nn.Module, table: Table) -> None:
    """Replace all modules inside a network that the table has an entry for."""
    # Not a list of all modules: it would keep weights that are replaced.
    parents = [module for module in network.modules() if any(type(child) in table for child in module.children())]
    done: dict[nn.Module, nn.Module] = {}  # a module with several names stays one
    for parent in parents:
        for name, child in list(parent._modules.items()):
            if child is not None and type(child) in table:
                if child not in done:
                    done[child] = table[type(child)](child)
                setattr(parent, name, done[child])
