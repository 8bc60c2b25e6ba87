"""`benchmarks/scaling.py`: lines through points, its table, its file and the words of errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridgenet import UserError
from tests.benchmark import scripts
from tests.benchmark.test_tables import record

script = scripts.load("scaling")
fit = script.fit


def test_points_on_a_line() -> None:
    line = fit([1, 2, 4], [5, 7, 11])
    assert (line.slope, line.intercept, line.r2) == pytest.approx((2, 3, 1))
    assert line.deviation == pytest.approx(0, abs=1e-12)


def test_a_parabola_is_no_line() -> None:
    line = fit([0, 1, 2], [1, 2, 5])
    assert (line.slope, line.intercept) == pytest.approx((2, 2 / 3))
    assert line.r2 == pytest.approx(12 / 13)
    assert line.deviation == pytest.approx(1 / 3)  # 2/3 away from 2


def test_two_points_show_nothing() -> None:
    with pytest.raises(UserError, match="there are 2"):
        fit([1, 2, 2], [1, 2, 3])


def test_line_in_words() -> None:
    line = fit([1, 2, 3], [2.5, 4.0, 5.5])
    words = "time = 1 s + 1.5 s · tasks   R² 1.0000, largest deviation 0.0 %"
    assert script.line_in_words("time", "s", "tasks", line) == words
    assert script.line_in_words("GMAC", "", "images", fit([1, 2, 3], [3, 2, 1])).startswith("GMAC = 4 − 1 · images")


def test_scaling_table_has_the_cost_of_a_unit() -> None:
    rows = script.table("tasks", [record([2.0]), record()], [4, 8]).splitlines()
    assert rows[1].split()[:6] == ["4", "2.00", "s", "(2.00", "to", "2.00)"]
    assert "500 ms" in rows[1] and "killed" in rows[2]


@pytest.mark.usefixtures("here", "counts")
@pytest.mark.parametrize(
    ("what", "options", "quantity", "x"),
    [
        ("tasks", [], "tasks", [1, 2, 3, 4]),
        ("sizes", ["--sizes", "32x32", "64x32", "64x64"], "megapixels", [0.001024, 0.002048, 0.004096]),
        ("batches", ["--batches", "3", "1", "2"], "images", [1, 2, 3]),
    ],
)
def test_scaling(
    what: str,
    options: list[str],
    quantity: str,
    x: list[float],
    tiny: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [what, str(tiny), *options, "--out", str(tmp_path), "--runs", "1", "--product", "32", "--device", "cpu"]
    assert script.main(arguments) == 0
    content = json.loads((tmp_path / f"{what}.json").read_text())
    assert (content["quantity"], content["x"]) == (quantity, pytest.approx(x))
    assert content["lines"]["gmac"]["r2"] == pytest.approx(1)
    shown = capsys.readouterr().out
    assert f"· {quantity}   R²" in shown
    scripts.load("draw").main([str(tmp_path / f"{what}.json")])
    assert (tmp_path / f"{what}.png").is_file()


def test_two_points_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        script.main(["batches", "demo", "--batches", "1", "2", "--device", "cpu", "--out", str(tmp_path / "out")])
    assert ended.value.code == 2 and "three points or more, there are 2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
