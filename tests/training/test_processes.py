"""Two processes (gloo, CPU) against one: gradients, a whole run in bfloat16 with drop path, evaluation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import bridgenet
from bridgenet.config.settings import LossSettings
from bridgenet.training.prepare import prepare
from bridgenet.training.rows import read_rows
from bridgenet.training.run import METRICS
from tests.data.layouts import make_nyud
from tests.training.tiny import tiny_config
from tests.training.two_processes import first_gradients

PROJECT = Path(__file__).parents[2]


def torchrun(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    path = os.pathsep.join([str(PROJECT), str(Path(bridgenet.__file__).parents[1])])  # the package under test
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """Data root, folder that two processes wrote to, and what they said."""
    root, out = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("out")
    make_nyud(root, size=(24, 30))
    result = torchrun("-m", "tests.training.two_processes", str(root), str(out))
    assert result.returncode == 0, result.stderr
    return root, out, result.stdout


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("weighting", ["fixed", "pcgrad"])
def test_first_gradients_equal_those_of_the_joint_batch(
    weighting: str, accumulate: int, trained: tuple[Path, Path, str], tmp_path: Path
) -> None:
    root, out, _ = trained
    config = tiny_config(root, batch_size=2 * accumulate, loss=LossSettings(weighting=weighting))
    one = first_gradients(prepare(config, tmp_path / "one", device="cpu"))
    for rank in (0, 1):
        two = torch.load(out / f"gradients-{weighting}-{accumulate}-{rank}.pt", weights_only=True)
        assert one.keys() == two.keys()
        for name, gradient in one.items():
            assert (two[name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-6, name  # float32, summed otherwise
    assert max(gradient.abs().max() for gradient in one.values()) > 0.01


def test_a_whole_run_in_bfloat16_with_drop_path(trained: tuple[Path, Path, str]) -> None:
    _, out, said = trained
    rows = read_rows(out / "run" / METRICS)
    assert [row["step"] for row in rows if row["kind"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert all(torch.isfinite(torch.tensor(row["loss"])) for row in rows if row["kind"] == "train")
    assert said.count("each process keeps its own statistics") == 5  # once a run, not once a process


def test_evaluation_gives_the_same_scores(trained: tuple[Path, Path, str], tmp_path: Path) -> None:
    """Three images on two processes."""
    from bridgenet.cli.main import run

    root, out, _ = trained
    shutil.copytree(root, tmp_path / "data")
    ids = ["0004", "0005", "0001"]
    (tmp_path / "data" / "NYUDv2" / "gt_sets" / "val.txt").write_text("\n".join(ids))
    settings = ["--data.root", str(tmp_path / "data"), "--precision", "float32", "--device", "cpu"]
    settings += ["--evaluation_batch_size", "1"]
    assert run(["evaluate", str(out / "run"), "--out", str(tmp_path / "one"), *settings]) == 0
    result = torchrun("-m", "bridgenet", "evaluate", str(out / "run"), "--out", str(tmp_path / "two"), *settings)
    assert result.returncode == 0, result.stderr
    one, two = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("one", "two"))
    for task, values in one["scores"].items():
        assert two["scores"][task] == pytest.approx(values, rel=1e-9, nan_ok=True), task
    assert two["boundaries"] == one["boundaries"]
    assert two["details"]["semseg"] == one["details"]["semseg"]
    images = [(tmp_path / name / "per_image.csv").read_text().splitlines() for name in ("one", "two")]
    assert [row.split(",")[0] for row in images[0]] == [row.split(",")[0] for row in images[1]] == ["id", *ids]
    assert sorted(path.name for path in (tmp_path / "two" / "edge").iterdir()) == [
        f"{name}.png" for name in sorted(ids)
    ]
