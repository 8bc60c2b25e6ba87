"""What timm's models give as backbones: maps in their places, tokens cut right, positions at any grid; layers; freezing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bridgenet import UserError
from bridgenet.losses import MultiTaskLoss
from bridgenet.model.backbones import build_backbone
from tests.model.networks import BACKBONES, SIZE, build, images, targets

TRANSFORMERS = ["vit", "dinov2", "dinov2 registers", "dinov3", "eva02"]
ATTENTIVE = [*TRANSFORMERS, "swin", "swin v2", "hiera of sam2", "convnext", "dinov3 convnext"]


def make(backbone: str, size: tuple[int, int] = SIZE, **settings: Any) -> Any:
    name, kwargs = BACKBONES[backbone]
    torch.manual_seed(0)
    return build_backbone(name, image_size=size, **(kwargs | settings)).eval()


@pytest.mark.parametrize("backbone", ATTENTIVE)
@torch.no_grad()
def test_what_changes_in_one_place_shows_there(backbone: str) -> None:
    network = make(backbone)
    side = network.size_divisor
    image = torch.randn(1, 3, 3 * side, 5 * side)
    other = image.clone()
    other[..., side : 2 * side, 3 * side : 4 * side] = torch.randn(1, 3, side, side)
    for before, after in zip(network(image), network(other), strict=True):
        change = F.adaptive_avg_pool2d((before - after).norm(dim=1), (3, 5))
        assert divmod(int(change.argmax()), 5) == (1, 3)


@pytest.mark.parametrize("backbone", TRANSFORMERS)
@torch.no_grad()
def test_maps_are_the_blocks_patch_tokens(backbone: str) -> None:
    """Blocks as they come, the last after the final norm, class and register tokens left out, at another than the built size."""
    network, outputs = make(backbone, blocks_read=[1, 2, 4]), []
    for block in network.model.blocks:
        block.register_forward_hook(lambda _m, _i, output: outputs.append(output))
    rows, columns = 5, 3
    maps = network(torch.rand(1, 3, rows * network.patch_size, columns * network.patch_size))
    expected = [outputs[0], outputs[1], outputs[3], network.model.norm(outputs[3])]
    for got, tokens in zip(maps, expected, strict=True):
        prefix = tokens.shape[1] - rows * columns
        assert prefix == {"dinov2 registers": 5, "dinov3": 5}.get(backbone, 1)
        assert torch.equal(got.flatten(2).transpose(1, 2), tokens[:, prefix:])


def dinov3_by_hand(model: Any, image: Tensor) -> list[Tensor]:
    """The blocks' patch tokens as DINOv3's paper has them: rotary positions of patch centres in [−1, 1], for patches only."""
    patches = F.conv2d(image, model.patch_embed.proj.weight, model.patch_embed.proj.bias, stride=16)
    rows, columns = patches.shape[-2:]
    x = torch.cat([model.cls_token, model.reg_token, patches.flatten(2).transpose(1, 2)], dim=1)
    heads = model.blocks[0].attn.num_heads
    width = x.shape[-1] // heads
    periods = 100 ** (torch.arange(width // 4) / (width // 4))
    y, x_place = ((torch.arange(n) + 0.5) / n * 2 - 1 for n in (rows, columns))
    place = torch.stack([y[:, None].expand(rows, columns), x_place.expand(rows, columns)], dim=-1).flatten(0, 1)
    angle = (2 * torch.pi * place[:, :, None] / periods).flatten(1).repeat(1, 2)  # (patches, head width)

    def turned(q: Tensor) -> Tensor:
        first, second = q[:, :, 5:].chunk(2, dim=-1)
        patch = q[:, :, 5:] * angle.cos() + torch.cat([-second, first], dim=-1) * angle.sin()
        return torch.cat([q[:, :, :5], patch], dim=2)

    outputs = []
    for block in model.blocks:
        q, k, v = block.attn.qkv(block.norm1(x)).unflatten(-1, (3, heads, width)).permute(2, 0, 3, 1, 4)
        scores = turned(q) @ turned(k).transpose(-2, -1) / width**0.5
        x = x + block.gamma_1 * block.attn.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        x = x + block.gamma_2 * block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(x))))
        outputs.append(x)
    tokens = [*outputs[:3], F.layer_norm(x, x.shape[-1:], model.norm.weight, model.norm.bias, model.norm.eps)]
    return [t[:, 5:].transpose(1, 2).unflatten(2, (rows, columns)) for t in tokens]


@torch.no_grad()
def test_dinov3_is_what_its_paper_says() -> None:
    network = make("dinov3")
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    image = torch.randn(1, 3, 48, 112)
    for got, expected in zip(network(image), dinov3_by_hand(network.model, image), strict=True):
        torch.testing.assert_close(got, expected, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("backbone", ["vit", "dinov2", "dinov2 registers", "eva02"])
@torch.no_grad()
def test_learned_positions_keep_their_places_at_another_grid(backbone: str) -> None:
    """An embedding that counts rows and columns still counts them where there are twice as many."""
    network = make(backbone)
    model, side = network.model, network.patch_size
    rows, columns = (-(-n // side) for n in SIZE)
    prefix = model.pos_embed.shape[1] - rows * columns
    model.pos_embed.zero_()
    model.pos_embed[0, prefix:, 0] = torch.arange(rows).repeat_interleave(columns).float()
    model.pos_embed[0, prefix:, 1] = torch.arange(columns).repeat(rows).float()
    for layer in (model.patch_embed.proj, *([model.norm_pre] if hasattr(model, "norm_pre") else [])):
        for parameter in layer.parameters():
            parameter.zero_()
    entered: list[Tensor] = []
    model.blocks[0].register_forward_pre_hook(lambda _m, inputs: entered.append(inputs[0]))
    network(torch.zeros(1, 3, 2 * rows * side, 2 * columns * side))
    tokens = entered[0][0, -4 * rows * columns :].reshape(2 * rows, 2 * columns, -1)
    # The middle of the grid: at the rim there is nothing to interpolate with.
    expected = (torch.arange(2 * rows) + 0.5) / 2 - 0.5, (torch.arange(2 * columns) + 0.5) / 2 - 0.5
    middle = slice(rows - 1, rows + 1), slice(columns - 1, columns + 1)
    torch.testing.assert_close(tokens[middle][..., 0], expected[0][middle[0], None].expand(2, 2), atol=0.06, rtol=0)
    torch.testing.assert_close(tokens[middle][..., 1], expected[1][None, middle[1]].expand(2, 2), atol=0.06, rtol=0)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_drop_path_is_there_or_refused(backbone: str) -> None:
    if backbone == "resnet":
        make(backbone, drop_path=0.2)  # its blocks have it, but the first
        return
    rates = [
        getattr(x, "drop_prob", 0.0) for x in make(backbone, drop_path=0.2).modules() if "DropPath" in repr(type(x))
    ]
    assert max(rates) == pytest.approx(0.2)


def test_a_model_without_drop_path_says_so() -> None:
    with pytest.raises(UserError, match=r"network\.drop_path; 0 leaves it out"):
        build_backbone("repvit_m1", image_size=SIZE, drop_path=0.1)


@pytest.mark.parametrize(
    "name", ["beit_base_patch16_384", "hiera_tiny_224", "xcit_nano_12_p16_224", "samvit_base_patch16"]
)
def test_models_of_one_image_size_are_refused(name: str) -> None:
    with torch.device("meta"), pytest.raises(UserError, match="cannot take images of any size"):
        build_backbone(name, image_size=SIZE)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_layers_rise_from_the_image_to_the_last_block(backbone: str) -> None:
    network = make(backbone)
    layers = network.layers()
    assert list(layers) == [name for name, _ in network.named_parameters()]
    assert set(layers.values()) == set(range(max(layers.values()) + 1))
    first = next(name for name in layers if any(part in name for part in ("patch_embed", "stem", "conv1")))
    assert layers[first] == 0
    if backbone in TRANSFORMERS:
        assert [layers[f"model.blocks.{i}.norm1.weight"] for i in range(4)] == [1, 2, 3, 4]
        assert max(layers.values()) == 4  # the final norm goes with the last block
    if backbone == "internimage":
        assert (layers["levels.0.blocks.0.gamma1"], layers["levels.0.downsample.conv.weight"]) == (1, 1)


def test_layers_that_are_not_known() -> None:
    with torch.device("meta"), pytest.raises(UserError, match=r"optimizer\.layer_decay"):
        build_backbone("caformer_s18", image_size=SIZE).layers()


@pytest.mark.parametrize("backbone", ["vit", "resnet", "dinov3", "internimage"])
def test_frozen(backbone: str) -> None:
    """No gradients, nothing kept for them, statistics and drop path at rest; the decoder learns."""
    network = build(backbone, 1, drop_path=0.5 if backbone != "resnet" else 0.0)
    network.backbone.freeze()
    before = {key: x.clone() for key, x in network.backbone.state_dict().items()}
    network.train()
    assert network.decoder.training
    assert not any(module.training for module in network.backbone.modules())
    assert not any(x.requires_grad for x in network.backbone(images()))
    MultiTaskLoss(list(network.tasks))(network(images()), targets(network)).total.backward()
    assert all(x.grad is None for x in network.backbone.parameters())
    assert all(x.grad is not None for x in network.decoder.parameters())
    assert all(torch.equal(x, before[key]) for key, x in network.backbone.state_dict().items())
