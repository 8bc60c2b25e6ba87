"""What is known of a network beside its weights: how it was built, and what its weights come from.

Kept beside networks, not in them: whoever builds or loads one says it, whoever saves one asks. Copies of a network, as
`copy.deepcopy` makes them, have no record of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from torch import nn

if TYPE_CHECKING:
    from bridgenet.model.description import NetworkConfig


@dataclass(frozen=True)
class Record:
    """What is known of a network.

    Attributes:
        config: how it was built.
        information: of its weights, JSON types: step, scores, origin, licence.
    """

    config: NetworkConfig
    information: Mapping[str, Any] = field(default_factory=dict)


_RECORDS: WeakKeyDictionary[nn.Module, Record] = WeakKeyDictionary()


def record(network: nn.Module, config: NetworkConfig, information: Mapping[str, Any] | None = None) -> None:
    """Say how a network was built, and what is known of its weights."""
    _RECORDS[network] = Record(config, dict(information or {}))


def record_of(network: nn.Module) -> Record | None:
    """What was said of a network; None if nothing was."""
    return _RECORDS.get(network)


def information_of(network: nn.Module) -> Mapping[str, Any]:
    """What is known of a network's weights; empty if nothing is."""
    return _RECORDS[network].information if network in _RECORDS else {}
