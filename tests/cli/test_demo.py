"""The demo in tiny: every part of the folder it promises, a second call that reuses it, an interrupted one that goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridgenet import config as configuration
from bridgenet.checkpoints import LAST, read_information
from bridgenet.cli import demo_run as module
from bridgenet.cli.demo_run import comparison, demo, report, text_table
from bridgenet.report.plots import training_curves
from bridgenet.training import run as training
from bridgenet.training.prepare import Prepared
from bridgenet.training.run import Interrupted


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few small rooms and a few steps of the demo's own network."""
    load = configuration.load
    small = ["--steps", "3", "--batch_size", "2", "--evaluate_every", "3", "--data.size", "[32, 48]"]
    settings = [*small, "--data.eval_size", "[32, 48]", "--trackers", "[]", "--save_every", "1"]
    monkeypatch.setattr(configuration, "load", lambda source: load(source, settings))
    for layout, full in module.DEMOS.items():
        monkeypatch.setitem(module.DEMOS, layout, replace(full, train=4, val=2, size=(32, 48)))


def test_demo(tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    step = training.make_step

    def stopped(run: Prepared, number: int, batches: Any) -> object:
        if number == 1:
            raise Interrupted
        return step(run, number, batches)

    monkeypatch.setattr(training, "make_step", stopped)
    with pytest.raises(Interrupted):
        demo(tmp_path, device="cpu")
    monkeypatch.setattr(training, "make_step", step)
    assert read_information(tmp_path / "run" / LAST)["step"] == 1

    page = demo(tmp_path, device="cpu")
    said = capsys.readouterr().out
    assert "made before" in said and "best constant" in said
    assert page.read_text().count("<img ") == 3  # curves and two rooms
    assert "://" not in page.read_text()  # self-contained
    assert len(list((tmp_path / "predictions").glob("*.png"))) == 2
    assert (tmp_path / "curves.png").is_file()
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores["bridgenet"]) == set(scores["best_constant"]) == {"semseg", "depth", "normals", "edge"}

    demo(tmp_path, device="cpu")
    assert "done before" in capsys.readouterr().out


def test_streets(tiny: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = demo(tmp_path, layout="cityscapes", device="cpu").read_text()
    assert "4 train + 2 val streets, 32×48, Cityscapes layout" in capsys.readouterr().out
    assert "on synthetic streets" in page and page.count("<img ") == 3
    pictures = sorted(path.name for path in (tmp_path / "predictions").iterdir())
    assert pictures == ["eastmere_000000_000019.png", "farnhausen_000000_000019.png"]
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores["bridgenet"]) == set(scores["best_constant"]) == {"semseg", "disparity"}


def test_comparison_tells_gains_in_words() -> None:
    ours = {"semseg": {"mIoU": 0.4}, "depth": {"rmse": 0.5}, "edge": {"loss": 9.0, "odsF": 0.4}}
    constant = {"semseg": {"mIoU": 0.1}, "depth": {"rmse": 1.0}, "edge": {"loss": 9.0, "odsF": 0.5}}
    rows = comparison(ours, constant)
    assert rows[0] == ("semseg", "mIoU ↑", "40.0 %", "10.0 %", "4×")
    assert rows[1] == ("depth", "RMSE ↓", "0.500 m", "1.000 m", "50 %")
    assert rows[2][-1] == "-20 %"  # worse is told as well
    assert len({len(line) for line in text_table(rows).splitlines()}) == 1


def test_report_escapes_what_it_shows() -> None:
    page = report([("<b>", "m", "1", "2", "3 %")], training_curves([]), {}, "a & b", "room")
    assert "&lt;b&gt;" in page and "a &amp; b" in page
