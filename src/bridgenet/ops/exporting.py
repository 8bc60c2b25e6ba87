"""Detection of exports, in which a few expressions must differ so that sizes remain free."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_is_exporting = getattr(torch.compiler, "is_exporting", lambda: False)  # from torch 2.7 on


def is_exporting() -> bool:
    """Whether a network is being exported, by `torch.onnx` or `torch.export`."""
    return torch.onnx.is_in_onnx_export() or _is_exporting()


def has_size(x: Tensor, size: Sequence[int]) -> bool:
    """Whether the last two axes have that size; during an export, whether they have it for every input."""
    sides = zip(x.shape[-2:], size)
    if not is_exporting():
        return all(own == other for own, other in sides)
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return all(statically_known_true(own == other) for own, other in sides)
