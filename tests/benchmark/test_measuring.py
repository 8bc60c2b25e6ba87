"""Cases measured in this process: what is run, and what is made of its times."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch

from bridgenet.benchmark import inference, rates
from bridgenet.benchmark.cases import Case
from bridgenet.benchmark.cost import count
from bridgenet.benchmark.inference import measure_inference
from bridgenet.benchmark.training import measure_training
from bridgenet.model.backbones.timm_backbones import Pyramid
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.decoders.bridgenet import BridgeNetDecoder
from tests.model.networks import config_of

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run takes 2 s; the machine does 100 GFLOP/s, convolutions 200, and copies 1 GB/s."""

    def two_seconds(run: Any, device: torch.device) -> float:
        run()
        return 2.0

    monkeypatch.setattr(inference, "seconds_of", two_seconds)
    monkeypatch.setattr(rates, "product", lambda device, dtype, side: 1e11)
    monkeypatch.setattr(rates, "convolution", lambda device, dtype, side: 2e11)
    monkeypatch.setattr(rates, "bandwidth", lambda device, side: 1e9)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of all batches that networks were run with; the counting of costs apart."""
    seen: list[tuple[int, ...]] = []
    forward = BridgeNet.forward

    def watched(self: BridgeNet, images: torch.Tensor) -> Any:
        if images.device.type != "meta":
            seen.append(tuple(images.shape))
        return forward(self, images)

    monkeypatch.setattr(BridgeNet, "forward", watched)
    return seen


def test_share_and_floor_of_inference(case: Case, clock: None, runs: list[tuple[int, ...]]) -> None:
    result = measure_inference(dataclasses.replace(case, batch=3, runs=4, warm_up=2))
    counted = count(case.config)
    assert runs == [(3, 3, 32, 32)] * 6
    assert result["gmac"] == pytest.approx(3 * counted.gmac)
    assert result["share"] == pytest.approx(2e9 * 3 * counted.gmac / (2 * 1e11))
    assert result["images_per_second"] == 1.5
    assert result["floor"]["operations"] == pytest.approx(2e9 * 3 * counted.gmac / 2e11)
    assert result["floor"]["bytes"] == pytest.approx((counted.weight_bytes + 3 * counted.activation_bytes) / 1e9)
    assert len(result["seconds"]["values"]) == len(result["rates"]["G"]["values"]) == 4
    assert (result["first_run"], result["allocator_tuned"]) == (2, False)
    assert result["memory"] >= result["memory_built"] > 0


def test_narrow_numbers_are_half_the_bytes(case: Case, clock: None) -> None:
    wide, narrow = (measure_inference(dataclasses.replace(case, precision=p)) for p in ("float32", "bfloat16"))
    assert narrow["floor"]["bytes"] == pytest.approx(wide["floor"]["bytes"] / 2)


def test_real_clock(case: Case) -> None:
    result = measure_inference(case)
    for found in (result["seconds"], *(result["rates"][name] for name in ("G", "convolution", "bandwidth"))):
        assert 0 < found["min"] <= found["median"] <= found["max"] < math.inf


def test_number_of_tasks(case: Case, clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    forward = BridgeNet.forward
    monkeypatch.setattr(BridgeNet, "forward", lambda self, x: seen.append(len(self.tasks)) or forward(self, x))
    measure_inference(dataclasses.replace(case, num_tasks=6))
    assert set(seen) == {6}


def test_end_to_end_decodes(case: Case, clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = []
    monkeypatch.setattr(inference, "predict_image", lambda network, picture, max_pixels: pictures.append(picture.shape))
    measure_inference(dataclasses.replace(case, end_to_end=True))
    assert pictures == [(32, 32, 3)] * 3


def test_compiled(case: Case, clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda network, **options: compiled.append(network) or network)
    measure_inference(dataclasses.replace(case, way="plain+compiled"))
    measure_training(dataclasses.replace(case, kind="training", way="compiled", batch=2))
    assert len(compiled) == 2  # the network; network and losses as one function
    assert type(compiled[0]) is BridgeNet


def test_training_counts_three_passes(case: Case, clock: None, runs: list[tuple[int, ...]]) -> None:
    result = measure_training(dataclasses.replace(case, kind="training", batch=2))
    counted = count(case.config)
    assert runs == [(2, 3, 32, 32)] * 3
    assert result["gmac"] == pytest.approx(3 * 2 * counted.gmac)
    assert result["share"] == pytest.approx(2e9 * 6 * counted.gmac / (2 * 1e11))
    moved = 3 * (counted.weight_bytes + 2 * counted.activation_bytes) + 7 * counted.weight_bytes
    assert result["floor"]["bytes_moved"] == pytest.approx(moved)


def test_training_step_trains(case: Case, clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every parameter that a loss reaches moves, and running statistics with it."""
    built: list[BridgeNet] = []
    monkeypatch.setattr(
        "bridgenet.benchmark.training.build_network",
        lambda config, build=inference.build_network: built.append(build(config)) or built[-1],
    )
    measure_training(dataclasses.replace(case, kind="training", batch=2, runs=1, warm_up=1))
    torch.manual_seed(0)
    start = inference.build_network(config_of(built[0])).state_dict()
    moved = {name for name, value in built[0].state_dict().items() if not torch.equal(value, start[name])}
    assert {"heads.depth.weight", "heads.semseg.weight"} <= moved
    assert any(name.endswith("running_mean") for name in moved)
    assert all(parameter.grad is None for parameter in built[0].parameters())


def test_checkpointing_is_set(case: Case, clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(Pyramid, "set_checkpointing", lambda self, enable: asked.append(enable))
    monkeypatch.setattr(
        BridgeNetDecoder, "set_checkpointing", lambda self, enable: asked.append("decoder"), raising=False
    )
    measure_training(dataclasses.replace(case, kind="training", way="checkpointed", batch=2))
    assert asked == [True, "decoder"]
