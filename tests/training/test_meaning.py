"""The meaning of labels is tied to weights and runs: names, order and stored values of classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bridgenet import data
from bridgenet.cli.main import run
from bridgenet.config.settings import DataSettings
from bridgenet.errors import UserError
from bridgenet.prediction.model import load
from bridgenet.training import prepare
from bridgenet.training.run import train
from tests.data.layouts import write
from tests.training.tiny import tiny_config

CLASSES = "{3: none, 7: light, 9: heavy}"
YAML = f"""
name: meaning
split: {{val: 0.3}}
size: [32, 32]
tasks:
  meaning_damage: {{kind: classes, folder: damage, classes: {CLASSES}, ignore: [0]}}
  meaning_height: {{kind: regression, folder: height, unit: m, range: [0, 9]}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("meaning")
    rng = np.random.default_rng(0)
    for name in "abcdef":
        damage = rng.choice(np.array([0, 3, 7, 9], np.uint8), (8, 8)).repeat(4, 0).repeat(4, 1)
        write(folder / f"damage/{name}.png", damage)
        write(folder / f"images/{name}.png", np.repeat(damage[..., None] * np.uint8(20), 3, axis=2))
        write(folder / f"height/{name}.npy", rng.uniform(0, 9, (32, 32)).astype(np.float32))
    (folder / "data.yaml").write_text(YAML)
    settings = DataSettings(name=str(folder / "data.yaml"), workers=0)
    train(tiny_config(folder, data=settings, steps=2, evaluate_every=2), folder / "run", device="cpu")
    return folder


@pytest.fixture
def edited(folder: Path, request: pytest.FixtureRequest) -> Path:
    request.addfinalizer(lambda: (folder / "data.yaml").write_text(YAML))
    return folder


def scores(folder: Path, yaml: str, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    (folder / "other.yaml").write_text(yaml)
    how = ["--data", str(folder / "other.yaml"), "--out", str(folder / "scores"), "--device", "cpu"]
    code = run(["evaluate", str(folder / "run"), *how, "--flip"])
    if code:
        raise UserError(capsys.readouterr().err)
    told = json.loads((folder / "scores/evaluation.json").read_text())
    return {**told["scores"]["meaning_damage"], "order": told["class_names"]["meaning_damage"]}


def test_classes_are_matched_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = scores(folder, YAML, capsys)
    other = scores(folder, YAML.replace(CLASSES, "{9: heavy, 3: none, 7: light}"), capsys)
    assert other.pop("order") == ["heavy", "none", "light"] != own.pop("order")
    assert other == pytest.approx(own)


def test_reference_of_other_classes_is_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = {"scores": {"meaning_damage": {"mIoU": 0.5}}, "class_names": {"meaning_damage": ["none", "slight"]}}
    (tmp_path / "evaluation.json").write_text(json.dumps(own))
    how = ["--out", str(tmp_path / "scores"), "--device", "cpu", "--reference", str(tmp_path)]
    assert run(["evaluate", str(folder / "run"), *how]) == 0
    assert "the reference has other classes of meaning_damage" in capsys.readouterr().err


def test_other_names_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for classes in ("{3: none, 7: slight, 9: heavy}", "{3: none, 7: slight, 9: heavy, 11: gone}"):
        with pytest.raises(UserError, match="has other classes of meaning_damage than meaning") as error:
            scores(folder, YAML.replace(CLASSES, classes), capsys)
        assert "it alone has light; meaning alone has " in str(error.value)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            CLASSES,
            "{9: heavy, 7: light, 3: none}",
            "meaning_damage.classes was ['3: none', '7: light', '9: heavy'], now",
        ),
        (CLASSES, "{3: none, 7: light, 8: heavy}", "now ['3: none', '7: light', '8: heavy']"),
        (CLASSES, "{3: none, 7: light, 9: heavy, 0: gone}", "meaning_damage.classes was"),
        ("ignore: [0]", "ignore: [0, 5]", "meaning_damage.ignore was [0], now [0, 5]"),
        ("range: [0, 9]", "range: [0, 8]", "meaning_height.range was [0.0, 9.0], now [0.0, 8.0]"),
        ("unit: m,", "unit: m, scale: 0.1,", "meaning_height.scale was not there, now 0.1"),
    ],
)
def test_no_resume_with_another_description(
    edited: Path, before: str, after: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = YAML.replace(before, after).replace(", ignore: [0]", "" if "gone" in after else ", ignore: [0]")
    (edited / "data.yaml").write_text(changed)
    assert run(["train", str(edited / "run"), "--resume", "--out", str(edited / "run"), "--device", "cpu"]) == 2
    message = capsys.readouterr().err
    assert "was started with another description of meaning" in message
    assert told in message


def test_runs_of_older_versions_are_resumed(
    edited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which have the names of classes alone."""
    settings = DataSettings(name=str(edited / "data.yaml"), workers=0)
    with monkeypatch.context() as older:
        older.setattr(prepare, "MEANING", "not_there_yet")
        train(tiny_config(edited, data=settings, steps=1), tmp_path / "run", device="cpu")
    (edited / "data.yaml").write_text(YAML.replace("range: [0, 9]", "range: [0, 8]"))
    command = ["train", str(tmp_path / "run"), "--resume", "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert run(command) == 0, capsys.readouterr().err
    (edited / "data.yaml").write_text(YAML.replace(CLASSES, "{9: heavy, 7: light, 3: none}"))
    assert run(command) == 2
    assert "meaning_damage.classes was ['none', 'light', 'heavy'], now" in capsys.readouterr().err


def test_predictions_in_the_values_of_labels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, out = folder / "images/a.png", folder / "predicted"
    command = ["predict", str(folder / "run"), str(picture), "--out", str(out), "--outputs", "raw", "labels"]
    assert run([*command, "--device", "cpu"]) == 0, capsys.readouterr().err
    raw = np.asarray(Image.open(out / "a/meaning_damage.png"))
    labels = np.asarray(Image.open(out / "a/meaning_damage_labels.png"))
    assert np.array_equal(np.array([3, 7, 9], np.uint8)[raw], labels)
    assert json.loads((out / "classes.json").read_text()) == {
        "meaning_damage": [
            {"index": 0, "value": 3, "name": "none"},
            {"index": 1, "value": 7, "name": "light"},
            {"index": 2, "value": 9, "name": "heavy"},
        ]
    }


def test_values_of_labels_that_are_not_known(folder: Path, tmp_path: Path) -> None:
    """Weights of older versions do not record them."""
    result = load(folder / "run", device="cpu").predict(folder / "images/a.png")
    result.class_values = {"meaning_damage": [300, 7, 65535]}
    result.save(tmp_path / "wide", ["labels"])
    assert np.asarray(Image.open(tmp_path / "wide/meaning_damage_labels.png")).max() > 255
    result.class_values = {"meaning_damage": [3]}
    result.maps["meaning_damage"][0, 0] = 2
    with pytest.raises(UserError, match="class 2 of meaning_damage has no value in label files: only 1 are recorded"):
        result.save(tmp_path / "none", ["labels"])
    result.class_values = {}
    with pytest.raises(UserError, match="not known which values label files have for the classes of meaning_damage"):
        result.save(tmp_path / "none", ["labels"])
    with pytest.raises(UserError, match="labels are written for classes, which are not among the tasks"):
        result.maps.pop("meaning_damage")
        result.save(tmp_path / "none", ["labels"])


def test_values_of_published_labels() -> None:
    cityscapes, nyud = (data.info(name).stored_values("semseg") for name in ("cityscapes", "nyud"))
    assert cityscapes == [7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33]
    assert nyud == list(range(1, 41))
    assert data.info("pascal").stored_values("human_parts") == list(range(7))
