"""Bounds on what a file's description may have built, before any of it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from bridgenet.errors import UserError

_SPARE = 1000
_BUFFERS = 2**30
"""Largest size of what a network computes once for its size of images and does not save, e.g. masks [bytes]."""


@contextmanager
def limited(num_weights: int) -> Iterator[None]:
    """In the block, building a network stops when it has far more parts than a file has weights.

    Some backbones have more parts at first, e.g. a classifier or unused blocks, which are removed afterwards.

    Args:
        num_weights: number of tensors in the file.

    Raises:
        UserError: the network is larger.
    """
    thread = threading.get_ident()
    left = {"weights": 4 * num_weights + _SPARE, "modules": 20 * num_weights + _SPARE, "buffers": _BUFFERS}

    def take(what: str, amount: int = 1) -> None:
        left[what] -= amount if threading.get_ident() == thread else 0
        if left[what] < 0:
            raise UserError(f"its description is of a far larger network than its {num_weights} weights")

    def take_buffer(_module: nn.Module, _name: str, buffer: Tensor | None) -> None:
        take("weights")
        take("buffers", 0 if buffer is None else buffer.numel() * buffer.element_size())

    with ExitStack() as stack:
        for handle in (
            register_module_parameter_registration_hook(lambda *_: take("weights")),
            register_module_module_registration_hook(lambda *_: take("modules")),
            register_module_buffer_registration_hook(take_buffer),
        ):
            stack.callback(handle.remove)
        yield
