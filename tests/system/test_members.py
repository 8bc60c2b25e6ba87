"""What a folder of the package holds is found by looking there."""

from __future__ import annotations

import sys
from abc import ABC
from pathlib import Path

import pytest

from bridgenet import data
from bridgenet.system.members import members
from bridgenet.tasks import kinds


def test_classes_of_all_files_but_no_abstract_and_no_imported_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a_folder_of_parts"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "one.py").write_text("from abc import ABC\nfrom a_folder_of_parts.two import Two\nclass One(ABC): pass\n")
    (folder / "two.py").write_text(
        "from abc import ABC, abstractmethod\n"
        "class Base(ABC):\n    @abstractmethod\n    def f(self): ...\n"
        "class Two(Base):\n    def f(self): ...\n"
        "class Other: pass\n"
    )
    (folder / "tools.py").write_text("raise RuntimeError\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = members("a_folder_of_parts", ABC, without=["tools"])  # type: ignore[type-abstract]
    assert [part.__name__ for part in found] == ["One", "Two"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "a_folder_of_parts"]:
        del sys.modules[name]


def test_those_of_the_package() -> None:
    assert {"cityscapes", "cityscapes_mtan", "cityscapes_mtan19", "nyud", "pascal"} <= set(data.DATASETS)
    assert {"classes", "depth", "normals", "probability", "regression"} <= set(kinds.names())
