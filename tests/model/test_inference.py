"""Networks made ready for inference: the same results, faster, and nothing else any more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import bridgenet
from bridgenet import UserError
from bridgenet.model.fast import accelerate_network, packed
from bridgenet.model.inference import optimize_for_inference, resolve_precision
from bridgenet.system.processor import has_bfloat16
from tests.model.networks import BACKBONES, build, images
from tests.model.test_battery import all_maps


def trained(backbone: str = "resnet", num_tasks: int = 4) -> bridgenet.BridgeNet:
    """With running statistics that are not what a fresh network has."""
    network = build(backbone, num_tasks)
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
    assert deviation(accelerate_network(network)(images()), expected) < 2e-5
    assert optimize_for_inference(network) is network
    assert deviation(network(images()), expected) < 2e-5
    assert deviation(network(images()), expected) < 2e-5


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
    network = build(num_tasks=1, backbone=name, backbone_kwargs=settings).eval()
    expected = network(images())
    optimize_for_inference(network)
    assert deviation(network(images()), expected) < 2e-5


@torch.no_grad()
def test_several_threads_predict_first(tmp_path: Path) -> None:
    bridgenet.save(trained(), tmp_path / "x.safetensors")
    network = bridgenet.load(tmp_path / "x.safetensors", device="cpu")
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    expected = network.predict(picture, optimize=False).depth
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(network.predict, [picture] * 8):
            np.testing.assert_allclose(result.depth, expected, atol=1e-5)


def test_a_failed_prediction_changes_nothing(tmp_path: Path) -> None:
    bridgenet.save(trained(), tmp_path / "x.safetensors")
    network = bridgenet.load(tmp_path / "x.safetensors", device="cpu")
    picture = np.zeros((40, 60, 3), np.uint8)
    for image, tasks in ((tmp_path / "none.jpg", None), (picture, ["depht"])):
        with pytest.raises(UserError):
            network.predict(image, tasks=tasks)
    assert not network.optimized
    network.double().predict(picture)
    assert next(network.parameters()).dtype == torch.float64  # as the user wants it


@torch.no_grad()
def test_other_sizes_than_the_first() -> None:
    network = trained("vit")
    others = [images(1, size) for size in ((33, 47), (96, 64), (1, 1))]
    expected = [network(x) for x in others]
    optimize_for_inference(network)(images())
    for x, known in zip(others, expected):
        assert deviation(network(x), known) < 2e-5


@pytest.mark.parametrize("backbone", ["vit", "internimage", "convnext"])
@torch.no_grad()
def test_bfloat16(backbone: str) -> None:
    network = trained(backbone)
    expected = network(images())
    optimize_for_inference(network, precision="bfloat16")
    assert next(network.parameters()).dtype == torch.bfloat16
    got = network(images().bfloat16())
    assert all(x.dtype == torch.float32 for x in got.logits.values())
    assert 0 < deviation(got, expected) < 0.1


@torch.no_grad()
def test_without_the_operators_for_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = trained("internimage")
    expected = network(images())
    monkeypatch.setattr("bridgenet.model.inference.can_pack", lambda dtype: False)
    optimize_for_inference(network)
    assert not any(isinstance(x, packed.PackedConv2d) for x in network.modules())
    assert deviation(network(images()), expected) < 2e-5


@torch.no_grad()
def test_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    network = trained("resnet", 1)
    expected = network(images())
    seen = {}
    real = network.compile
    monkeypatch.setattr(network, "compile", lambda **how: (seen.update(how), real(backend="eager")))
    optimize_for_inference(network, compile=True)
    assert seen == {"mode": None}
    assert deviation(network(images()), expected) < 2e-5


def test_what_is_ready_can_do_nothing_else(tmp_path: Path) -> None:
    network = optimize_for_inference(trained())
    assert not network.training
    for act in (
        lambda: network.train(),
        lambda: bridgenet.save(network, tmp_path / "x.safetensors"),
        lambda: network.save_pretrained(tmp_path / "x"),
        lambda: network.double(),
        lambda: network.load_state_dict({}, strict=False),
        lambda: optimize_for_inference(network),
    ):
        with pytest.raises(UserError, match="oad it again"):
            act()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    network.eval()


def test_the_first_prediction_of_a_loaded_network_makes_it_ready(tmp_path: Path) -> None:
    bridgenet.save(trained(), tmp_path / "x.safetensors")
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    network = bridgenet.load(tmp_path / "x.safetensors", device="cpu")
    before = network.predict(picture, optimize=False)
    assert not network.optimized
    network.train().eval()
    after = network.predict(picture)
    assert network.optimized
    np.testing.assert_allclose(after.depth, before.depth, atol=1e-5)
    assert (after.semseg == before.semseg).mean() > 0.999
    np.testing.assert_array_equal(network.predict(picture).depth, after.depth)
    fresh = trained()
    fresh.predict(picture)
    assert not fresh.optimized  # it was not loaded: whoever built it may want to train it


def test_load_in_another_precision(tmp_path: Path) -> None:
    bridgenet.save(trained(), tmp_path / "x.safetensors")
    network = bridgenet.load(tmp_path / "x.safetensors", device="cpu", precision="bfloat16")
    assert network.optimized
    assert network.predict(np.zeros((40, 60, 3), np.uint8)).depth.dtype == np.float32
    with pytest.raises(UserError, match="precision is 'half', expected one of auto, float32, bfloat16"):
        bridgenet.load(tmp_path / "x.safetensors", device="cpu", precision="half")


def test_auto_is_what_the_processor_has() -> None:
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu) == (torch.bfloat16 if has_bfloat16(cpu) else torch.float32)
    assert resolve_precision("float32", cpu) == torch.float32
