"""What the command line asks of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridgenet.cli import main as cli
from bridgenet.cli.main import predict as cli_predict
from bridgenet.prediction import run as prediction_run
from bridgenet.prediction.video import StreamOptions


def asked(monkeypatch: pytest.MonkeyPatch, *flags: str) -> tuple[Any, list[str], Path, dict[str, Any]]:
    """(the parsed options that a predictor is made from, inputs, out, keywords of the run)."""
    seen: list[Any] = []

    def run_inputs(predictor: Any, inputs: list[str], out: Path, **how: Any) -> dict[str, int]:
        seen.extend((predictor, inputs, out, how))
        return {"images": 1, "skipped": 0, "existing": 0}

    monkeypatch.setattr(cli_predict, "_network_predictor", lambda options: options)
    monkeypatch.setattr(prediction_run, "run_inputs", run_inputs)
    assert cli.run(["predict", "weights", "a.jpg", *flags]) == 0
    return tuple(seen)  # type: ignore[return-value]


def test_without_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    options, inputs, out, how = asked(monkeypatch)
    assert (inputs, out, how["rank"], how["world"]) == (["a.jpg"], Path("predictions"), 0, 1)
    assert how["options"].outputs is None and not how["options"].skip_existing
    assert how["options"].stream == StreamOptions()
    assert (options.tile, options.batch_size, options.tasks) == ("off", 1, None)


def test_every_flag_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = "--out o --tasks depth --outputs ply raw --opacity 0.3 --field-of-view 70 --skip-existing --tile 512 --overlap 64"
    flags += " --batch-size 3 --precision bfloat16 --fps 5 --max-frames 7 --smoothing 0.5"
    options, _, out, how = asked(monkeypatch, *flags.split())
    run = how["options"]
    assert (out, run.outputs, run.opacity, run.field_of_view, run.skip_existing) == (
        Path("o"),
        ["ply", "raw"],
        0.3,
        70,
        True,
    )
    assert run.stream == StreamOptions(fps=5, max_frames=7, smoothing=0.5)
    assert (options.tile, options.overlap, options.batch_size, options.tasks) == (512, 64, 3, ["depth"])
    assert run.settings == {
        "source": "weights",
        "precision": "bfloat16",
        "max_pixels": None,
        "tile": 512,
        "overlap": 64,
    }


@pytest.mark.parametrize(("counts", "world", "code"), [((0, 2), 1, 2), ((1, 2), 1, 1), ((1, 0), 1, 0), ((0, 2), 4, 0)])
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, counts: tuple[int, int], world: int, code: int) -> None:
    """Under torchrun 0, as it ends all processes where one fails."""
    found = dict(zip(("images", "skipped", "existing"), (*counts, 0)))
    monkeypatch.setattr(cli_predict, "_network_predictor", lambda options: options)
    monkeypatch.setattr(prediction_run, "run_inputs", lambda *_, **__: found)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", str(world))
    assert cli.run(["predict", "weights", "a.jpg"]) == code
