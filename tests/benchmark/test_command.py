"""`bridgenet benchmark …`: files, tables, exit codes and the words of errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bridgenet.benchmark import machine
from bridgenet.benchmark.isolation import Failed
from bridgenet.cli import main as cli
from bridgenet.cli.benchmark import SCRIPTS
from tests.benchmark import scripts

FAST = ["--runs", "1", "--product", "32", "--device", "cpu"]


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ") and "Traceback" not in shown.err
    return shown.err


@pytest.mark.usefixtures("here", "counts")
def test_inference(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "out"
    arguments = ["benchmark", "inference", str(tiny), "--ways", "optimised", "plain", "--batch", "1", "2"]
    assert cli.run([*arguments, "--size", "32x48", "--out", str(out), *FAST]) == 0
    shown = capsys.readouterr().out
    content = read(out / "inference.json")
    assert [(r["case"]["way"], r["case"]["batch"]) for r in content["records"]] == [
        ("optimised", 1),
        ("optimised", 2),
        ("plain", 1),
        ("plain", 2),
    ]
    assert {tuple(r["case"]["size"]) for r in content["records"]} == {(32, 48)}
    assert content["machine"]["cores"] >= 1 and content["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert "[4/4]" in shown and "Weights are random" in shown and content["versions"]["torch"] in shown
    assert f"→ {out}/inference.json" in shown
    draw = scripts.load("draw")
    draw.main([str(out / "inference.json")])
    assert (out / "inference.png").stat().st_size > 1000


def test_a_process_of_its_own(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way, once."""
    assert cli.run(["benchmark", "inference", str(tiny), "--out", str(tmp_path), *FAST]) == 0
    result = read(tmp_path / "inference.json")["records"][0]["result"]
    assert result["memory"] >= result["memory_built"] > 1e6  # [bytes]


@pytest.mark.usefixtures("here", "counts")
def test_training_takes_the_recipes_batch(tiny: Path, tmp_path: Path) -> None:
    assert cli.run(["benchmark", "training", str(tiny), "--out", str(tmp_path), *FAST]) == 0
    (record,) = read(tmp_path / "training.json")["records"]
    assert record["case"]["batch"] == 2 and record["result"]["gmac_source"] == "counted"


def test_cost(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["benchmark", "cost", str(tiny), "--out", str(tmp_path)]) == 0
    assert "32×32" in capsys.readouterr().out
    assert read(tmp_path / "cost.json")["records"][0]["result"]["parameters"] > 1000


@pytest.mark.usefixtures("here", "counts")
def test_a_killed_case_is_told_and_the_rest_goes_on(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(work, case) -> dict[str, Any]:
        if case.batch == 1:
            raise Failed("killed, for want of memory perhaps")
        return work(case)

    monkeypatch.setattr("bridgenet.benchmark.results.isolated", measure)
    arguments = ["benchmark", "inference", str(tiny), "--batch", "1", "2", "--out", str(tmp_path), *FAST]
    assert cli.run(arguments) == 1
    assert "– killed, for want of memory perhaps" in capsys.readouterr().out
    first, second = read(tmp_path / "inference.json")["records"]
    assert (first["result"], first["error"]) == (None, "killed, for want of memory perhaps")
    assert second["result"]["share"] > 0


@pytest.mark.usefixtures("here", "counts")
def test_interruption_keeps_what_is_finished(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(work, case) -> dict[str, Any]:
        if case.batch == 2:
            raise KeyboardInterrupt
        return work(case)

    monkeypatch.setattr("bridgenet.benchmark.results.isolated", measure)
    arguments = ["benchmark", "inference", str(tiny), "--batch", "1", "2", "--out", str(tmp_path), *FAST]
    assert cli.run(arguments) == 130
    assert f"stopped; 1 finished case is in {tmp_path}/inference.json" in capsys.readouterr().out
    assert [record["case"]["batch"] for record in read(tmp_path / "inference.json")["records"]] == [1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inference", "nyud-vit-larg"], "nyud-vit-larg is neither a preset (did you mean nyud-vit-large?)"),
        (["inference", "demo", "--size", "448"], "'448' is no size, expected HEIGHTxWIDTH, e.g. 448x576"),
        (["inference", "demo", "--size", "0x32"], "is no size"),
        (["inference", "demo", "--batch", "0"], "'0' is not a number of 1 or more"),
        (["inference", "demo", "--ways", "fast"], "'fast' is not a way of inference (optimised, plain, compiled"),
        (["inference", "demo", "--end-to-end", "--batch", "2"], "leave out --batch"),
        (["inference", "demo", "--precision", "int8"], "invalid choice: 'int8'"),
        (["data", "nyud", "--size", "96x128"], "data is a script now: python benchmarks/loading.py"),
        (["metrics"], "metrics is a script now: python benchmarks/metrics.py"),
        (["sizes", "demo", "--help"], "sizes is a script now: python benchmarks/scaling.py sizes"),
        (["inferense", "demo"], "invalid choice"),
    ],
)
def test_wrong_requests(arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert words in fails(["benchmark", *arguments, "--out", str(out)], capsys)
    assert not out.exists()


def test_scripts_are_there() -> None:
    assert all((scripts.FOLDER / script.split()[0]).is_file() for script in SCRIPTS.values())


def test_gpu_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for what in (["inference", "demo"], ["training", "demo"]):
        assert "--device cuda: there is no GPU" in fails(["benchmark", *what, "--device", "cuda"], capsys)
    assert machine.choose_devices(["auto", "cpu"]) == ["cpu"]


def test_precision_that_the_device_lacks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(machine, "_cpuinfo", lambda key: "fpu avx512f" if key == "flags" else "")
    words = fails(["benchmark", "inference", "demo", "--precision", "bfloat16", "--device", "cpu"], capsys)
    assert "--precision bfloat16: this processor does not compute in it" in words
    monkeypatch.setattr(machine, "_cpuinfo", lambda key: "fpu avx512_bf16" if key == "flags" else "")
    machine.check_precisions(["cpu"], ["bfloat16"])
    monkeypatch.setattr(machine, "_cpuinfo", lambda key: "")  # a system that does not tell
    machine.check_precisions(["cpu"], ["bfloat16"])


def test_out_that_cannot_be_written(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        words = fails(["benchmark", "inference", str(tiny), "--out", str(out), *FAST], capsys)
        assert f"--out {out} cannot be made" in words


def test_help_is_light() -> None:
    code = "import sys; from bridgenet.cli import main; main.build_parser(); sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
