"""A switch between the definitions of what the network computes and the ways that save work, equal up to rounding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

_follow_definitions = False
_is_exporting = getattr(torch.compiler, "is_exporting", lambda: False)  # from torch 2.7 on


@contextmanager
def definitions() -> Iterator[None]:
    """Within it networks compute as the paper writes it down: nothing split, hoisted or done at a coarser resolution.

    For comparisons. A network that was prepared by :func:`bridgenet.optimize_for_inference` has no such way any more.
    """
    global _follow_definitions
    before, _follow_definitions = _follow_definitions, True
    try:
        yield
    finally:
        _follow_definitions = before


def follow_definitions() -> bool:
    """Whether to compute by definition: within :func:`definitions`, and while a network is exported (sizes stay free)."""
    return _follow_definitions or is_exporting()


def is_exporting() -> bool:
    """Whether a network is being exported, by `torch.onnx` or `torch.export`."""
    return torch.onnx.is_in_onnx_export() or _is_exporting()


def has_size(x: Tensor, size: Sequence[int]) -> bool:
    """Whether the last two axes are known to be of that size. While a network is exported, only if they always are."""
    sides = zip(x.shape[-2:], size)
    if not is_exporting():
        return all(own == other for own, other in sides)
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return all(statically_known_true(own == other) for own, other in sides)
