"""Bounds on what a file's description may have built, before any of it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch.nn.modules import module as torch_module

from bridgenet.errors import UserError
from bridgenet.model.description import NetworkConfig

LARGEST = 1_000_000
"""Largest whole number among the arguments of a backbone or decoder."""
_SPARE = 1000


@contextmanager
def limited(config: NetworkConfig, num_weights: int, path: Path) -> Iterator[None]:
    """In the block, building a network stops when it has far more parts than a file has weights.

    Some backbones have more parts at first, e.g. a classifier or unused blocks, which are removed afterwards.

    Args:
        config: the description in the file.
        num_weights: number of tensors in the file.

    Raises:
        UserError: a number in the description is larger than :data:`LARGEST`, or the network is larger.
    """
    for part, arguments in (("backbone", config.backbone), ("decoder", config.decoder)):
        for key, number in _numbers(part, arguments):
            if abs(number) > LARGEST:
                raise UserError(f"{path}: its description says {key} {number}, expected at most {LARGEST}")
    thread, most = threading.get_ident(), {"weights": 4 * num_weights + _SPARE, "modules": 20 * num_weights + _SPARE}

    def count(what: str) -> None:
        if threading.get_ident() == thread:
            most[what] -= 1
            if most[what] < 0:
                raise UserError(f"its description is of a far larger network than its {num_weights} weights")

    with ExitStack() as stack:
        for register, what in (
            (torch_module.register_module_parameter_registration_hook, "weights"),
            (torch_module.register_module_buffer_registration_hook, "weights"),
            (torch_module.register_module_module_registration_hook, "modules"),
        ):
            hook: Any = lambda *_, what=what: count(what)  # noqa: E731
            stack.callback(register(hook).remove)
        yield


def _numbers(key: str, values: Any) -> Iterator[tuple[str, int]]:
    """The whole numbers in nested settings, with their keys."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _numbers(f"{key}.{name}", value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _numbers(key, value)
    elif isinstance(values, int):
        yield key, values
