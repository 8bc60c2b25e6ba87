"""A folder of one's own through all that a user does with it: train, evaluate, predict, report, draw."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from bridgenet import config as configuration
from bridgenet import tasks
from bridgenet.cli.main import run
from bridgenet.config.resolved import open_dataset
from bridgenet.evaluation.baseline import constant_logits, evaluate_constant
from bridgenet.tasks import registry
from bridgenet.training.run import train
from tests.data.own import NAMES, SIZE, make_folder
from tests.training.tiny import tiny_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images, one without depth and edges."""
    folder = tmp_path_factory.mktemp("own")
    make_folder(folder)
    for name in ("depth", "edges"):
        (folder / name / "a.png").unlink()
    return folder


@pytest.fixture(scope="module")
def recipe(folder: Path) -> Path:
    """A configuration that names the description beside it."""
    settings = tiny_config(folder, steps=2, evaluate_every=2, log_images=1, trackers=["tensorboard"]).as_dict()
    settings["data"] = {"name": "data.yaml", "workers": 0, "cache": "disk", "cache_folder": str(folder / "cache")}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(settings))
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def trained(recipe: Path) -> Path:
    out = recipe.parent / "run"
    train(configuration.load(recipe), out, device="cpu")
    return out


def test_run_keeps_the_description(trained: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert yaml.safe_load((trained / "config.yaml").read_text())["data"]["name"] == str(folder / "data.yaml")
    assert configuration.load(trained).data.name == str(folder / "data.yaml")


def test_evaluate_and_report(trained: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(trained), "--device", "cpu", "--boundary-workers", "1"]) == 0
    told = json.loads((trained / "evaluation.json").read_text())
    assert (told["data"], told["data_name"]) == ("roofs", str(folder / "data.yaml"))
    assert {"mIoU", "mae", "rmse", "odsF"} <= {key for scores in told["scores"].values() for key in scores}
    labelled = sum(
        (folder / f"edges/{name}.png").is_file() for name in open_dataset(configuration.load(trained), "val").ids
    )
    assert told["boundaries"]["protocol"] == f"SEISM boundaries, roofs, {labelled} images, maxDist 0.0075"
    assert run(["report", str(trained), "--device", "cpu"]) == 0, capsys.readouterr().err
    assert "Height" in (trained / "report.html").read_text()


def test_weights_alone_need_the_data(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(trained / "best.safetensors")
    out = ["--out", str(tmp_path), "--device", "cpu", "--no-boundaries"]
    assert run(["evaluate", weights, *out]) == 2
    assert "'roofs' is not a data set" in capsys.readouterr().err
    assert run(["evaluate", weights, "--data", str(folder / "data.yaml"), *out]) == 0


def test_weights_know_their_own_tasks(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_TASKS", {name: tasks.get(name) for name in tasks.BUILT_IN})  # as in a fresh process
    picture = tmp_path / "photo.png"
    Image.new("RGB", (48, 40)).save(picture)
    out = ["--out", str(tmp_path / "out"), "--device", "cpu"]
    assert run(["predict", str(trained / "best.safetensors"), str(picture), *out]) == 0
    assert np.load(tmp_path / "out/photo/roofs_height.npy").shape == (40, 48)
    assert tasks.get("roofs_height").unit == "m"


def test_best_constant(trained: Path) -> None:
    config = configuration.load(trained)
    logits = constant_logits(open_dataset(config, "train"))
    scores = evaluate_constant(logits, open_dataset(config, "val"), (32, 32))
    assert all(np.isfinite(scores[task][key]) for task, key in [("depth", "rmse"), ("roofs_height", "mae")])


def test_picture_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_folder(tmp_path)
    for name in NAMES:
        os.truncate(tmp_path / f"damage/{name}.png", 50)
    settings = tiny_config(tmp_path, steps=2).as_dict()
    settings["data"] = {"name": "data.yaml", "workers": 1}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(settings))
    assert run(["train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run"), "--device", "cpu"]) == 2
    told = capsys.readouterr().err
    assert "damage/" in told
    assert f"To find all faults: bridgenet data check {tmp_path / 'data.yaml'}" in told


def test_show(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    assert run(["data", "show", str(folder / "data.yaml"), "--count", "2", "--out", str(out)]) == 0
    assert out.stat().st_size > 1000


def test_check_by_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", str(folder), "--workers", "1"]) == 0
    assert "depth             0   100.0 %  5 of 6 images" in capsys.readouterr().out
    make_folder(tmp_path)
    np.save(tmp_path / "height/a.npy", np.full(SIZE, np.nan))
    assert run(["data", "check", str(tmp_path / "data.yaml"), "--workers", "1"]) == 1


def test_configuration_tells_the_mistakes_of_the_description(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_folder(tmp_path, "nmae: x\ntasks: {depth: {unit: foot}}", names=("a",))
    assert run(["train", "demo", "--data", str(tmp_path / "data.yaml")]) == 2
    told = capsys.readouterr().err
    assert "data.yaml: unknown key nmae (did you mean name?)" in told
    assert "data.yaml: tasks.depth.unit is 'foot'" in told
