"""The file of boundary counts after a kill: whole lines are used, and half a line is cut off before more are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridgenet.evaluation import boundaries
from bridgenet.metrics.boundary import THRESHOLDS


def line(key: str, matched: int = 1) -> str:
    counts = {"matched": [matched] * len(THRESHOLDS), "predicted": [2] * len(THRESHOLDS), "true": 3}
    return json.dumps({"id": key, "key": key, **counts}) + "\n"


@pytest.mark.parametrize("half", ["", "{", line("c")[:-1], line("c")[:40], '{"id": "ü'])
def test_half_a_line_is_cut(tmp_path: Path, half: str) -> None:
    file = boundaries.cache_file(tmp_path)
    file.write_text(line("a") + line("b") + half, encoding="utf-8")
    assert set(boundaries._read_cache(file, tidy=True)) == {"a", "b"}
    assert file.read_text(encoding="utf-8") == line("a") + line("b")
    boundaries._append(file, "d", "d", boundaries.BoundaryCounts([0] * len(THRESHOLDS), [0] * len(THRESHOLDS), 1))
    assert set(boundaries._read_cache(file, tidy=True)) == {"a", "b", "d"}


def test_only_half_a_line(tmp_path: Path) -> None:
    file = boundaries.cache_file(tmp_path)
    file.write_text(line("a")[:-1])
    assert boundaries._read_cache(file, tidy=True) == {}
    assert file.read_bytes() == b""


def test_the_file_of_another_process_is_not_changed(tmp_path: Path) -> None:
    """It may be writing the line right now."""
    file = boundaries.cache_file(tmp_path, rank=1)
    content = line("a") + line("b")[:30]
    file.write_text(content)
    assert set(boundaries._read_cache(file, tidy=False)) == {"a"}
    assert file.read_text() == content


@pytest.mark.parametrize("damaged", ["null", "3", "[]", '{"key": "x"}', line("x", matched=9)[:-1]])
def test_lines_that_are_none_are_counted_again(tmp_path: Path, damaged: str) -> None:
    file = boundaries.cache_file(tmp_path)
    file.write_text(f"{damaged}\n{line('a')}")
    assert set(boundaries._read_cache(file, tidy=True)) == {"a"}
