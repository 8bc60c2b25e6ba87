"""Backbones' files in the original publishers' names, made from timm's own models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from bridgenet import UserError
from bridgenet.checkpoints.backbone import load_backbone
from bridgenet.model.backbones import build_backbone
from tests.model.networks import BACKBONES, images

State = dict[str, Tensor]


def model_of(kind: str, **options: object) -> nn.Module:
    name, kwargs = BACKBONES[kind]
    torch.manual_seed(0)
    model = timm.create_model(name, **kwargs, **options).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


def dinov3_official(state: State) -> State:
    names = {"reg_token": "storage_tokens"}
    renamed = {re.sub(r"gamma_(\d)", r"ls\1.gamma", names.get(key, key)): x for key, x in state.items()}
    for i in range(4):
        renamed[f"blocks.{i}.attn.qkv.bias"] = torch.zeros(192)
        renamed[f"blocks.{i}.attn.qkv.bias_mask"] = torch.ones(192)
    return renamed | {"mask_token": torch.ones(1, 64), "rope_embed.periods": torch.ones(8)}


def dinov2_official(state: State) -> State:
    state = dict(state)
    positions = torch.cat([torch.zeros(1, 1, 32), state.pop("pos_embed")], dim=1)
    return state | {"register_tokens": state.pop("reg_token"), "pos_embed": positions, "mask_token": torch.ones(1, 32)}


def swin_official(state: State) -> State:
    """Microsoft's: a stage ends with its downsampling, and fixed tables are in the file."""
    renamed = {
        re.sub(r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", key).replace(
            "head.fc", "head"
        ): x
        for key, x in state.items()
    }
    return renamed | {"layers.0.blocks.0.attn.relative_position_index": torch.zeros(49, 49)}


OFFICIAL = {"dinov3": dinov3_official, "dinov2 registers": dinov2_official, "swin": swin_official}
SIZES = {"dinov3": (64, 96), "dinov2 registers": (56, 56), "swin": (224, 224)}


def write(path: Path, kind: str, **options: object) -> nn.Module:
    model = model_of(kind, **options)
    torch.save(OFFICIAL[kind](model.state_dict()), path)
    return model


def backbone(kind: str, size: tuple[int, int] | None = None) -> nn.Module:
    name, kwargs = BACKBONES[kind]
    return build_backbone(name, image_size=size or SIZES[kind], **kwargs).eval()


@pytest.mark.parametrize("kind", OFFICIAL)
@torch.no_grad()
def test_publishers_names(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {} if kind == "dinov3" else {"img_size": SIZES[kind]}
    model = write(tmp_path / "official.pth", kind, **options)
    network = backbone(kind)
    load_backbone(network, tmp_path / "official.pth")
    assert capsys.readouterr().out == ""
    image = images(
        1, SIZES["dinov2 registers"] if kind == "dinov2 registers" else (224, 224) if kind == "swin" else (256, 256)
    )
    expected = model.forward_intermediates(image, indices=1, norm=kind != "swin", intermediates_only=True)[-1]
    torch.testing.assert_close(network(image)[-1], expected, atol=1e-4, rtol=1e-4)


def test_positions_of_dinov2_at_another_grid(tmp_path: Path) -> None:
    model = write(tmp_path / "official.pth", "dinov2 registers", img_size=(56, 56))
    with torch.no_grad():  # rows are counted: they still are, in the middle of a finer grid
        model.pos_embed.zero_()
        model.pos_embed[0, :, 0] = torch.arange(4).repeat_interleave(4).float()
    torch.save(dinov2_official(model.state_dict()), tmp_path / "official.pth")
    network = backbone("dinov2 registers", (112, 56))
    load_backbone(network, tmp_path / "official.pth")
    rows = network.model.pos_embed[0, :, 0].reshape(8, 4).mean(dim=1)  # type: ignore[union-attr]
    torch.testing.assert_close(rows[3:5], torch.tensor([1.25, 1.75]), atol=0.06, rtol=0)


@pytest.mark.parametrize("kind", OFFICIAL)
@pytest.mark.parametrize("change", ["renamed", "missing", "extra"])
def test_what_does_not_fit_is_listed(kind: str, change: str, tmp_path: Path) -> None:
    options = {} if kind == "dinov3" else {"img_size": SIZES[kind]}
    write(tmp_path / "official.pth", kind, **options)
    state = torch.load(tmp_path / "official.pth")
    key = next(key for key in state if key.endswith("mlp.fc1.weight"))
    if change != "extra":
        value = state.pop(key)
    if change == "renamed":
        state[key.replace("fc1", "fc_1")] = value
    if change == "extra":
        state[key.replace("fc1", "fc9")] = state[key].clone()
    torch.save(state, tmp_path / "official.pth")
    with pytest.raises(UserError, match=r"official\.pth: \d weights do not fit this backbone:") as caught:
        load_backbone(backbone(kind), tmp_path / "official.pth")
    name = key.replace(".", "_") if kind == "swin" else key
    assert (f"{name} is missing" in str(caught.value)) == (change != "extra")
    assert ("is not part of this backbone" in str(caught.value)) == (change != "missing")


def test_biases_that_the_model_has_no_place_for(tmp_path: Path) -> None:
    write(tmp_path / "official.pth", "dinov3")
    state = torch.load(tmp_path / "official.pth")
    state["blocks.1.attn.qkv.bias"] += 1
    torch.save(state, tmp_path / "official.pth")
    with pytest.raises(UserError, match=r"no place for blocks\.1\.attn\.qkv\.bias; .* end in _qkvb"):
        load_backbone(backbone("dinov3"), tmp_path / "official.pth")
