"""Small networks that tests share: one per kind of backbone."""

from __future__ import annotations

from typing import Any

import torch

import bridgenet
from bridgenet.model.records import record, record_of

SIZE = (64, 96)
"""(H, W) of the networks' training images."""

NUM_OUTPUTS = {"semseg": 5, "depth": 1, "human_parts": 7, "sal": 2, "normals": 3, "edge": 1}

BACKBONES: dict[str, tuple[str, dict[str, Any]]] = {
    "vit": ("vit_base_patch16_384", {"embed_dim": 32, "depth": 4, "num_heads": 2}),
    "dinov2": ("vit_base_patch14_dinov2", {"embed_dim": 32, "depth": 4, "num_heads": 2}),
    "dinov2 registers": ("vit_base_patch14_reg4_dinov2", {"embed_dim": 32, "depth": 4, "num_heads": 2}),
    "dinov3": ("vit_small_patch16_dinov3", {"embed_dim": 64, "depth": 4, "num_heads": 2}),
    "eva02": ("eva02_base_patch14_448", {"embed_dim": 64, "depth": 4, "num_heads": 2}),
    "internimage": (
        "internimage_b",
        {"channels": 16, "depths": [1, 1, 1, 1], "groups": [1, 2, 4, 8], "offset_scale": 1.0},
    ),
    "resnet": ("test_resnet", {}),
    "convnext": ("convnext_atto", {"dims": [8, 16, 32, 64], "depths": [1, 1, 1, 1]}),
    "dinov3 convnext": ("convnext_base.dinov3_lvd1689m", {"dims": [8, 16, 32, 64], "depths": [1, 1, 1, 1]}),
    "swin": ("swin_tiny_patch4_window7_224", {"embed_dim": 16, "depths": [2, 2, 2, 2], "num_heads": [1, 2, 4, 8]}),
    "swin v2": (
        "swinv2_tiny_window8_256",
        {"embed_dim": 16, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8]},
    ),
    "hiera of sam2": ("sam2_hiera_tiny", {"embed_dim": 16, "stages": [1, 1, 2, 1], "global_att_blocks": [3]}),
}
"""A timm name or InternImage's, and what makes it small, by the kind of backbone."""

VARIANTS: dict[str, dict[str, Any]] = {
    **{name: {"decoder": {"name": name, "width": 16}} for name in ("multi_task", "single_task", "dpt")},
    **{f"no {part}": {part: False} for part in ("tpp", "bfe", "tfr")},
    "nothing": {"tpp": False, "bfe": False, "tfr": False},
    "1 stage": {"num_stages": 1},
    "2 stages": {"num_stages": 2},
}
"""Other decoders than BridgeNet's, and BridgeNet's without parts of it."""

NETWORKS = [
    *BACKBONES,
    *(f"{name} on {backbone}" for name in ("multi_task", "single_task", "dpt") for backbone in ("vit", "internimage")),
    *(f"{name} on resnet" for name in VARIANTS),
]
"""What :func:`build` knows by name: BridgeNet on a backbone, or a variant on one."""


def config(backbone: Any = "resnet", num_tasks: int = 4, **changes: Any) -> bridgenet.NetworkConfig:
    """A small network's description; `changes` of its own, or of the options of the decoder `bridgenet`."""
    variant = ""
    if isinstance(backbone, str):
        variant, _, backbone = backbone.rpartition(" on ")
        name, kwargs = BACKBONES.get(backbone, (backbone, {}))
        backbone = {"name": name, **kwargs}
    settings: dict[str, Any] = {
        "num_outputs": dict(list(NUM_OUTPUTS.items())[:num_tasks]),
        "backbone": backbone,
        "image_size": SIZE,
    }
    given = VARIANTS.get(variant, {}) | changes
    of_network = {key: given[key] for key in given if key in bridgenet.NetworkConfig.__dataclass_fields__}
    options = {key: value for key, value in given.items() if key not in of_network}
    return bridgenet.NetworkConfig(**({"decoder": decoder(**options)} | settings | of_network))


def decoder(**options: Any) -> dict[str, Any]:
    """BridgeNet's small, without drop path."""
    return {"name": "bridgenet", "embed_dim": 16, "extra_channels": 8, "refine_depth": 2, "drop_path": 0.0} | options


def build(backbone: Any = "resnet", num_tasks: int = 4, **changes: Any) -> bridgenet.BridgeNet:
    """A small network with the same weights in every call."""
    torch.manual_seed(0)
    return bridgenet.build_network(config(backbone, num_tasks, **changes))


def images(batch: int = 2, size: tuple[int, int] = SIZE) -> torch.Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1))


def targets(network: bridgenet.BridgeNet, batch: int = 2, size: tuple[int, int] = SIZE) -> dict[str, torch.Tensor]:
    """Targets without ignored pixels for the network's tasks."""
    generator = torch.Generator().manual_seed(2)
    made = {}
    for name, channels in network.tasks.items():
        task = bridgenet.tasks.get(name)
        shape = (batch, task.target_channels, *size)
        if task.kind == "classes":
            made[name] = torch.randint(channels, shape, generator=generator).float()
        elif task.kind == "probability":
            made[name] = torch.randint(2, shape, generator=generator).float()
        else:
            made[name] = torch.rand(shape, generator=generator) + 0.1
    return made


def config_of(network: bridgenet.BridgeNet) -> bridgenet.NetworkConfig:
    """How a network was built."""
    known = record_of(network)
    assert known is not None
    return known.config


def with_information(network: bridgenet.BridgeNet, information: Any) -> bridgenet.BridgeNet:
    """The network, with this known of its weights."""
    record(network, config_of(network), information)
    return network
