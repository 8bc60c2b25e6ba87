"""Parameters and GMAC of the eight published networks, beside the reference's (batch 1, published image size).

    python benchmarks/cost.py

Built without memory for weights (torch's meta device). GMAC: multiply-adds of convolutions and matrix products as
torch's FlopCounterMode counts them; norms, activations, resizing and DCNv3's sampling are not in it, nor are
deconvolutions that no computation reads. The reference's numbers count its unused weights, reductions and norms too.
"""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from bridgenet import config as configuration
from bridgenet import data
from bridgenet.model.config import build_network
from bridgenet.training.run import network_config

REFERENCE = {
    "nyud-vit-base": (221.9, 369),
    "nyud-vit-large": (463.3, 628),
    "pascal-vit-large": (479.4, 692),
    "nyud-internimage-base": (236.6, 347),
    "nyud-internimage-large": (399.3, 464),
    "pascal-internimage-large": (421.8, 526),
}
"""Preset → parameters [million] and GMAC of the reference, where they are known."""


def cost(preset: str) -> tuple[float, float, float]:
    """Parameters [million], those of the backbone [million], and GMAC at the published image size."""
    config = configuration.load(preset)
    with torch.device("meta"):
        network = build_network(network_config(config)).eval()
        image = torch.empty(1, 3, *data.info(config.data.name).size)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(image)
    backbone = sum(p.numel() for p in network.backbone.parameters()) / 1e6
    return sum(p.numel() for p in network.parameters()) / 1e6, backbone, counter.get_total_flops() / 2e9


if __name__ == "__main__":
    print("| preset | parameters M (backbone) | GMAC | reference: M | GMAC |\n|---|---|---|---|---|")
    for name in configuration.presets():
        if name == "demo":
            continue
        parameters, backbone, gmac = cost(name)
        known = REFERENCE.get(name, ("–", "–"))
        print(f"| `{name}` | {parameters:.1f} ({backbone:.1f}) | {gmac:.0f} | {known[0]} | {known[1]} |")
