"""BridgeNet: one network that answers every pixel-wise question about an image at once.

    import bridgenet
    model = bridgenet.load("runs/demo")
    result = model.predict("photo.jpg")

Importing this package is light; PyTorch is loaded when a network is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bridgenet.errors import UserError
from bridgenet.tasks import Task
from bridgenet.tasks import register as register_task
from bridgenet.version import __version__

if TYPE_CHECKING:
    from bridgenet.checkpoints import load, save
    from bridgenet.model.bridgenet import BridgeNet, BridgeNetOutput
    from bridgenet.model.config import NetworkConfig, build_network

_LAZY = {
    "load": "bridgenet.checkpoints",
    "save": "bridgenet.checkpoints",
    "BridgeNet": "bridgenet.model.bridgenet",
    "BridgeNetOutput": "bridgenet.model.bridgenet",
    "NetworkConfig": "bridgenet.model.config",
    "build_network": "bridgenet.model.config",
}

__all__ = [
    "BridgeNet",
    "BridgeNetOutput",
    "NetworkConfig",
    "Task",
    "UserError",
    "__version__",
    "build_network",
    "load",
    "register_task",
    "save",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'bridgenet' has no attribute '{name}'")
