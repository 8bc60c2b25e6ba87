from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import bridgenet
from bridgenet import UserError, tasks
from bridgenet.data.folders.description import read_description
from bridgenet.tasks.naming import check_names, wrong_name

WRONG = (
    "", ".", "..", "a/b", "../x", "/tmp/x", "a\\b", "C:x", "a.b", "a b", " a", "a\n", "a\0b", "\u202ea", "7", "7a", "_a", "-a",
    "loss", "total", "Total", "image", "panel", "keys", "type", "named_x", "con", "NUL", "com1", "lpt9", "a" * 65, "ä" * 33,
    "a\u0308b", "~", "$HOME", "%TEMP%", "*",
)  # fmt: skip


@pytest.mark.parametrize("name", [*WRONG, 7, 2.5, None, False, ("a",)])
def test_names_that_no_task_may_have(name: Any) -> None:
    assert "of a task" in wrong_name(name)
    with pytest.raises(UserError, match="of a task"):
        tasks.of_kind(name, "regression") if isinstance(name, str) else check_names([name])


@pytest.mark.parametrize("name", [*tasks.names(), "height", "my_map", "my-map", "höhe", "深度", "a", "A7", "a" * 64])
def test_names_that_tasks_may_have(name: str) -> None:
    assert wrong_name(name) == ""


def test_attributes_of_modules_are_no_names() -> None:
    attributes = [name for name in dir(nn.ModuleDict()) if not name.startswith("_")]
    assert [name for name in attributes if not wrong_name(name)] == []


@pytest.mark.parametrize("names", [["height", "Height"], ["depth", "depth_mm"], ["x_colour", "x"], ["X_Overlay", "x"]])
def test_two_tasks_do_not_share_a_file(names: list[str]) -> None:
    with pytest.raises(UserError, match="rename one"):
        check_names(names)


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "loss", ""])
def test_names_are_checked_wherever_they_enter(tmp_path: Path, name: str) -> None:
    definition = {**tasks.of_kind("height", "regression", num_outputs=1).as_dict(), "name": name}
    with pytest.raises(UserError, match="of a task"):
        bridgenet.NetworkConfig({name: 1}, "test_resnet", (32, 32))
    with pytest.raises(UserError, match="of a task"):
        tasks.from_dict(definition)
    (tmp_path / "images").mkdir()
    (tmp_path / "x").mkdir()
    entry = {"kind": "regression", "folder": "x"}
    (tmp_path / "data.yaml").write_text(json.dumps({"tasks": {name: entry}}))
    with pytest.raises(UserError, match=r"data\.yaml: tasks: .* of a task"):
        read_description(tmp_path / "data.yaml")


def test_a_number_as_name_in_a_description(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "data.yaml").write_text("tasks: {7: {kind: regression, folder: images}}")
    with pytest.raises(UserError, match="7 is no name of a task"):
        read_description(tmp_path / "data.yaml")
