"""Error maps, and pictures of the best and worst images of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bridgenet import UserError
from bridgenet.report import report
from bridgenet.report.examples import error_map, examples
from bridgenet.report.sources import read_sources
from bridgenet.tasks import IGNORE
from bridgenet.tasks.colours import ERROR_NO_LABEL, NO_LABEL, RIGHT, WRONG
from tests.report import runs


def test_error_of_classes() -> None:
    drawn, key = error_map("semseg", np.array([[1, 2, 3]]), np.array([[1, 1, IGNORE]]))
    assert drawn.tolist() == [[RIGHT.tolist(), WRONG.tolist(), NO_LABEL.tolist()]]
    assert [name for _, name in key.swatches] == ["right", "wrong", "no label"]


def test_error_of_depth_is_brighter_where_it_is_larger() -> None:
    drawn, key = error_map("depth", np.array([[2.0, 2.5, 4.0, 9.0]]), np.array([[2.0, 2.0, 2.0, 0.0]]))
    brightness = drawn[0].astype(int).sum(axis=-1)
    assert brightness[0] < brightness[1] < brightness[2]
    assert (drawn[0, 3] == ERROR_NO_LABEL).all()
    assert key.ends == ("0 m", "≥ 1.9 m")


def test_error_of_normals_is_the_angle() -> None:
    front, up, right = np.eye(3)[[2, 1, 0]]
    truth = np.stack([front, front, front, np.full(3, np.nan)])[None]
    drawn, key = error_map("normals", np.stack([front, (front + up) / np.sqrt(2), right, up])[None], truth)
    brightness = drawn[0].astype(int).sum(axis=-1)
    assert brightness[0] < brightness[1] < brightness[2]
    assert (drawn[0, 3] == ERROR_NO_LABEL).all() and key.ends == ("0°", "≥ 60°")


def test_error_without_any_label() -> None:
    drawn, _ = error_map("depth", np.ones((1, 2)), np.zeros((1, 2)))
    assert (drawn == ERROR_NO_LABEL).all()


def test_best_and_worst_images_of_a_run(nyud_root: Path, tmp_path: Path) -> None:
    run = runs.write_run(tmp_path / "run", nyud_root)
    (run / "per_image.csv").write_text("id,depth.rmse,edge.F\n0004,0.9,0.1\n0005,0.3,0.9\n")
    (source,) = read_sources([run])
    strips = examples(source, 1, device="cpu")
    assert [strip.caption for strip in strips["depth"]] == ["Best 1: 0005, RMSE 0.300 m", "Worst 1: 0004, RMSE 0.900 m"]
    assert [strip.caption for strip in strips["edge"]] == ["Best 1: 0005, F 90.0 %", "Worst 1: 0004, F 10.0 %"]
    assert "not ranked" in strips["normals"][0].caption
    tiles = strips["depth"][0].tiles
    assert [tile.title for tile in tiles] == ["Photo", "Prediction", "Truth", "Error"]
    assert {tile.picture.size for tile in tiles} == {(10, 8)}

    page = report([run], device="cpu").read_text()
    assert page.count('class="strip"') == 2 * 2 + 2 * 2  # all images of depth, edge; two unranked of the others
    assert 'alt="Error of 0005, Depth"' in page


def test_pictures_that_cannot_be_made_are_told(nyud_root: Path, tmp_path: Path) -> None:
    run = runs.write_run(tmp_path / "run", nyud_root)
    (run / "per_image.csv").write_text("id,depth.rmse\n9999,0.9\n")
    (source,) = read_sources([run])
    with pytest.raises(UserError, match="evaluate again"):
        examples(source, 1, device="cpu")
    (nyud_root / "NYUDv2/images/0004.png").unlink()
    text = report([run], device="cpu").with_suffix(".md").read_text()
    assert "No pictures of run" in text and "0004.png" in text


def test_synthetic_rooms_are_told_and_not_compared(nyud_root: Path, tmp_path: Path) -> None:
    run = runs.write_run(tmp_path / "run", nyud_root)
    runs.write(run)  # as many images as published
    told = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps(told | {"synthetic": True}))
    text = report([run], images=False).with_suffix(".md").read_text()
    assert "synthetic rooms in NYUD-v2's layout" in text and "ATRC" not in text
    (run / "evaluation.json").write_text(json.dumps(told))
    assert "ATRC" in report([run], images=False).with_suffix(".md").read_text()
    del told["synthetic"]  # nobody knows: not compared
    (run / "evaluation.json").write_text(json.dumps(told))
    assert "ATRC" not in report([run], images=False).with_suffix(".md").read_text()


def test_pictures_are_of_what_was_evaluated(nyud_root: Path, tmp_path: Path) -> None:
    """Of the data that was evaluated, wherever the run's settings point; none of weights that are others now."""
    run = runs.write_run(tmp_path / "run", nyud_root)
    moved = shutil.move(nyud_root, tmp_path / "moved")
    told = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps(told | {"data_root": str(moved), "data_name": "nyud"}))
    (source,) = read_sources([run])
    assert examples(source, 1, device="cpu")
    (run / "evaluation.json").write_text(json.dumps(told | {"data_root": str(moved), "weights_digest": "another"}))
    (source,) = read_sources([run])
    with pytest.raises(UserError, match="are not those that were evaluated; evaluate again"):
        examples(source, 1, device="cpu")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"details": 3}, "details is no group"),
        ({"details": {"semseg": {"confusion": [[1, 2], [3]]}}}, "the confusion matrix of semseg is not square"),
        ({"gains": {"edge": "x"}}, "gains are no numbers"),
        ({"boundaries": {"odsF": 0.3}}, "boundaries lack protocol"),
    ],
)
def test_evaluations_of_another_make(tmp_path: Path, change: dict, words: str) -> None:
    file = tmp_path / "evaluation.json"
    file.write_text(json.dumps({"scores": {"edge": {"loss": 0.3}}} | change))
    with pytest.raises(UserError, match=rf"evaluation\.json is no whole evaluation \({words}"):
        read_sources([file])
