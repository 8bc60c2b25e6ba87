"""BridgeNet: one network that answers every pixel-wise question about an image at once.

    import bridgenet
    model = bridgenet.load("runs/demo")
    result = model.predict("photo.jpg")

Importing this package is light; PyTorch is loaded when a network is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bridgenet import moved
from bridgenet.errors import UserError
from bridgenet.system.lazy import lazy_attributes
from bridgenet.version import __version__

if TYPE_CHECKING:
    from bridgenet.data.base import DataSetInfo, DenseDataset, Target
    from bridgenet.model.backbones.base import Backbone
    from bridgenet.model.bridgenet import BridgeNet, BridgeNetOutput
    from bridgenet.model.build import NetworkConfig, build_network
    from bridgenet.model.fast import accelerate_network
    from bridgenet.model.inference import optimize_for_inference
    from bridgenet.prediction.model import Model, load, load_network, save
    from bridgenet.system.allocator import tune as tune_allocator
    from bridgenet.tasks import Task
    from bridgenet.tasks import register as register_task

_LAZY = {
    "Model": "bridgenet.prediction.model",
    "load": "bridgenet.prediction.model",
    "load_network": "bridgenet.prediction.model",
    "save": "bridgenet.prediction.model",
    "Backbone": "bridgenet.model.backbones.base:Backbone",
    "BridgeNet": "bridgenet.model.bridgenet:BridgeNet",
    "BridgeNetOutput": "bridgenet.model.bridgenet:BridgeNetOutput",
    "DataSetInfo": "bridgenet.data.base:DataSetInfo",
    "DenseDataset": "bridgenet.data.base:DenseDataset",
    "NetworkConfig": "bridgenet.model.description:NetworkConfig",
    "Target": "bridgenet.data.base:Target",
    "Task": "bridgenet.tasks.task:Task",
    "accelerate_network": "bridgenet.model.fast:accelerate_network",
    "build_network": "bridgenet.model.build:build_network",
    "optimize_for_inference": "bridgenet.model.inference:optimize_for_inference",
    "register_task": "bridgenet.tasks.registry:register",
    "tune_allocator": "bridgenet.system.allocator:tune",
}

__all__ = [
    "Backbone",
    "BridgeNet",
    "BridgeNetOutput",
    "DataSetInfo",
    "DenseDataset",
    "Model",
    "NetworkConfig",
    "Target",
    "Task",
    "UserError",
    "__version__",
    "accelerate_network",
    "build_network",
    "load",
    "load_network",
    "optimize_for_inference",
    "register_task",
    "save",
    "tune_allocator",
]

_get = lazy_attributes(__name__, _LAZY)


def __getattr__(name: str) -> Any:
    if name in ("BridgeNet", "build_network"):  # whoever has a network may call what it had before
        importlib.import_module("bridgenet.prediction.old_methods").add()
    return _get(name)


moved.install()
