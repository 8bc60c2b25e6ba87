"""What a run is not resumed from: a checkpoint that lacks something, and rows that are not those that were written."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import bridgenet
from bridgenet import UserError
from bridgenet.checkpoints import LAST, read_information, save
from bridgenet.config.settings import LossSettings, RunConfig
from bridgenet.model.records import record
from bridgenet.training.progress import Progress
from bridgenet.training.rows import METRICS, check_rows, read_rows
from bridgenet.training.run import train
from tests.data.layouts import make_nyud
from tests.training.tiny import tiny_config


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunConfig, Path]:
    """A run of two steps and an evaluation, and the settings to continue it with."""
    folder = tmp_path_factory.mktemp("stopped")
    make_nyud(folder / "data")
    config = tiny_config(folder / "data", steps=2, evaluate_every=2, loss=LossSettings(weighting="dwa"))
    train(config, folder / "run", device="cpu")
    config.steps = 3
    return config, folder / "run"


def resume_with(stopped: tuple[RunConfig, Path], out: Path, change: Callable[[dict, dict], None]) -> None:
    """Resume a copy whose information and optimiser state `change` has changed."""
    config, run = stopped
    out.mkdir()
    for path in run.iterdir():
        if path.is_file():
            (out / path.name).write_bytes(path.read_bytes())
    model = bridgenet.load(run / LAST, device="cpu")
    tensors = load_file(run / LAST)
    state = {key.removeprefix("optimizer."): x for key, x in tensors.items() if key.startswith("optimizer.")}
    information = dict(read_information(run / LAST))
    change(information, state)
    network = bridgenet.load_network(run / LAST)
    network.load_state_dict(model.network.state_dict())
    record(network, model.config, {})
    save(network, out / LAST, config=model.config, information=information, optimizer=state)
    train(config, out, resume=True, device="cpu")


def test_an_unchanged_copy_is_resumed(stopped: tuple[RunConfig, Path], tmp_path: Path) -> None:
    resume_with(stopped, tmp_path / "run", lambda information, state: None)
    assert read_information(tmp_path / "run" / LAST)["step"] == 3
    assert read_information(tmp_path / "run" / LAST)["rows"] == len(read_rows(tmp_path / "run" / METRICS)) == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", "2"), ("step", -5), ("step", 3.5), ("step", None), ("step", True),
        ("scores", "good"), ("scores", {"depth": 1}), ("first_scores", "good"), ("best_gain", "1"),
        ("seconds", "1"), ("seconds", None), ("seconds", -1.0), ("memory", "1"), ("rows", "4"),
        ("loss_weighting", {}), ("loss_weighting", "text"), ("loss_weighting", None),
    ],
)  # fmt: skip
def test_progress_that_is_none(stopped: tuple[RunConfig, Path], tmp_path: Path, name: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"{LAST}: (the state of the )?{name.replace('_', '.')}"):
        resume_with(stopped, tmp_path / "run", lambda information, state: information.update({name: value}))


def test_no_step(stopped: tuple[RunConfig, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its step is missing"):
        resume_with(stopped, tmp_path / "run", lambda information, state: information.pop("step"))


def test_no_state_of_the_optimiser(stopped: tuple[RunConfig, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no state of the optimiser"):
        resume_with(stopped, tmp_path / "run", lambda information, state: state.clear())


def test_half_a_state_of_the_optimiser(stopped: tuple[RunConfig, Path], tmp_path: Path) -> None:
    def forget(information: dict, state: dict) -> None:
        del state[next(key for key in state if key.endswith("/exp_avg"))]

    with pytest.raises(UserError, match="state is not complete"):
        resume_with(stopped, tmp_path / "run", forget)


@pytest.mark.parametrize("lost", [0, 1, 2, None])
def test_rows_that_are_missing(stopped: tuple[RunConfig, Path], tmp_path: Path, lost: int | None) -> None:
    run = stopped[1]
    rows = (run / METRICS).read_text().splitlines(keepends=True)
    assert len(rows) == 3
    kept = [] if lost is None else [row for number, row in enumerate(rows) if number != lost]

    def forget(information: dict, state: dict) -> None:
        (tmp_path / "run" / METRICS).write_text("".join(kept))

    with pytest.raises(UserError, match=rf"metrics\.jsonl has {len(kept)} rows up to step 2, 3 were written"):
        resume_with(stopped, tmp_path / "run", forget)
    assert (tmp_path / "run" / METRICS).read_text() == "".join(kept)


@pytest.mark.parametrize(
    "line",
    [b"\xff\xfe\x00\x80", b"3", b"null", b"[]", b'{"kind": "train"', b'{"step": 1, "loss": 1.0, "losses": {}}',
     b'{"kind": "train", "step": "1", "loss": 1.0, "losses": {}}', b'{"kind": "evaluation", "step": 1, "scores": 3}',
     b'{"kind": "train", "step": 1, "loss": "low", "losses": {}}', b"[" * 100_000],
)  # fmt: skip
def test_rows_that_are_none(tmp_path: Path, line: bytes) -> None:
    row = b'{"kind": "train", "step": 1, "loss": null, "losses": {}, "lr": 1.0, "grad_norm": 1.0}'
    file = tmp_path / METRICS
    file.write_bytes(row + b"\n" + line + b"\n" + row + b"\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged: line 2 is no row of a run"):
        read_rows(file)
    file.write_bytes(row + b"\n" + line)  # while writing it
    assert len(read_rows(file)) == 1
    check_rows(file, 1, 1)
    check_rows(file, 1, None)
    with pytest.raises(UserError, match="has 1 rows up to step 1, 2 were written"):
        check_rows(file, 1, 2)


def test_scores_may_be_no_numbers() -> None:
    from bridgenet.system.validation import read

    progress = read(Progress, {"step": 3, "scores": {"depth": {"rmse": math.nan}}, "best_gain": -math.inf}, "last")
    assert progress.scores is not None
    assert math.isnan(progress.scores["depth"]["rmse"])
