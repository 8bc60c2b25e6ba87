"""Training, evaluation and report where labels lack, by the command line."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from bridgenet.checkpoints import BEST, read_information
from bridgenet.cli.main import run
from bridgenet.training.labels import SeenLabels
from bridgenet.training.run import train
from tests.data.layouts import NYUD_IDS
from tests.data.own import make_folder
from tests.training.tiny import tiny_config

TEXTS = {
    "one": "split: {val: 0.3}\nsize: [32, 32]\ntasks: {semseg: {folder: labels, classes: {7: road, 11: house}, ignore: [255]}}",
    "two": "split: {val: 0.3}\nsize: [32, 32]\ntasks: {depth: {unit: mm}, edge: {folder: edges}}",
}


def write_recipe(folder: Path, **changes: Any) -> Path:
    """Two folders with different tasks and a configuration, beside them, that trains both."""
    for name, text in TEXTS.items():
        make_folder(folder / name, f"name: {name}\n{text}")
    settings = tiny_config(folder, steps=3, evaluate_every=3, save_every=1).as_dict()
    settings["data"] = {"name": [f"{name}/data.yaml" for name in TEXTS], "workers": 0, **changes}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_two_data_sets_from_training_to_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, out = str(write_recipe(tmp_path, weights=[1, 3])), tmp_path / "run"
    for path in (tmp_path / "two/depth").glob("[ab].png"):
        path.unlink()
    assert run(["train", recipe, "--out", str(out), "--device", "cpu"]) == 0
    assert "note: labels in training: semseg 4, depth " in capsys.readouterr().out
    assert run(["evaluate", str(out), "--device", "cpu", "--boundary-workers", "1"]) == 0
    assert re.search(r"semseg +mIoU ↑ +\S+ % +2 of 4\n", capsys.readouterr().out)
    told = json.loads((out / "evaluation.json").read_text())
    assert told["data"] == "one + two" and told["images"] == 4
    assert told["labelled"]["semseg"] == told["labelled"]["edge"] == 2
    assert told["labelled_in_training"].startswith("semseg 4, depth ")
    assert "odsF" in told["scores"]["edge"]
    assert (out / "edge/two").is_dir()
    assert run(["report", str(out), "--device", "cpu"]) == 0
    page = (out / "report.html").read_text()
    assert told["labelled_in_training"] in page


def test_going_on_gives_what_an_uninterrupted_run_gives(tmp_path: Path) -> None:
    recipe = str(write_recipe(tmp_path))
    settings = yaml.safe_load(Path(recipe).read_text())
    settings["optimizer"]["power"] = 0.0  # rates that do not depend on the number of steps
    Path(recipe).write_text(yaml.safe_dump(settings))
    for out, steps in [("whole", 3), ("parts", 2)]:
        assert run(["train", recipe, "--out", str(tmp_path / out), "--device", "cpu", "--steps", str(steps)]) == 0
    settings = yaml.safe_load((tmp_path / "parts/config.yaml").read_text())
    (tmp_path / "parts/config.yaml").write_text(yaml.safe_dump(settings | {"steps": 3}))
    assert run(["train", str(tmp_path / "parts"), "--resume", "--device", "cpu"]) == 0
    last = [[row for row in rows(tmp_path / out) if row["kind"] == "train"][-1] for out in ("whole", "parts")]
    assert {key: last[0][key] for key in ("step", "losses")} == {key: last[1][key] for key in ("step", "losses")}


def test_step_without_a_label_has_no_loss(tmp_path: Path) -> None:
    recipe = str(write_recipe(tmp_path))
    for path in (tmp_path / "one/labels").iterdir():  # there, but nothing in them is labelled
        path.write_bytes((tmp_path / "one/labels/a.png").read_bytes())
    text = (
        (tmp_path / "one/data.yaml")
        .read_text()
        .replace("ignore: [255]", "ignore: [255, 7, 11]")
        .replace("{7: road, 11: house}", "{0: road, 1: house}")
    )
    (tmp_path / "one/data.yaml").write_text(text)
    out = tmp_path / "run"
    assert run(["train", recipe, "--out", str(out), "--device", "cpu"]) == 0
    losses = [row["losses"] for row in rows(out) if row["kind"] == "train"]
    assert [row["semseg"] for row in losses] == [row["intermediate/semseg"] for row in losses] == [None] * 3
    assert all(row["depth"] > 0 for row in losses)
    (evaluation,) = (row for row in rows(out) if row["kind"] == "evaluation")
    assert evaluation["scores"]["depth"]["rmse"] > 0


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0]])
def test_wrong_weights_are_told_before_the_folder_is_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], weights: list[float]
) -> None:
    recipe = write_recipe(tmp_path, weights=weights)
    assert run(["train", str(recipe), "--out", str(tmp_path / "run"), "--device", "cpu"]) == 2
    assert f"data.weights is {weights}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_task_without_labels_is_told_before_the_folder_is_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_recipe(tmp_path)
    for path in (tmp_path / "two/depth").iterdir():
        path.unlink()
    assert run(["train", str(recipe), "--out", str(tmp_path / "run"), "--device", "cpu"]) == 2
    assert "no training image of one + two has a label of depth; choose other tasks" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_validation_without_any_label(nyud_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("segmentation", "depth", "normals", "edge"):
        for name in NYUD_IDS["val"]:
            next((nyud_root / "NYUDv2" / kind).glob(f"{name}.*")).unlink()
    config = tiny_config(nyud_root, steps=2, evaluate_every=1)
    config.data.partial = True
    train(config, tmp_path / "run", device="cpu")
    said = capsys.readouterr().out
    assert "note: labels in validation: semseg 0, depth 0, normals 0, edge 0 of 2 images" in said
    assert read_information(tmp_path / "run" / BEST)["step"] == 2  # nothing tells which is better: the last
    assert run(["evaluate", str(tmp_path / "run"), "--device", "cpu"]) == 0
    assert re.search(r"depth +RMSE ↓ +– +0 of 2\n", capsys.readouterr().out)
    told = json.loads((tmp_path / "run/evaluation.json").read_text())
    assert told["scores"]["depth"]["rmse"] is None and "boundaries" not in told
    assert run(["report", str(tmp_path / "run"), "--device", "cpu"]) == 0


def test_pictures_where_a_folder_of_ones_own_comes_first(
    nyud_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = "tasks: {towns_a_long_name: {kind: regression, folder: height}}"
    own = make_folder(tmp_path / "towns", f"size: [32, 32]\n{task}")
    config = tiny_config(nyud_root, steps=1)
    config.data.name = [str(own), "nyud"]
    train(config, tmp_path / "run", device="cpu")
    assert run(["evaluate", str(tmp_path / "run"), "--device", "cpu", "--no-boundaries"]) == 0
    assert re.search(r"\ntowns_a_long_name +MAE ↓ ", capsys.readouterr().out)
    assert json.loads((tmp_path / "run/evaluation.json").read_text())["data_root"] == str(nyud_root)
    assert run(["report", str(tmp_path / "run"), "--device", "cpu"]) == 0
    assert "No pictures" not in (tmp_path / "run/report.md").read_text()


def test_seen_labels() -> None:
    seen = SeenLabels(["depth", "edge"])
    nothing, something = torch.full((1, 1, 2, 2), math.nan), torch.tensor([[[[math.nan, 0], [1, 1]]]])
    batches = [{"depth": nothing, "edge": nothing}, {"depth": nothing, "edge": something}]
    assert list(seen.watch(batches)) == batches
    assert seen.of_last_step().tolist() == [0, 1]
    list(seen.watch(batches[:1]))
    assert seen.of_last_step().tolist() == [0, 0]
