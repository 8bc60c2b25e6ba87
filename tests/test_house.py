"""The rules of the layout: imports point down, none goes in a circle, the network knows no files. See `tests/house.py`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests import house

ROOT = Path(__file__).parents[1]
GRAPH = house.read(ROOT / "src")

STILL_UP: set[tuple[str, str]] = set()
"""What does not hold yet. This list only gets shorter."""
STILL_NEEDLESS: set[tuple[str, str]] = {
    ("bridgenet.cli.evaluate", "bridgenet.tasks.scores"),
}


def test_every_file_has_its_row() -> None:
    assert {name for name in GRAPH if house.row_of(name) is None} == {"bridgenet"}


def test_the_map_for_contributors_shows_every_folder_in_its_row() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawn = re.search(r"```\n(.*?)```", text, re.DOTALL)
    assert drawn is not None
    rows = [re.split(r" {2,}", line.strip()) for line in drawn[1].splitlines() if line.strip()]
    package = ROOT / "src/bridgenet"
    folders = [tuple(part for part in row if (package / part).is_dir()) for row in house.ROWS]
    assert [tuple(row[0].split(", ")) for row in rows] == [row for row in folders if row]
    for row in rows:
        assert len(row) == 2, row
    named = {(row[0], path) for row in rows for path in re.findall(r"[a-z_/]+(?:\.py|/)", row[1])}
    assert [(folder, path) for folder, path in named if not (package / folder / path).exists()] == []


def test_imports_point_down() -> None:
    assert house.upward(GRAPH) <= STILL_UP


def test_no_circles() -> None:
    assert {name for group in house.circles(GRAPH) for name in group} == set()


def test_folders_of_one_row_do_not_import_each_other_in_circles() -> None:
    rows = [group for group in house.circles(house.folder_graph(GRAPH)) if len({*map(_row, group)}) == 1]
    assert rows == []


def _row(folder: str) -> int | None:
    return house.row_of(f"bridgenet.{folder}")


@pytest.mark.parametrize(
    ("part", "foreign"),
    [
        ("model", {"checkpoints", "prediction", "data", "config", "downloads"}),
        ("data", {"model"}),
        ("imaging", {"tasks", "system", "ops"}),
    ],
)
def test_parts_do_not_know(part: str, foreign: set[str]) -> None:
    found = {(name, other) for name in GRAPH if f"{name}.".startswith(f"bridgenet.{part}.") for other in GRAPH[name]}
    assert {(name, other) for name, other in found if other.split(".")[1] in foreign} == set()


def test_definitions_do_not_know_what_is_faster() -> None:
    parts = ("bridgenet.model.decoders", "bridgenet.model.backbones", "bridgenet.model.layers", "bridgenet.ops")
    for name in GRAPH:
        if name.startswith(parts):
            assert not [other for other in GRAPH[name] if other.startswith("bridgenet.model.fast")], name


def test_nothing_imports_the_command_line() -> None:
    users = {name for name, others in GRAPH.items() if any(other.startswith("bridgenet.cli") for other in others)}
    assert {name for name in users if not name.startswith(("bridgenet.cli", "bridgenet.__main__"))} == {
        name for name, other in STILL_UP if other.startswith("bridgenet.cli")
    }


def test_circles_and_floors_are_found(tmp_path: Path) -> None:
    package = tmp_path / "bridgenet"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text("def f():\n    from bridgenet import data\n")
    (package / "data.py").write_text("from bridgenet import tasks\n")
    (package / "tasks.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bridgenet import cli\n"
    )
    graph = house.read(tmp_path)
    assert (house.circles(graph), house.upward(graph), house.floors(graph)) == ([], set(), 3)

    (package / "tasks.py").write_text("class A:\n    def f(self):\n        from .cli import g\n")
    graph = house.read(tmp_path)
    assert house.circles(graph) == [["bridgenet.cli", "bridgenet.data", "bridgenet.tasks"]]
    assert house.upward(graph) == {("bridgenet.tasks", "bridgenet.cli")}


def test_no_file_is_long() -> None:
    long = {
        name: n for name, path in house.modules(ROOT / "src").items() if (n := len(path.read_text().splitlines())) > 350
    }
    assert long == {}


def test_own_modules_are_imported_in_functions_only_to_put_off_heavy_libraries() -> None:
    assert house.needless(ROOT / "src") <= STILL_NEEDLESS


def test_text_files_have_an_encoding() -> None:
    """Without one Windows takes that of the country."""
    missing = []
    for name, path in house.modules(ROOT / "src").items():
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            is_text = call.func.attr in ("read_text", "write_text")
            if call.func.attr == "open" and len(call.args) <= 1:  # of a path
                mode = call.args[0] if call.args else ast.Constant("r")
                is_text = isinstance(mode, ast.Constant) and mode.value in ("r", "w", "a", "r+", "x")
            words = {keyword.arg for keyword in call.keywords}
            if (
                is_text
                and not words & {"encoding", "mode"}
                and not any(isinstance(arg, ast.Constant) and arg.value == "utf-8" for arg in call.args)
            ):
                missing.append(f"{name}:{call.lineno}")
    assert missing == []
