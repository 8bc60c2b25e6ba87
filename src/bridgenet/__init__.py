"""BridgeNet: one network that answers every pixel-wise question about an image at once.

    import bridgenet
    model = bridgenet.load("runs/demo")
    result = model.predict("photo.jpg")

Importing this package is light; PyTorch is loaded when a network is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridgenet import moved
from bridgenet.errors import UserError
from bridgenet.system.lazy import lazy_attributes
from bridgenet.version import __version__

if TYPE_CHECKING:
    from bridgenet.checkpoints import load, save
    from bridgenet.data.base import DataSetInfo, DenseDataset, Target
    from bridgenet.model.backbones.base import Backbone
    from bridgenet.model.bridgenet import BridgeNet, BridgeNetOutput
    from bridgenet.model.config import NetworkConfig, build_network
    from bridgenet.model.inference import optimize_for_inference
    from bridgenet.system.allocator import tune as tune_allocator
    from bridgenet.tasks import Task
    from bridgenet.tasks import register as register_task

_LAZY = {
    "load": "bridgenet.checkpoints:load",
    "save": "bridgenet.checkpoints:save",
    "Backbone": "bridgenet.model.backbones.base:Backbone",
    "BridgeNet": "bridgenet.model.bridgenet:BridgeNet",
    "BridgeNetOutput": "bridgenet.model.bridgenet:BridgeNetOutput",
    "DataSetInfo": "bridgenet.data.base:DataSetInfo",
    "DenseDataset": "bridgenet.data.base:DenseDataset",
    "NetworkConfig": "bridgenet.model.config:NetworkConfig",
    "Target": "bridgenet.data.base:Target",
    "Task": "bridgenet.tasks.task:Task",
    "build_network": "bridgenet.model.config:build_network",
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
    "NetworkConfig",
    "Target",
    "Task",
    "UserError",
    "__version__",
    "build_network",
    "load",
    "optimize_for_inference",
    "register_task",
    "save",
    "tune_allocator",
]

__getattr__ = lazy_attributes(__name__, _LAZY)
moved.install()
