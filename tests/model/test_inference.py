"""Networks made ready for inference: the same results, faster, and nothing else any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import bridgenet
from bridgenet import UserError
from bridgenet.model.fast import accelerate_network, packed
from bridgenet.model.inference import PreparedNetwork, optimize_for_inference, resolve_precision
from bridgenet.system.processor import has_bfloat16
from tests.model.networks import BACKBONES, build, images
from tests.model.test_battery import all_maps


def trained(backbone: str = "resnet", num_tasks: int = 4, **changes: Any) -> bridgenet.BridgeNet:
    """With running statistics that are not what a fresh network has."""
    network = build(backbone, num_tasks, **changes)
    with torch.no_grad():
        for _ in range(2):
            network.train()(images())
    return network.eval()


def deviation(got: bridgenet.BridgeNetOutput, expected: bridgenet.BridgeNetOutput) -> float:
    """The largest difference of a map over the map's largest value."""
    known = all_maps(expected)
    return max(float((x - known[name]).abs().max() / known[name].abs().max()) for name, x in all_maps(got).items())


@pytest.mark.parametrize("backbone", BACKBONES)
@torch.no_grad()
def test_results_are_those_of_the_definitions(backbone: str) -> None:
    network = trained(backbone, 6)
    expected = network(images())
    prepared = optimize_for_inference(network)
    assert deviation(prepared(images()), expected) < 2e-5
    assert deviation(prepared(images()), expected) < 2e-5
    assert all(torch.equal(x, all_maps(expected)[name]) for name, x in all_maps(network(images())).items())
    assert deviation(accelerate_network(network)(images()), expected) < 2e-5
    assert deviation(optimize_for_inference(network)(images()), expected) < 2e-5  # also of an accelerated one


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("swinv2_tiny_window8_256", {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8]}),
        ("pvt_v2_b0", {}),
    ],
)
@torch.no_grad()
def test_backbones_that_use_their_layers_in_ways_of_their_own(name: str, settings: dict) -> None:
    """Swin V2 reads its linear layers' weights itself; PVT v2's MLP has a convolution between `fc1` and its GELU."""
    network = build(num_tasks=1, backbone={"name": name, **settings}).eval()
    expected = network(images())
    assert deviation(optimize_for_inference(network)(images()), expected) < 2e-5


@torch.no_grad()
def test_other_sizes_than_the_first() -> None:
    network = trained("vit")
    others = [images(1, size) for size in ((33, 47), (96, 64), (1, 1))]
    expected = [network(x) for x in others]
    prepared = optimize_for_inference(network)
    prepared(images())
    for x, known in zip(others, expected):
        assert deviation(prepared(x), known) < 2e-5


@pytest.mark.parametrize("backbone", ["vit", "internimage", "convnext"])
@torch.no_grad()
def test_bfloat16(backbone: str) -> None:
    network = trained(backbone)
    expected = network(images())
    prepared = optimize_for_inference(network, precision="bfloat16")
    assert next(prepared.parameters()).dtype == torch.bfloat16
    assert next(network.parameters()).dtype == prepared.mean.dtype == torch.float32
    got = prepared(images().bfloat16())
    assert all(x.dtype == torch.float32 for x in got.logits.values())
    assert 0 < deviation(got, expected) < 0.1


@torch.no_grad()
def test_without_the_operators_for_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = trained("internimage")
    expected = network(images())
    monkeypatch.setattr("bridgenet.model.inference.can_pack", lambda dtype: False)
    prepared = optimize_for_inference(network)
    assert not any(isinstance(x, packed.PackedConv2d) for x in prepared.modules())
    assert deviation(prepared(images()), expected) < 2e-5


@torch.no_grad()
def test_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    network = trained("resnet", 1, refine_depth=1, num_stages=2)
    expected = network(images())
    seen = {}
    real = PreparedNetwork.compile
    monkeypatch.setattr(PreparedNetwork, "compile", lambda self, **how: (seen.update(how), real(self, backend="eager")))
    prepared = optimize_for_inference(network, compile=True)
    assert seen == {"mode": None}
    assert deviation(prepared(images()), expected) < 2e-5


def test_a_prepared_network_is_for_inference_alone(tmp_path: Path) -> None:
    prepared = optimize_for_inference(trained())
    assert not prepared.training
    for act in (
        lambda: prepared.train(),
        lambda: bridgenet.save(prepared, tmp_path / "x.safetensors"),
        lambda: bridgenet.Model(prepared).save_pretrained(tmp_path / "x"),
        lambda: prepared.state_dict(),
        lambda: optimize_for_inference(prepared),
    ):
        with pytest.raises(UserError, match="prepared for inference"):
            act()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    prepared.eval()


@pytest.mark.parametrize("backbone", ["vit", "internimage", "resnet"])
def test_the_network_is_left_as_it_is(backbone: str) -> None:
    """Its mode, its gradients, its weights; what needs no other form is in the same memory."""
    network = trained(backbone).train()
    before = {key: x.clone() for key, x in network.state_dict().items()}
    prepared = optimize_for_inference(network)
    with torch.no_grad():
        prepared(images())
    assert network.training and all(module.training for module in network.modules())
    assert all(x.requires_grad for x in network.parameters())
    assert all(torch.equal(x, before[key]) for key, x in network.state_dict().items())
    own = {x.data_ptr() for x in network.parameters()}
    assert any(x.data_ptr() in own for x in prepared.parameters())
    sum(x.sum() for x in network(images()).logits.values()).backward()
    assert all(x.grad is not None for x in network.parameters())


def test_auto_is_what_the_processor_has() -> None:
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu) == (torch.bfloat16 if has_bfloat16(cpu) else torch.float32)
    assert resolve_precision("float32", cpu) == torch.float32
