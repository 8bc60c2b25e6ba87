"""What is known about a network besides its weights: how it was built, and where its weights come from.

Records are kept outside of the networks: whatever builds or loads a network writes its record, whatever saves one reads it.
`copy.deepcopy` of a network does not copy its record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from torch import nn

from bridgenet.errors import UserError

if TYPE_CHECKING:
    from bridgenet.model.description import NetworkConfig


@dataclass(frozen=True)
class Record:
    """What is known about a network.

    Attributes:
        config: how the network was built.
        information: about its weights, as JSON types: step, scores, origin, licence.
    """

    config: NetworkConfig
    information: Mapping[str, Any] = field(default_factory=dict)


_RECORDS: WeakKeyDictionary[nn.Module, Record] = WeakKeyDictionary()


def record(network: nn.Module, config: NetworkConfig, information: Mapping[str, Any] | None = None) -> None:
    """Record how a network was built, and what is known about its weights."""
    _RECORDS[network] = Record(config, dict(information or {}))


def record_of(network: nn.Module) -> Record | None:
    """The record of a network; None if there is none."""
    return _RECORDS.get(network)


def required_record(network: nn.Module, config: NetworkConfig | None = None) -> Record:
    """The record of a network, with `config` instead of the recorded one if it is given.

    Raises:
        UserError: it is not known how the network was built.
    """
    known = _RECORDS.get(network)
    if config is not None:
        return Record(config, known.information if known is not None else {})
    if known is None:
        raise UserError(
            "it is not known how this network was built; give its NetworkConfig as config, or build it with "
            "bridgenet.build_network"
        )
    return known


def copy_record(source: nn.Module, copy: nn.Module) -> None:
    """Give a copy of a network the record of its source, if there is one."""
    if source in _RECORDS:
        _RECORDS[copy] = _RECORDS[source]
