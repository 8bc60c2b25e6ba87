"""Methods that networks had before models had them; they still work in this version, with a warning."""

from __future__ import annotations

import warnings
from typing import Any

from bridgenet.model.bridgenet import BridgeNet
from bridgenet.prediction.model import Model

METHODS = ("predict", "save_pretrained", "push_to_hub", "generate_model_card")


def add() -> None:
    """Add the methods to `BridgeNet`."""
    for name in METHODS:
        setattr(BridgeNet, name, _forwarded(name))
    BridgeNet.from_pretrained = classmethod(_from_pretrained)  # type: ignore[attr-defined]


def _forwarded(name: str) -> Any:
    def method(network: BridgeNet, *args: Any, **kwargs: Any) -> Any:
        warnings.warn(f"network.{name} is bridgenet.Model(network).{name} now", stacklevel=2)
        return getattr(Model(network), name)(*args, **kwargs)

    return method


def _from_pretrained(cls: type, *args: Any, **kwargs: Any) -> Model:
    warnings.warn("BridgeNet.from_pretrained is bridgenet.Model.from_pretrained now", stacklevel=2)
    return Model.from_pretrained(*args, **kwargs)
