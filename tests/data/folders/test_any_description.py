"""Whatever stands in a description, it is read or refused in words: random structures, and sound ones with one thing changed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridgenet.data.folders.description import Description, read_description
from bridgenet.data.folders.task_entries import _KEYS
from bridgenet.errors import UserError
from bridgenet.tasks import kinds, registry

FOLDERS = ("images", "labels", "depth")
SOUND: dict[str, Any] = {
    "name": "roofs",
    "root": ".",
    "images": "images",
    "image_suffix": ".png",
    "split": {"val": 0.1, "seed": 0},
    "size": [32, 32],
    "tasks": {
        "semseg": {"folder": "labels", "classes": {7: "road", 11: "roof"}, "ignore": [255]},
        "depth": {"folder": "depth", "unit": "mm", "range": [0.1, 80]},
        "normals": {"folder": "depth", "axes": ["right", "down", "away"], "ignore": [[0, 0, 0]]},
        "any_height": {"kind": "regression", "folder": "depth", "unit": "m", "scale": 0.01, "channels": 2},
        "any_parts": {"kind": "classes", "folder": "labels", "classes": ["none", "left", "right"]},
        "any_mask": {"kind": "probability", "folder": "labels", "scale": 1, "weight": 2.0, "title": "Mask"},
    },
}
WORDS = st.sampled_from(
    [*kinds.names(), *_KEYS, "kind", "task", "nan", "m", "labels", "../labels", "~nobody/x", "a" * 300, "a\0b", "json:dumps", "", "no"]
)  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70000),
    st.sampled_from([10**30, 2**63, 10**400]),
    st.floats(),
    st.text(max_size=5),
    st.dates(),
    st.binary(max_size=3),
    WORDS,
)
KEYS = st.one_of(WORDS, st.integers(-1, 300), st.sampled_from([*SOUND, *SOUND["tasks"]]))
VALUES = st.recursive(
    SCALARS,
    lambda inside: st.one_of(st.lists(inside, max_size=3), st.dictionaries(KEYS, inside, max_size=3)),
    max_leaves=6,
)


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """The sound description with a value replaced or added somewhere."""
    values = copy.deepcopy(SOUND)
    place: Any = values
    while True:
        key = draw(
            st.sampled_from(sorted(place, key=str)) if isinstance(place, dict) else st.integers(0, len(place) - 1)
        )
        inside = place[key]
        if not isinstance(inside, dict | list) or draw(st.booleans()):
            break
        place = inside
    place[key] = draw(VALUES)
    if isinstance(place, dict) and draw(st.booleans()):
        place[draw(KEYS)] = draw(VALUES)
    return values


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("any")
    for name in FOLDERS:
        (folder / name).mkdir()
    return folder


def read(folder: Path, text: str) -> None:
    path = folder / "data.yaml"
    path.write_text(text, encoding="utf-8")
    with mock.patch.dict(registry._TASKS):
        try:
            assert isinstance(read_description(path), Description)
        except UserError as error:
            assert "data.yaml" in str(error)


def test_the_sound_one_is_read(folder: Path) -> None:
    (folder / "sound.yaml").write_text(yaml.safe_dump(SOUND))
    with mock.patch.dict(registry._TASKS):
        assert len(read_description(folder / "sound.yaml").tasks) == 6


@given(values=changed())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_one_thing_changed(folder: Path, values: Any) -> None:
    read(folder, yaml.safe_dump(values, allow_unicode=True))


@given(values=VALUES)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_structure(folder: Path, values: Any) -> None:
    read(folder, yaml.safe_dump(values, allow_unicode=True))


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text(folder: Path, text: str) -> None:
    read(folder, f"tasks:\n  depth: {{unit: {text}")
    read(folder, text)
