"""Runs whose backbone is frozen, or learns at rates that fall with depth; the licence of what it began with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from torch.distributed import HashStore, destroy_process_group, init_process_group
from torch.nn.parallel import DistributedDataParallel

import bridgenet
from bridgenet import UserError
from bridgenet.checkpoints import BEST, LAST, read_information
from bridgenet.checkpoints.inspect import inspect
from bridgenet.config.settings import RunConfig
from bridgenet.losses import MultiTaskLoss
from bridgenet.training.optimisation import make_optimizer
from bridgenet.training.prepare import prepare
from bridgenet.training.rows import read_rows
from bridgenet.training.run import METRICS, run_steps, train
from tests.model.networks import build, images, targets
from tests.training.killed import killed_before
from tests.training.tiny import tiny_config


def changed(root: Path, **settings: object) -> RunConfig:
    config = tiny_config(root, steps=4, save_every=1)
    layer_decay = settings.pop("layer_decay", 1.0)
    network = replace(config.network, **settings)  # type: ignore[arg-type]
    return replace(config, network=network, optimizer=replace(config.optimizer, layer_decay=layer_decay))


@pytest.mark.parametrize("backbone", ["vit", "swin", "internimage"])
def test_groups_of_layers(backbone: str) -> None:
    network = build(backbone, 1)
    optimizer = make_optimizer(network, name="adamw", lr=1.0, weight_decay=0.1, layer_decay=0.5)
    layers = network.backbone.layers()
    last = max(layers.values())
    assert [group["lr"] for group in optimizer.param_groups] == [0.5**i for i in range(last + 2)]
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.1}
    rates = {id(x): group["lr"] for group in optimizer.param_groups for x in group["params"]}
    for name, parameter in network.named_parameters():
        above = last + 1 - layers[name.removeprefix("backbone.")] if name.startswith("backbone.") else 0
        assert rates[id(parameter)] == 0.5**above, name


def test_without_decay_there_is_the_published_group() -> None:
    network = build("vit", 1)
    (group,) = make_optimizer(network, name="adam", lr=1e-3).param_groups
    assert [id(x) for x in group["params"]] == [id(x) for x in network.parameters()]


@pytest.mark.parametrize("settings", [{"layer_decay": 0.7}, {"freeze_backbone": True}], ids=str)
def test_resumed_to_the_bit(settings: dict, nyud_root: Path, tmp_path: Path) -> None:
    config = changed(nyud_root, **settings)
    train(config, tmp_path / "whole", device="cpu")
    with killed_before(2):
        train(config, tmp_path / "killed", device="cpu")
    train(config, tmp_path / "killed", resume=True, device="cpu")
    rows = read_rows(tmp_path / "whole" / METRICS)
    assert read_rows(tmp_path / "killed" / METRICS) == rows
    assert rows[0]["lr"] == 1e-3  # the decoder's


def test_a_frozen_backbone_stays_as_it_is(nyud_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = prepare(changed(nyud_root, freeze_backbone=True), tmp_path / "run", device="cpu")
    before = {key: x.clone() for key, x in run.network.backbone.state_dict().items()}
    run_steps(run)
    assert all(torch.equal(x, before[key]) for key, x in run.network.backbone.state_dict().items())
    assert len(run.step.optimizer.state) == len(list(run.network.decoder.parameters())) + len(
        list(run.network.heads.parameters())
    )
    assert "keeps random weights" in capsys.readouterr().out
    loaded = bridgenet.load_network(tmp_path / "run", device="cpu")
    assert all(torch.equal(x, before[key]) for key, x in loaded.backbone.state_dict().items())
    assert next(loaded.backbone.parameters()).requires_grad


def test_frozen_backbone_in_several_processes() -> None:
    """Gradients are exchanged of what has any; the second step would tell of weights that were waited for."""
    init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        network = build("vit", 1)
        network.backbone.freeze()
        model, criterion = DistributedDataParallel(network), MultiTaskLoss(list(network.tasks))
        for _ in range(2):
            criterion(model.train()(images()), targets(network)).total.backward()
    finally:
        destroy_process_group()


def test_frozen_and_decaying_exclude_each_other(nyud_root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exclude each other"):
        train(changed(nyud_root, freeze_backbone=True, layer_decay=0.5), tmp_path / "run", device="cpu")


def test_the_licence_is_told_and_travels(nyud_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, kwargs = "vit_small_patch16_dinov3.lvd1689m", {"embed_dim": 64, "depth": 4, "num_heads": 2}
    torch.save(timm.create_model(name, **kwargs).state_dict(), tmp_path / "dinov3.pth")
    file = str(tmp_path / "dinov3.pth")
    config = changed(nyud_root, backbone={"name": name, **kwargs}, backbone_checkpoint=file, drop_path=0.0)
    config = replace(config, data=replace(config.data, size=(64, 64), eval_size=(64, 64)), steps=1)
    train(config, tmp_path / "run", device="cpu")
    assert f"note: the licence of dinov3.pth ({name}) is dinov3-license if it holds" in capsys.readouterr().out
    train(replace(config, steps=2), tmp_path / "run", resume=True, device="cpu")
    recorded = {"backbone_weights": f"dinov3.pth ({name})", "backbone_licence": "dinov3-license"}
    for weights in (LAST, BEST):
        assert recorded.items() <= read_information(tmp_path / "run" / weights).items()
        assert recorded.items() <= bridgenet.load(tmp_path / "run" / weights, device="cpu").information.items()
    assert f"{recorded['backbone_weights']}, licence dinov3-license" in str(inspect(tmp_path / "run"))
    card = str(bridgenet.load(tmp_path / "run", device="cpu").generate_model_card())
    assert "whose licence, as timm records it, is dinov3-license" in card
