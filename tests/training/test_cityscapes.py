"""Both protocols of Cityscapes by the command line on a few streets: train, evaluate, report, predict; ids hold slashes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from PIL import Image

from bridgenet import load
from bridgenet.cli.main import run
from bridgenet.data.published.cityscapes import TRAIN_IDS
from bridgenet.synthetic import generate
from tests.pictures import noise
from tests.training.tiny import tiny_config

SIZE = {"cityscapes": (64, 128), "cityscapes_mtan": (32, 64)}
NAMES = list(SIZE)


def _recipe(root: Path, name: str) -> Path:
    settings = tiny_config(root, steps=2, evaluate_every=2, log_images=1, trackers=["tensorboard"]).as_dict()
    size = list(SIZE[name])
    cache = {"cache": "disk", "cache_folder": str(root / "cache")}
    settings["data"] = {"name": name, "root": str(root), "size": size, "eval_size": size, "workers": 0, **cache}
    settings["data"]["augment"] = name != "cityscapes"
    (root / "recipe.yaml").write_text(yaml.safe_dump(settings))
    return root / "recipe.yaml"


@pytest.fixture(scope="module", params=NAMES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run, trained and evaluated by the commands, in the data root."""
    root = tmp_path_factory.mktemp(request.param)
    generate(request.param, root, train=2, val=2, size=SIZE[request.param])
    assert run(["train", str(_recipe(root, request.param)), "--out", str(root / "run"), "--device", "cpu"]) == 0
    assert run(["evaluate", str(root / "run"), "--device", "cpu"]) == 0
    return root / "run"


def _name(trained: Path) -> str:
    return str(yaml.safe_load((trained / "config.yaml").read_text())["data"]["name"])


def test_network_sees_the_protocols_size(trained: Path) -> None:
    config = load(trained, device="cpu").config
    assert tuple(config.image_size) == (32, 64)  # half of the labels' size, and that size


def test_evaluate_report_and_weights_alone(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads((trained / "evaluation.json").read_text())
    name = _name(trained)
    assert told["canvas"] == list(SIZE[name])
    assert told["shrink"] == (2 if name == "cityscapes" else 1)
    if name == "cityscapes":
        assert set(told["scores"]["disparity"]) >= {"rmse", "mae", "abs_rel"}
    else:
        assert set(told["scores"]["inverse_depth"]) >= {"abs_err", "rel_err"}
    with (trained / "per_image.csv").open(newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    assert len(ids) == 2 and all("/" in name for name in ids)

    assert run(["report", str(trained), "--device", "cpu"]) == 0, capsys.readouterr().err
    page = (trained / "report.html").read_text()
    assert "2 synthetic streets" in page and ids[0] in page

    weights = [
        "evaluate",
        str(trained / "best.safetensors"),
        "--data.root",
        str(trained.parent),
        "--out",
        str(tmp_path),
    ]
    assert run([*weights, "--device", "cpu"]) == 0
    again = json.loads((tmp_path / "evaluation.json").read_text())
    assert again["scores"] == told["scores"]


def test_scores_by_hand(trained: Path) -> None:
    """Images at half the size into the network, its logits at the labels' size, from the files themselves."""
    if _name(trained) != "cityscapes":
        pytest.skip("the protocol with two sizes")
    network = load(trained / "best.safetensors", device="cpu").network
    errors, right, labelled = [], 0, 0
    for path in (trained.parent / "cityscapes/leftImg8bit/val").rglob("*.png"):
        files = str(path).replace("leftImg8bit/", "{0}/").replace("leftImg8bit.png", "{1}.png")
        image = cv2.resize(np.asarray(Image.open(path), np.float32), (64, 32), interpolation=cv2.INTER_LINEAR)
        image = ((image / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)).astype(np.float32)
        with torch.inference_mode():
            logits = network(torch.from_numpy(image).permute(2, 0, 1)[None]).logits
        disparity, classes = (
            F.interpolate(logits[task], (64, 128), mode="bilinear", align_corners=False)[0].numpy()
            for task in ("disparity", "semseg")
        )
        ids = np.asarray(Image.open(files.format("gtFine", "gtFine_labelIds")))
        stored = np.asarray(Image.open(files.format("disparity", "disparity"))).astype(np.float64)
        true = np.where(ids == 23, 0, (stored - 1) / 256)
        counts = (stored > 0) & (true > 0) & (true < 80)
        errors.append((np.maximum(disparity[0], 0) - true)[counts])
        train_ids = TRAIN_IDS[ids]
        right += int((classes.argmax(0) == train_ids).sum())
        labelled += int((train_ids != 255).sum())
    scores = json.loads((trained / "evaluation.json").read_text())["scores"]
    assert scores["disparity"]["rmse"] == pytest.approx(np.sqrt((np.concatenate(errors) ** 2).mean()), rel=1e-5)
    assert scores["semseg"]["pixel_accuracy"] == pytest.approx(right / labelled, rel=1e-3)  # nearly equal logits aside


def test_predictions_have_the_pictures_size(trained: Path, tmp_path: Path) -> None:
    picture = tmp_path / "street.png"
    Image.fromarray(noise(64, 128)).save(picture)
    assert run(["predict", str(trained), str(picture), "--out", str(tmp_path), "--device", "cpu"]) == 0
    assert np.asarray(Image.open(tmp_path / "street/semseg.png")).shape == (64, 128)
    values = np.load(tmp_path / f"street/{'disparity' if _name(trained) == 'cityscapes' else 'inverse_depth'}.npy")
    assert values.shape == (64, 128) and values.min() >= 0


def test_boundaries_are_refused_in_words(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--data", _name(trained), "--data-root", str(trained.parent)]
    assert run(["evaluate-boundaries", str(tmp_path), *options]) == 2
    assert "has no edge" in capsys.readouterr().err


def test_a_size_that_is_no_multiple_is_told(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(trained.parent / "recipe.yaml")
    options = ["--data.shrink", "3", "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert run(["train", recipe, *options]) == 2
    assert "divisible by 3" in capsys.readouterr().err
    assert run(["train", recipe, "--data.shrink", "0", "--out", str(tmp_path / "run"), "--device", "cpu"]) == 2
    assert "data.shrink is 0, expected a whole number, at least 1" in capsys.readouterr().err
