"""BridgeNet without TPP, BFE or TFR: what is left out is out, and the rest is as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import bridgenet
from bridgenet import UserError
from bridgenet.checkpoints.convert import convert
from tests.model.networks import VARIANTS, build, images

ABLATIONS = [name for name in VARIANTS if "decoder" not in VARIANTS[name]]


@torch.no_grad()
def test_without_tpp_tasks_do_not_meet_before_the_first_stage() -> None:
    for variant, meet in (("", True), ("no tpp on ", False)):
        network = build(f"{variant}resnet").eval()
        before = network(images()).intermediate_logits
        for x in network.decoder.tpp.preliminary["semseg"].parameters():
            x.mul_(2)
        after = network(images()).intermediate_logits
        assert torch.equal(before["depth"], after["depth"]) is not meet
        assert not torch.equal(before["semseg"], after["semseg"])


@torch.no_grad()
def test_without_bfe_the_bridge_asks_no_task() -> None:
    for variant, asks in (("", True), ("no bfe on ", False)):
        stage = build(f"{variant}resnet").eval().decoder.stages[1]
        side = torch.randn(1, stage.bfe.side.conv.in_channels, 8, 12)
        maps, previous = [torch.ones(1, 12, 8, 12), torch.rand(1, 12, 8, 12)], torch.ones(1, 24, 4, 6)
        bridge = stage.bfe(side, maps, previous)
        assert bridge.shape == (1, 12, 8, 12)
        assert torch.equal(stage.bfe(side, [maps[0], 1 - maps[1]], previous), bridge) is not asks
        assert torch.equal(stage.bfe(side, maps, 2 * previous), bridge) is not asks
        assert not torch.equal(stage.bfe(2 * side, maps, previous), bridge)


@torch.no_grad()
def test_without_tfr_the_bridge_is_added() -> None:
    network = build("no tfr on resnet").eval()
    assert not [key for key in network.state_dict() if ".tfr." in key]
    maps = {"semseg": torch.ones(1, 2, 4, 6), "depth": torch.zeros(1, 2, 4, 6)}
    found = network.decoder.stages[0].tfr(maps, torch.full((1, 2, 2, 3), 0.5))
    assert found["semseg"].unique().tolist() == [1.5] and found["depth"].unique().tolist() == [0.5]


@pytest.mark.parametrize("variant", ABLATIONS)
def test_nothing_else_changes(variant: str) -> None:
    """What is left has the shapes that it has in the whole network."""
    whole, part = build("resnet").state_dict(), build(f"{variant} on resnet").state_dict()
    assert set(part) < set(whole)
    assert all(part[key].shape == whole[key].shape for key in part)
    if variant in ("no tpp", "no bfe", "no tfr"):
        assert all(f".{variant[-3:]}." in key for key in set(whole) - set(part))
    elif variant != "nothing":
        stages = {key.split(".")[2] for key in set(whole) - set(part) if ".stages." in key}
        assert stages == {"1 stage": {"1", "2"}, "2 stages": {"2"}}[variant]


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_inference_and_definitions_agree(variant: str) -> None:
    network = build(f"{variant} on resnet")
    network.train()(images())
    network.eval()
    expected = network(images()).logits
    prepared = bridgenet.optimize_for_inference(network)(images()).logits
    for found in (bridgenet.accelerate_network(network)(images()).logits, prepared):
        for task, x in found.items():
            assert (x - expected[task]).abs().max() < 2e-5 * expected[task].abs().max()


def test_not_for_the_authors_code(tmp_path: Path) -> None:
    bridgenet.save(build("no bfe on vit", 4, refine_depth=1), tmp_path / "network.safetensors")
    with pytest.raises(UserError, match="no decoder without BFE"):
        convert(tmp_path / "network.safetensors", tmp_path / "network.pth")


def test_refused() -> None:
    with pytest.raises(UserError, match=r"num_stages is 0, expected 3 \(as published\), or 1 to 4"):
        build("resnet", num_stages=0)
    with pytest.raises(UserError, match=r"unknown key network\.decoder\.tpp \(known: width\)"):
        build("resnet", decoder={"name": "multi_task", "tpp": False})
    with pytest.raises(UserError, match=r"unknown key network\.decoder\.width"):
        build("resnet", width=8)
