"""Named sets of scenes: made once, verified every time, and never mistaken for something else."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bridgenet.cli.main import run
from bridgenet.errors import UserError
from bridgenet.synthetic import DIFFICULTIES, LAYOUTS, VERSION, benchmarks, generate
from bridgenet.synthetic.benchmarks import BENCHMARKS, SyntheticBenchmark, labels_checksum, make

TINY = SyntheticBenchmark(
    name="tiny-v1",
    layout="nyud",
    train=2,
    val=1,
    size=(32, 40),
    seed=5,
    difficulty="hard",
    labels_sha256="",
    generator_version=VERSION,
)


@pytest.fixture(scope="module")
def checksum(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("tiny")
    return labels_checksum(generate("nyud", out, **TINY.arguments))


@pytest.fixture
def tiny(checksum: str, monkeypatch: pytest.MonkeyPatch) -> SyntheticBenchmark:
    """A small benchmark in the registry."""
    benchmark = dataclasses.replace(TINY, labels_sha256=checksum)
    monkeypatch.setitem(BENCHMARKS, "tiny-v1", benchmark)
    return benchmark


def test_registered_benchmarks_can_be_made() -> None:
    for name, benchmark in BENCHMARKS.items():
        assert benchmark.name == name and benchmark.layout in LAYOUTS and benchmark.difficulty in DIFFICULTIES
        assert benchmark.generator_version == VERSION
        assert len(benchmark.labels_sha256) == 64 and int(benchmark.labels_sha256, 16)


def test_it_is_made_recorded_and_reused(tiny: SyntheticBenchmark, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folder = make("tiny-v1", tmp_path, lambda *c: calls.append(c))
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        assert make("tiny-v1", tmp_path, lambda *c: calls.append(c)) == folder
    assert folder == tmp_path / "tiny-v1/NYUDv2"
    assert calls == [(1, 3), (2, 3), (3, 3)]  # nothing is rendered again
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    record = json.loads((folder / "scenes.json").read_text())
    assert record["difficulty"] == "hard" and record["benchmark"] == "tiny-v1"
    assert record["labels_sha256"] == tiny.labels_sha256


def test_other_labels_are_told_and_recorded(tiny: SyntheticBenchmark, tmp_path: Path) -> None:
    folder = make("tiny-v1", tmp_path)
    depth = np.load(folder / "depth/0001.npy")
    depth[3, 4] += 0.5
    np.save(folder / "depth/0001.npy", depth)
    with pytest.warns(UserWarning, match="not those of tiny-v1: results do not compare"):
        make("tiny-v1", tmp_path)
    found = json.loads((folder / "scenes.json").read_text())["labels_sha256"]
    assert found == labels_checksum(folder) != tiny.labels_sha256


def test_checksum_is_of_values_not_of_files(tiny: SyntheticBenchmark, tmp_path: Path) -> None:
    folder = make("tiny-v1", tmp_path)
    for kind in ("segmentation", "edge", "normals"):
        path = folder / kind / "0002.png"
        before = path.read_bytes()
        Image.open(path).save(path, compress_level=0)
        assert path.read_bytes() != before
    depth = np.load(folder / "depth/0002.npy")
    np.save(folder / "depth/0002.npy", (np.rint(depth * 100) / 100).astype(np.float64))
    assert labels_checksum(folder) == tiny.labels_sha256


@pytest.mark.parametrize("kind", ["segmentation", "edge", "normals"])
def test_checksum_sees_every_task(kind: str, tiny: SyntheticBenchmark, tmp_path: Path) -> None:
    folder = make("tiny-v1", tmp_path)
    path = folder / kind / "0003.png"
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    labels[5, 6] = 255 - labels[5, 6] if kind != "segmentation" else labels[5, 6] % 40 + 1
    cv2.imwrite(str(path), labels)
    assert labels_checksum(folder) != tiny.labels_sha256


def test_an_interrupted_run_leaves_nothing(tiny: SyntheticBenchmark, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make("tiny-v1", tmp_path, stop)
    assert list(tmp_path.iterdir()) == []


def test_other_data_in_its_place_are_left_alone(tiny: SyntheticBenchmark, tmp_path: Path) -> None:
    folder = generate("nyud", tmp_path / "tiny-v1", **{**tiny.arguments, "seed": 6})
    with pytest.raises(UserError, match="something else than tiny-v1"):
        make("tiny-v1", tmp_path)
    (folder / "scenes.json").unlink()
    with pytest.raises(UserError, match="something else than tiny-v1"):
        make("tiny-v1", tmp_path)


def test_lost_files_are_named(tiny: SyntheticBenchmark, tmp_path: Path) -> None:
    (make("tiny-v1", tmp_path) / "edge/0001.png").unlink()
    with pytest.raises(UserError, match=r"edge/0001\.png"):
        make("tiny-v1", tmp_path)


def test_another_generator_does_not_make_it(
    tiny: SyntheticBenchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmarks, "VERSION", VERSION + 1)
    with pytest.raises(UserError, match="version 1 of the generator of scenes, this is 2"):
        make("tiny-v1", tmp_path)


def test_unknown_names() -> None:
    with pytest.raises(UserError, match=r"'room-v1' is not a benchmark \(did you mean rooms-v1\?\)"):
        benchmarks.find("room-v1")


def test_command(tiny: SyntheticBenchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "generate", "--benchmark", "tiny-v1", "--out", str(tmp_path)]
    assert run([*command, "--train", "2", "--size", "32", "40"]) == 0  # what it is anyway
    said = capsys.readouterr().out
    assert "2 train + 1 val of 32×40" in said
    assert f"bridgenet train demo --data.root {tmp_path / 'tiny-v1'} --data.size '[32, 40]'" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--train", "3"], "--train 3: tiny-v1 is fixed at 2"),
        (["--size", "40", "32"], "--size 40 32: tiny-v1 is fixed at 32 40"),
        (["--layout", "pascal"], "--layout pascal: tiny-v1 is fixed at nyud"),
        (["--difficulty", "plain"], "--difficulty plain: tiny-v1 is fixed at hard"),
        (["--seed", "0"], "--seed 0: tiny-v1 is fixed at 5"),
    ],
)
def test_options_that_contradict(
    options: list[str], said: str, tiny: SyntheticBenchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "generate", "--benchmark", "tiny-v1", "--out", str(tmp_path), *options]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
