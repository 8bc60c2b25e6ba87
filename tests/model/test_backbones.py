from __future__ import annotations

from typing import Any

import pytest
import torch

from bridgenet import UserError
from bridgenet.model.backbones import build_backbone
from bridgenet.model.backbones.timm_backbones import PlainTransformer, Pyramid, default_blocks_read
from tests.model.networks import BACKBONES, SIZE

SMALL_VIT: dict[str, Any] = BACKBONES["vit"][1]


def make(backbone: str, size: tuple[int, int] = SIZE, **settings: Any):
    name, kwargs = BACKBONES[backbone]
    torch.manual_seed(0)
    return build_backbone(name, image_size=size, **(kwargs | settings)).eval()


@pytest.mark.parametrize("backbone", BACKBONES)
@torch.no_grad()
def test_shapes_are_as_announced(backbone: str) -> None:
    network = make(backbone)
    height, width = 2 * network.size_divisor, 3 * network.size_divisor
    maps = network(torch.zeros(1, 3, height, width))
    assert tuple(x.shape[1] for x in maps) == network.channels
    if isinstance(network, PlainTransformer):
        strides = [network.patch_size] * 4
        assert network.base_divisor == 2
    else:
        strides = [4, 8, 16, 32]
        assert network.base_divisor == 1
    assert [tuple(x.shape[2:]) for x in maps] == [(height // stride, width // stride) for stride in strides]


def test_blocks_that_are_read() -> None:
    assert default_blocks_read(12) == (3, 6, 9)
    assert default_blocks_read(24) == (6, 12, 18)
    assert default_blocks_read(4) == (1, 2, 3)


@torch.no_grad()
def test_transformer_maps_are_its_blocks_outputs() -> None:
    """Of a ViT: blocks 1, 2, 4 as they come, and the last after the final norm; class token left out."""
    network = make("vit", blocks_read=[1, 2, 4])
    outputs: list[torch.Tensor] = []
    for block in network.model.blocks:
        block.register_forward_hook(lambda _m, _i, output: outputs.append(output))
    maps = network(torch.rand(1, 3, *SIZE))
    expected = [outputs[0], outputs[1], outputs[3], network.model.norm(outputs[3])]
    for got, tokens in zip(maps, expected, strict=True):
        assert torch.equal(got.flatten(2).transpose(1, 2), tokens[:, 1:])


@pytest.mark.parametrize("size", [(64, 96), (50, 70)], ids=str)
@torch.no_grad()
def test_position_embeddings_are_kept_at_the_training_size(size: tuple[int, int], monkeypatch) -> None:
    """At the (padded) training size nothing is resampled; at another size it is."""
    resampled = []
    real = torch.nn.functional.interpolate
    monkeypatch.setattr(
        torch.nn.functional, "interpolate", lambda *args, **kwargs: resampled.append(1) or real(*args, **kwargs)
    )
    network = make("vit", size)
    resampled.clear()
    height, width = (side + -side % 16 for side in size)
    assert network.model.pos_embed.shape[1] == 1 + height // 16 * (width // 16)
    network(torch.zeros(1, 3, height, width))
    assert not resampled
    network(torch.zeros(1, 3, 96, 96))
    assert resampled


@torch.no_grad()
def test_swin_keeps_its_windows_at_other_sizes() -> None:
    """Built for another size, the same weights give the same maps where windows are whole in both."""
    network, other = make("swin", (448, 448)), make("swin", (448, 672))
    other.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 448, 448)
    for got, expected in zip(other(image), network(image), strict=True):
        torch.testing.assert_close(got, expected)


def test_drop_path_reaches_timm() -> None:
    rates = [block.drop_path1.drop_prob for block in make("vit", drop_path=0.3).model.blocks[1:]]
    assert rates == pytest.approx([0.1, 0.2, 0.3])
    assert isinstance(make("convnext", drop_path=0.1), Pyramid)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("resnet5O", {}, r"'resnet5O' is neither InternImage nor a timm model \(did you mean resnet50\?\)"),
        ("internimage_x", {}, r"'internimage_x' is not a backbone.*internimage_b, internimage_l"),
        ("crossvit_9_240", {}, r"'crossvit_9_240' has maps at strides \[.*\]; .*\[4, 8, 16, 32\]"),
        ("efficientformerv2_s0", {}, "'efficientformerv2_s0' cannot take images of any size"),
        ("mixer_s32_224", {}, "'mixer_s32_224' cannot take images of any size"),
        ("test_vit", {"embed_dims": 32}, r"'test_vit' does not take these settings \(embed_dims\)"),
        ("test_resnet", {"drop_path": 0.1, "widht": 3}, r"does not take these settings \(widht, drop_path_rate"),
        ("vit_base_patch16_384", {**SMALL_VIT, "num_heads": 5}, "cannot be made with"),
        ("vit_base_patch16_384", {**SMALL_VIT, "blocks_read": [1, 2, 5]}, r"blocks_read is \[1, 2, 5\].*1\.\.4"),
        ("vit_base_patch16_384", {**SMALL_VIT, "blocks_read": [2, 1]}, "blocks_read is"),
        ("test_resnet", {"blocks_read": [1, 2, 3]}, "blocks_read is for plain transformers"),
        ("internimage_b", {"width": 3}, r"no setting width \(settings: channels, depths, groups, offset_scale, .*\)"),
        ("internimage_b", {"channels": 16}, "groups that divide their channels"),
        ("internimage_b", {"depths": [1, 1]}, "four levels are expected"),
    ],
)
def test_what_is_no_backbone(name: str, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        build_backbone(name, image_size=SIZE, **settings)


def test_pretrained_weights_that_cannot_be_had(monkeypatch) -> None:
    def fail(*_args, **_kwargs):
        raise OSError("no connection")

    monkeypatch.setattr("timm.models._builder.load_pretrained", fail)
    with pytest.raises(UserError, match=r"'test_resnet' \(no connection\).*network\.backbone_checkpoint"):
        build_backbone("test_resnet", image_size=SIZE, pretrained=True)


def test_synchronised_batch_norms_keep_their_activations() -> None:
    """timm's batch norms may hold an activation, which torch's own conversion drops; training on GPUs uses timm's."""
    from timm.layers import convert_sync_batchnorm

    torch.manual_seed(0)
    backbone = build_backbone("test_efficientnet", image_size=(64, 64)).eval()
    image = torch.randn(1, 3, 64, 64)
    before = backbone(image)[-1]
    converted = convert_sync_batchnorm(backbone).eval()
    torch.testing.assert_close(converted(image)[-1], before)


def test_internimage_has_no_weights_on_the_hub() -> None:
    with pytest.raises(UserError, match=r"network\.backbone_checkpoint"):
        build_backbone("internimage_b", image_size=(64, 64), pretrained=True)


@pytest.mark.parametrize("size, millions", [("t", 30), ("s", 50), ("b", 97), ("l", 223)])
def test_internimage_sizes(size: str, millions: float) -> None:
    """As many parameters as the InternImage paper gives, whose counts include a classification head of 1 to 4 million."""
    with torch.device("meta"):
        backbone = build_backbone(f"internimage_{size}", image_size=SIZE)
    count = sum(parameter.numel() for parameter in backbone.parameters()) / 1e6
    assert millions - 4.5 < count < millions
    assert [x.shape[2] for x in backbone(torch.zeros(1, 3, 64, 64, device="meta"))] == [16, 8, 4, 2]


@torch.no_grad()
def test_internimage_pre_norm() -> None:
    """x + DCNv3(LN(x)), then x + MLP(LN(x)); a norm closes the level. No factors without layer scale."""
    network = make("internimage", post_norm=False, layer_scale=False)
    assert not [name for name, _ in network.named_parameters() if "gamma" in name]
    level = network.levels[0]
    for norm in (level.norm, level.blocks[0].norm1, level.blocks[0].norm2):
        torch.nn.init.normal_(norm.weight)
    block, image = level.blocks[0], torch.rand(1, 3, *SIZE)
    x = network.stem(image)
    x = x + block.dcn(block.norm1(x))
    x = x + block.mlp(block.norm2(x))
    assert torch.equal(network(image)[0], level.norm(x).permute(0, 3, 1, 2))


@pytest.mark.parametrize("backbone", ["vit", "internimage"])
def test_checkpointing_changes_no_number(backbone: str) -> None:
    """Gradients and drop path's draws as without; less is kept for the backward pass."""
    kept = {}

    def gradients(enable: bool) -> list[torch.Tensor]:
        network = make(backbone, drop_path=0.5).train()
        network.set_checkpointing(enable)
        total = 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        torch.manual_seed(3)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = sum(x.square().mean() for x in network(torch.rand(2, 3, *SIZE)))
        kept[enable] = total
        loss.backward()
        return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]

    for got, expected in zip(gradients(True), gradients(False), strict=True):
        assert torch.equal(got, expected)
    assert kept[True] < kept[False] / 2


def test_checkpointing_is_not_for_pyramids() -> None:
    make("resnet").set_checkpointing(False)
    with pytest.raises(UserError, match="checkpoint_backbone"):
        make("resnet").set_checkpointing()
