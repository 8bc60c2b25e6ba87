"""`benchmarks/loading.py`: training samples from files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
import torch

from bridgenet.benchmark.rates import summary
from tests.benchmark import scripts

script = scripts.load("loading")


@pytest.mark.parametrize("name", ["nyud", "pascal"])
def test_rates_of_every_run(name: str) -> None:
    threads = torch.get_num_threads(), cv2.getNumThreads()
    found = script.measure(script.DataCase(name, images=2, size=(40, 52), runs=2, samples=3, batch=2))
    assert list(found["rates"]) == list(script.RATES)
    for rates in found["rates"].values():
        assert len(rates["values"]) == 2
        assert rates["min"] > 0
    pixels = {"nyud": 448 * 576, "pascal": 512 * 512}[name]
    channels = {"nyud": 3 + 1 + 4 + 3 + 1, "pascal": 3 + 1 + 1 + 1 + 3 + 1}[name]
    assert found["bytes_per_sample"] == pixels * channels
    assert found["cache_bytes_per_sample"] == 40 * 52 * channels
    assert threads == (torch.get_num_threads(), cv2.getNumThreads())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["nyu"], "invalid choice: 'nyu'"), (["nyud", "--images", "0"], "'0' is not a number of 1")],
)
def test_what_cannot_be_measured(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        script.main(arguments)
    assert ended.value.code == 2 and words in capsys.readouterr().err


def test_data_table() -> None:
    result = {"rates": {name: summary([60.0, 70.0, 80.0]) for name in script.RATES}}
    result |= {"bytes_per_sample": 2_500_000, "cache_bytes_per_sample": 1_250_000}
    lines = script.table("nyud", result).splitlines()
    assert lines[1].split()[-5:] == ["70", "(60", "to", "80)", "24"]
    assert lines[2].split()[0] == "cached" and lines[2].split()[-1] == "–"
    assert lines[-1] == "a sample takes 2.50 MB in a batch, 1.25 MB in a cache"
    assert "24" not in script.table("pascal", result)


def test_table_file_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = {"rates": {name: summary([60.0, 70.0]) for name in script.RATES}}
    result |= {"bytes_per_sample": 10, "cache_bytes_per_sample": 10}
    monkeypatch.setattr("bridgenet.benchmark.results.isolated", lambda work, case: result)
    assert script.main(["pascal", "--size", "96x128", "--samples", "6", "--out", str(tmp_path)]) == 0
    assert "rooms in pascal's layout, 96×128" in capsys.readouterr().out
    (record,) = json.loads((tmp_path / "data.json").read_text())["records"]
    assert (record["case"]["layout"], record["case"]["samples"]) == ("pascal", 6)
    assert record["result"]["rates"]["loading"]["median"] == 65
    scripts.load("draw").main([str(tmp_path / "data.json")])
    assert (tmp_path / "data.png").is_file()
