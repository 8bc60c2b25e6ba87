"""Tasks of one's own: by kind, written down and read back, refused where they clash."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.tasks import registry


@pytest.fixture
def forgetting() -> Iterator[None]:
    """What a test registers is forgotten."""
    known = dict(registry._TASKS)
    yield
    registry._TASKS.clear()
    registry._TASKS.update(known)


@pytest.mark.parametrize("name", tasks.names())
def test_written_down_and_read_back(name: str) -> None:
    task = tasks.get(name)
    assert tasks.from_dict(json.loads(json.dumps(task.as_dict()))) == task


@pytest.mark.parametrize("kind", ["classes", "probability", "depth", "normals", "regression"])
def test_of_each_kind(kind: str) -> None:
    task = tasks.of_kind("my_map", kind, unit="K")
    assert (task.name, task.kind, task.title, task.unit) == ("my_map", kind, "My map", "K")
    for reference in (task.loss, task.metric, task.decode):
        assert callable(tasks.resolve(reference))
    assert tasks.from_dict(task.as_dict()) == task


def test_channels_of_a_regression() -> None:
    assert tasks.of_kind("albedo", "regression", num_outputs=3).target_channels == 3
    assert tasks.of_kind("height", "regression").target_channels == 1


def test_the_same_task_twice_is_one_and_another_is_refused(forgetting: None) -> None:
    task = tasks.ensure(tasks.of_kind("height", "regression", unit="m"))
    assert tasks.ensure(tasks.of_kind("height", "regression", unit="m")) is task
    with pytest.raises(
        UserError, match=r"'height' is known already and is another one \(unit is m in one, cm in the other\)"
    ):
        tasks.ensure(tasks.of_kind("height", "regression", unit="cm"))


def test_what_describes_no_task() -> None:
    with pytest.raises(UserError, match=r"'regresion' is not a kind \(did you mean regression\?\)"):
        tasks.of_kind("height", "regresion")
    with pytest.raises(UserError, match="does not describe a task"):
        tasks.from_dict({"name": "height", "colour": 3})
    with pytest.raises(UserError, match="'sound' is not a kind"):
        tasks.from_dict(tasks.of_kind("height", "regression").as_dict() | {"kind": "sound"})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("loss_weight", -1.0, "loss_weight is -1.0, expected a number, at least 0"),
        ("loss_weight", "a", "loss_weight is 'a', expected a number"),
        ("num_outputs", 0, "num_outputs is 0, expected a whole number, at least 1"),
        ("interpolation", "linear", "interpolation is 'linear', expected nearest or cubic"),
        ("negate_on_flip", "x", "negate_on_flip is 'x', expected"),
        ("loss", None, "loss is nothing, expected text"),
        ("full_headline", {"key": "a"}, "full_headline is missing"),
        ("decode", "bridgenet.cli.main:run", "has the decode bridgenet.cli.main:run, which is none"),
        ("metric", "bridgenet.__main__:main", "has the metric bridgenet.__main__:main, which is none"),
    ],
)
def test_definitions_out_of_files_are_checked(key: str, value: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        tasks.from_dict(tasks.of_kind("height", "regression", num_outputs=1).as_dict() | {key: value})


def test_a_callable_is_written_by_its_name() -> None:
    from bridgenet.losses import l1

    assert tasks.of_kind("height", "regression", loss=l1).as_dict()["loss"] == "bridgenet.losses:l1"
