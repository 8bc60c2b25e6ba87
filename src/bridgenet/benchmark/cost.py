"""Parameters, multiply-adds and bytes of a network, counted without memory for its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from bridgenet.benchmark.cases import Case, Size
from bridgenet.benchmark.reference import REFERENCE
from bridgenet.config.resolved import network_config, network_size
from bridgenet.config.settings import RunConfig
from bridgenet.model.build import build_network
from bridgenet.model.description import NetworkConfig


@dataclass(frozen=True)
class Cost:
    """The cost of one image.

    Attributes:
        parameters: number of them; `backbone_parameters` those of the backbone.
        gmac: multiply-adds of convolutions and matrix products [billion], as torch's FlopCounterMode counts them: norms,
            activations, resizing and DCNv3's sampling are not in it, nor is what no computation reads.
        weight_bytes: in float32.
        activation_bytes: what these operations read and write beside the weights, in float32.
    """

    parameters: int
    backbone_parameters: int
    gmac: float
    weight_bytes: int
    activation_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """The cost as plain JSON types."""
        return asdict(self)


class _Bytes(TorchDispatchMode):
    """Sums the bytes of operands and results of the operations that FlopCounterMode counts."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if getattr(func, "_overloadpacket", None) in flop_registry:
            leaves = tree_leaves((args, kwargs or {}, out))
            self.total += sum(leaf.numel() * leaf.element_size() for leaf in leaves if isinstance(leaf, Tensor))
        return out


def description(config: RunConfig, num_tasks: int | None = None) -> NetworkConfig:
    """The network of a run's settings; with `num_tasks`, its first tasks, and copies of them if there are fewer."""
    network = network_config(config)
    if num_tasks is not None:
        own = list(network.num_outputs.items())
        turns = [(own[i % len(own)], i // len(own)) for i in range(num_tasks)]
        network.num_outputs = {name if turn == 0 else f"{name}_{turn + 1}": n for (name, n), turn in turns}
    return network


def count(config: RunConfig, size: Size | None = None, num_tasks: int | None = None) -> Cost:
    """Count the cost of one image of `size` (height, width) [pixels], by default the training size."""
    with torch.device("meta"):
        network = build_network(description(config, num_tasks)).eval()
        image = torch.empty(1, 3, *(size or network_size(config)))
    with torch.no_grad(), _Bytes() as moved, FlopCounterMode(display=False) as counter:
        network(image)
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    return Cost(
        parameters=sum(p.numel() for p in network.parameters()),
        backbone_parameters=sum(p.numel() for p in network.backbone.parameters()),
        gmac=counter.get_total_flops() / 2e9,
        weight_bytes=weights,
        activation_bytes=max(moved.total - weights, 0),
    )


def gmac_of(case: Case, counted: Cost) -> tuple[float, str]:
    """GMAC of one image and its source: the reference for its networks and sizes, else this project's count."""
    known = REFERENCE.get(case.network)
    if known and case.num_tasks is None and case.size == network_size(case.config):
        return known.gmac, "reference"
    return counted.gmac, "counted"
