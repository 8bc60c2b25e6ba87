"""The decoder's fourth stage, an option beside the published network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import bridgenet
from bridgenet import UserError
from bridgenet.checkpoints.convert import convert
from bridgenet.losses import MultiTaskLoss
from tests.model.networks import SIZE, build, config, config_of, images, targets

BACKBONES = ["vit", "dinov2", "resnet"]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("size", [(64, 96), (33, 47), (1, 1)], ids=str)
@torch.no_grad()
def test_any_size(backbone: str, size: tuple[int, int]) -> None:
    output = build(backbone, num_stages=4, extra_channels=16).eval()(images(1, size))
    assert all(x.shape[-2:] == size and x.isfinite().all() for x in output.logits.values())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_it_reads_the_finest_map_at_the_outputs_size(backbone: str) -> None:
    network = build(backbone, num_stages=4, extra_channels=16)
    assert [stage.norm.normalized_shape[0] // 4 for stage in network.decoder.stages] == [32, 16, 8, 4]
    assert network.decoder.laterals[2].in_channels == network.backbone.channels[0]
    assert network.decoder.stages[3].bfe.pool == 16
    sizes = []
    network.decoder.stages[3].tfr.register_forward_hook(lambda _m, _i, maps: sizes.append(maps["depth"].shape[2:]))
    features, _ = network.decoder(maps := network.backbone(images(2, (56, 84) if backbone == "dinov2" else SIZE)))
    assert features["depth"].shape[2:] == sizes[0]
    maps[0].retain_grad()
    features["depth"].sum().backward()
    assert maps[0].grad is not None and maps[0].grad.abs().max() > 0


def test_each_weight_gets_its_gradient() -> None:
    network = build("resnet", num_stages=4, extra_channels=16).train()
    MultiTaskLoss(list(network.tasks))(network(images()), targets(network)).total.backward()
    assert not [name for name, x in network.named_parameters() if x.grad is None]


@torch.no_grad()
def test_inference_and_definitions_agree() -> None:
    network = build("resnet", num_stages=4, extra_channels=16)
    network.train()(images())
    network.eval()
    expected = network(images()).logits
    for task, x in bridgenet.accelerate_network(network)(images()).logits.items():
        assert (x - expected[task]).abs().max() < 2e-5 * expected[task].abs().max()
    for task, x in bridgenet.optimize_for_inference(network)(images()).logits.items():
        assert (x - expected[task]).abs().max() < 2e-5 * expected[task].abs().max()


def test_save_load_and_conversion(tmp_path: Path) -> None:
    network = build("vit", num_stages=4, extra_channels=16).eval()
    bridgenet.save(network, tmp_path / "x.safetensors")
    loaded = bridgenet.load(tmp_path / "x.safetensors", device="cpu")
    assert loaded.config == config_of(network)
    with pytest.raises(UserError, match="knows decoders of 3 stages, this one has 4"):
        convert(tmp_path / "x.safetensors", tmp_path / "x.pth.tar")


def test_descriptions_of_before_have_three() -> None:
    values = config().as_dict()
    del values["decoder"]["num_stages"]
    assert bridgenet.NetworkConfig.from_dict(values).decoder["num_stages"] == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_stages": 5}, "num_stages is 5, expected 3"),
        ({"num_stages": 4}, "C divisible by 16"),
        ({"num_stages": 4, "extra_channels": 16, "refine_depth": [1, 2, 3]}, "or 4 of them"),
        ({"num_stages": 4, "extra_channels": 16, "dilations": [[1], [2], [1]]}, "or 4 of them"),
    ],
)
def test_what_makes_no_network(changes: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        build(**changes)
