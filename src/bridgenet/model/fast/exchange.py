"""Replacing modules of a network from outside, without changes in its code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)
Table = Mapping[type[nn.Module], Callable[[Any], nn.Module]]
"""For modules of exactly this class: the function that makes their replacement."""


def exchanged(module: nn.Module, kind: type[Module]) -> Module:
    """A module of another class, whose `forward` computes the same in another way.

    Parameters, buffers, children, hooks and settings are shared with `module` under the same names, so optimisers, weight
    files and data-parallel wrappers are not affected.
    """
    other = kind.__new__(kind)
    other.__dict__ = module.__dict__
    return other


def exchange(network: nn.Module, table: Table) -> None:
    """Replace all modules inside a network that have an entry in the table."""
    # A list of all modules would keep replaced weights in memory.
    parents = [module for module in network.modules() if any(type(child) in table for child in module.children())]
    done: dict[nn.Module, nn.Module] = {}  # a module with several names remains one
    for parent in parents:
        for name, child in list(parent._modules.items()):
            if child is not None and type(child) in table:
                if child not in done:
                    done[child] = table[type(child)](child)
                setattr(parent, name, done[child])
