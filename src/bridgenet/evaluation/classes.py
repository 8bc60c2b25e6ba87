"""Classes of a network and of data: they are matched by their names, not by their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from bridgenet.data.base import DenseDataset
from bridgenet.data.info import DataSetInfo
from bridgenet.errors import UserError
from bridgenet.model.bridgenet import BridgeNetOutput
from bridgenet.model.description import NetworkConfig
from bridgenet.tasks import Task
from bridgenet.tasks.kinds.classes import pairs_of_indices


class ReorderedClasses(nn.Module):
    """A network whose class logits are in the order of a data set's classes. It can only be evaluated.

    Args:
        network: the network.
        orders: channel of the network's logits for each class of the data set, by task.
    """

    def __init__(self, network: Any, orders: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        self.network, self.orders = network, {task: list(order) for task, order in orders.items()}
        self.training = network.training
        self.mean, self.deviation, self.tasks = network.mean, network.deviation, network.tasks

    def forward(self, images: Tensor) -> BridgeNetOutput:
        """(B, 3, H, W) normalised images → logits; there are no intermediate logits."""
        logits = self.network(images).logits
        return BridgeNetOutput(
            {task: x[:, self.orders[task]] if task in self.orders else x for task, x in logits.items()}, {}
        )


def in_order_of(info: DataSetInfo, network: Any, config: NetworkConfig, tasks: Sequence[str], source: str) -> Any:
    """The network, or one with the classes in the order of the data set if that differs from its own.

    Args:
        info: the data set.
        config: how the network was built.
        tasks: the tasks to compare.
        source: name of the network in errors.

    Raises:
        UserError: lists the classes that only one of them has.
    """
    orders = {}
    for task in tasks:
        check_classes(info, config, task, source)
        own, others = config.class_names.get(task, []), list(info.class_names.get(task, ()))
        if own and others and own != others:
            orders[task] = [own.index(name) for name in others]
    return ReorderedClasses(network, orders) if orders else network


def check_classes(info: DataSetInfo, config: NetworkConfig, task: str, source: str) -> None:
    """UserError with the classes of a task that only the network `source` or only the data have. Their order may differ."""
    own, others = config.class_names.get(task), info.class_names.get(task)
    if own and others and set(own) != set(others):
        found = {"it alone has": set(own) - set(others), f"{info.title} alone has": set(others) - set(own)}
        listed = "; ".join(f"{side} {', '.join(sorted(names))}" for side, names in found.items() if names)
        raise UserError(
            f"{source} has other classes of {task} than {info.title}: {listed}. Give the data that it was trained on "
            "(--data.name), or name the classes as there"
        )


def definitions(dataset: DenseDataset, config: NetworkConfig) -> dict[str, Task]:
    """The tasks of a data set, with the classes to swap in mirrors that it or else the network names."""
    found = {name: dataset.task(name) for name in dataset.tasks}
    for name, pairs in config.swap.items():
        if name in found and name not in dataset.info.swap and (names := dataset.info.class_names.get(name)):
            found[name] = replace(found[name], swap_on_flip=pairs_of_indices(names, pairs))
    return found
