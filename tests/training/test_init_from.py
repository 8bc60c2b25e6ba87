"""Runs that start from trained weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import bridgenet
from bridgenet.checkpoints import BEST, LAST, read_own
from bridgenet.checkpoints.inspect import inspect
from bridgenet.config.settings import RunConfig
from bridgenet.errors import UserError
from bridgenet.training.prepare import prepare
from bridgenet.training.run import train
from tests.training.tiny import tiny_config


def config_for(root: Path, tasks: list[str], **changes: object) -> RunConfig:
    config = tiny_config(root, steps=1, **changes)
    return replace(config, data=replace(config.data, tasks=tasks))


@pytest.fixture
def first(nyud_root: Path, tmp_path: Path) -> Path:
    """The folder of a run of two tasks."""
    train(config_for(nyud_root, ["semseg", "depth"]), tmp_path / "first")
    return tmp_path / "first"


def test_a_run_with_another_task_starts_from_the_weights_of_the_first(
    nyud_root: Path, tmp_path: Path, first: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_for(nyud_root, ["semseg", "normals"], init_from=str(first))
    network = prepare(config, tmp_path / "second").network
    trained = bridgenet.load_network(first).state_dict()
    for key in ("heads.semseg.weight", "decoder.laterals.0.weight", "backbone.model.conv1_weight"):
        own = network.state_dict()
        assert torch.equal(own[key], trained[key]) if key in own else key.startswith("backbone.")
    printed = capsys.readouterr().out
    assert printed.startswith(f"weights from {first}\n") and "normals: a new task\ndepth: left out" in printed


def test_weights_are_taken_at_the_start_only_and_the_ancestry_stays(
    nyud_root: Path, tmp_path: Path, first: Path
) -> None:
    out = tmp_path / "second"
    config = config_for(nyud_root, ["semseg"], init_from=str(first))
    train(config, out)
    (first / BEST).unlink()
    (first / LAST).unlink()
    train(replace(config, steps=2), out, resume=True)
    for name in (BEST, LAST):
        own = read_own(out / name)
        assert own is not None
        assert own[3]["initial_weights"].startswith("best.safetensors (digest ")
        assert str(inspect(out / name).initial_weights) == own[3]["initial_weights"]


def test_a_licence_stays_with_what_is_trained_from_its_weights(
    nyud_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], first: Path
) -> None:
    network = bridgenet.load_network(first)
    file = tmp_path / "given.safetensors"
    bridgenet.save(network, file, information={"licence": "cc-by-nc-4.0", "origin": "somewhere"})
    train(config_for(nyud_root, ["semseg"], init_from=str(file)), tmp_path / "second")
    assert "have the licence cc-by-nc-4.0" in capsys.readouterr().out
    model = bridgenet.load(tmp_path / "second")
    with pytest.raises(UserError, match=r"come from somewhere, licence cc-by-nc-4\.0"):
        model.save(tmp_path / "free.safetensors", information={"licence": "MIT"})


def test_weights_that_fit_nowhere_are_refused_before_anything_is_written(
    nyud_root: Path, tmp_path: Path, first: Path
) -> None:
    config = config_for(nyud_root, ["semseg"], init_from=str(first))
    config.network.backbone["name"], config.network.decoder = (
        "convnext_atto",
        bridgenet.model.description.Part(name="multi_task", width=8),
    )
    with pytest.raises(UserError, match=r"init_from: .*nothing fits"):
        train(config, tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_two_sources_of_weights_exclude_each_other(nyud_root: Path, tmp_path: Path, first: Path) -> None:
    config = config_for(nyud_root, ["semseg"], init_from=str(first))
    config.network.backbone_checkpoint = str(first)
    with pytest.raises(UserError, match=r"init_from and network\.backbone_checkpoint exclude each other"):
        train(config, tmp_path / "second")


def test_a_missing_source_is_named(nyud_root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="init_from: no weights at nowhere"):
        train(config_for(nyud_root, ["semseg"], init_from="nowhere"), tmp_path / "second")
