"""Every preset: its recipe card, its network, the licence of its backbone's weights."""

from __future__ import annotations

from importlib import resources

import pytest
import torch
from timm.models import get_pretrained_cfg

from bridgenet import config
from bridgenet.config.resolved import network_config
from bridgenet.model.build import build_network

PRESETS = [name for name in config.presets() if not name.startswith("demo")]
BY_TIMM = [name for name in PRESETS if not config.load(name).network.backbone.name.startswith("internimage")]


def card(name: str) -> str:
    lines = (resources.files("bridgenet.config") / "presets" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith("#"))


@pytest.mark.parametrize("name", PRESETS)
def test_card(name: str) -> None:
    for entry in ("data", "batch", "backbone", "cost", "published"):
        assert f"\n# {entry:<10} " in card(name)
    assert f"train {name} " in card(name)


@pytest.mark.parametrize("name", PRESETS)
def test_network_can_be_built(name: str) -> None:
    settings = network_config(config.load(name))
    if settings.decoder.name == "bridgenet":
        settings.decoder["refine_depth"] = 1
    with torch.device("meta"):
        network = build_network(settings)
    assert network.tasks == settings.num_outputs


@pytest.mark.parametrize("name", [name for name in BY_TIMM if "-vit-" not in name])
def test_card_names_the_backbones_weights_and_their_licence(name: str) -> None:
    backbone = config.load(name).network.backbone.name
    published = get_pretrained_cfg(backbone)
    assert published is not None
    assert published.has_weights
    assert f"timm's {backbone} " in card(name)
    assert f"as timm records it: {published.license}" in card(name)
    assert "not tuned" in card(name)
