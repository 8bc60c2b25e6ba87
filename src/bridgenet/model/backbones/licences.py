"""Licences of backbones' pretrained weights, according to timm's records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from timm.models import get_pretrained_cfg

RECORDED = ("backbone_weights", "backbone_licence")
"""Keys of a network's information about the initial weights of its backbone."""
ANCESTRY = (*RECORDED, "origin", "licence", "initial_weights")
"""Keys of a network's information about the weights that it was trained from."""


def licences(name: str) -> list[str]:
    """Licences of the weights of a timm name; without a tag, of all weights of the architecture. Empty if not known."""
    if not timm.is_model(name):
        return []
    _, _, tag = name.partition(".")
    names = [name] if tag else timm.list_pretrained(f"{name}.*") or [name]
    found = (get_pretrained_cfg(each) for each in names)
    return sorted({cfg.license for cfg in found if cfg is not None and cfg.license})


def weights_information(name: str, file: str | Path | None = None) -> dict[str, str]:
    """The information (:data:`RECORDED`) about a network whose backbone starts from pretrained weights.

    Args:
        name: name of the backbone.
        file: the file of the weights; None if they come from timm's hub.
    """
    if file is None:
        cfg = get_pretrained_cfg(name) if timm.is_model(name) else None
        if cfg is None:
            return {}
        weights, known = cfg.hf_hub_id or name, [cfg.license] if cfg.license else []
    else:
        weights, known = f"{Path(file).name} ({name})", licences(name)
    return {"backbone_weights": weights} | ({"backbone_licence": " or ".join(known)} if known else {})


def licence_note(information: Mapping[str, Any], *, from_file: bool) -> str | None:
    """A line about the licence of a backbone's weights, printed before training; None if it is not known."""
    if "backbone_licence" not in information:
        return None
    weights, licence = (information[key] for key in RECORDED)
    if from_file:
        return (
            f"the licence of {weights} is {licence} if it holds the published weights; it is recorded with the network"
        )
    return f"the backbone's weights {weights} have the licence {licence}; it is recorded with the network"
