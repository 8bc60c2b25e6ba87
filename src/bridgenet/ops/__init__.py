"""Operators that PyTorch does not have, or has only in a slower form."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext

from bridgenet.ops.dcnv3 import dcnv3

__all__ = ["dcnv3", "definitions"]


def definitions() -> AbstractContextManager[None]:
    """Deprecated: a context without any effect, which will be removed in the next version.

    A network computes by definition unless :func:`bridgenet.accelerate_network` or
    :func:`bridgenet.optimize_for_inference` changed it.
    """
    warnings.warn(
        "bridgenet.ops.definitions does nothing any more: networks compute by definition until they are given to "
        "bridgenet.accelerate_network or bridgenet.optimize_for_inference",
        stacklevel=2,
    )
    return nullcontext()
