"""`benchmarks/draw.py`: pictures of what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bridgenet.benchmark.rates import summary
from tests.benchmark import scripts
from tests.benchmark.test_tables import record

script = scripts.load("draw")


def test_pictures() -> None:
    records = [record([4.6, 4.7]), record(), record([2.0, 2.2], precision="bfloat16", batch=8)]
    drawn = script.draw_cases("cases", records)
    assert drawn.mode == "RGB" and np.asarray(drawn).std() > 1
    points = [record([float(x)]) for x in (1, 2, 3)]
    x = [1.0, 2.0, 3.0]
    line = {"slope": 1.0, "intercept": 0.0, "r2": 1.0, "deviation": 0.0}
    with_line = script.draw_scaling("tasks", "tasks", x, points, {"seconds": line})
    without = script.draw_scaling("tasks", "tasks", x, points, {})
    assert with_line.size == without.size and (np.asarray(with_line) != np.asarray(without)).any()
    values = {"depth": summary([0.01, 0.02])}
    bars, with_goal = script.draw_bars("bars", "ms", values), script.draw_bars("bars", "ms", values, goal=0.03)
    assert bars.size == with_goal.size and (np.asarray(bars) != np.asarray(with_goal)).any()


def test_nothing_is_drawn_of_no_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "inference.json"
    file.write_text(json.dumps({"kind": "inference", "records": [record()]}))
    script.main([str(file)])
    assert "no case gave a result" in capsys.readouterr().out
    assert not file.with_suffix(".png").exists()
