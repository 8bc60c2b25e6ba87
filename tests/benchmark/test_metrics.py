"""`benchmarks/metrics.py`: how long updates of the tasks' metrics take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from bridgenet import tasks
from tests.benchmark import scripts

script = scripts.load("metrics")


def test_metrics_of_all_tasks() -> None:
    result = script.measure(script.MetricsCase(batch=1, size=(40, 50), runs=2, warm_up=1))
    assert list(result["tasks"]) == tasks.names()
    for found in result["tasks"].values():
        assert len(found["seconds"]["values"]) == 2 and found["seconds"]["min"] > 0


@pytest.mark.usefixtures("here")
def test_table_file_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--batch", "1", "--size", "32x32", "--runs", "1", "--out", str(tmp_path)]) == 0
    assert "depth" in capsys.readouterr().out
    (record,) = json.loads((tmp_path / "metrics.json").read_text())["records"]
    assert set(record["result"]["tasks"]) >= {"semseg", "edge"}
    scripts.load("draw").main([str(tmp_path / "metrics.json")])
    assert (tmp_path / "metrics.png").is_file()


def test_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        script.main(["--device", "cuda"])
    assert ended.value.code == 2 and "--device cuda: there is no GPU" in capsys.readouterr().err
