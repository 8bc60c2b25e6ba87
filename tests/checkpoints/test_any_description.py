"""Whatever a weight file says about itself, a network comes of it or one sentence: sound metadata with something changed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import bridgenet
from bridgenet import UserError, tasks
from bridgenet.checkpoints.files import read_file
from bridgenet.export.description import Description
from bridgenet.tasks import registry
from bridgenet.tasks.naming import wrong_name
from tests.export.test_predictor import DESCRIPTION
from tests.model.networks import build, config_of

HEIGHT = tasks.of_kind("any_height", "regression", num_outputs=2, unit="m").as_dict()
SCALARS = st.one_of(
    st.sampled_from(
        [None, True, 0, 1, -1, 2, 3, 10**5, 10**9, 10**30, 0.5, -0.5, 1e300, float("nan"), float("inf"), "", "a", "../x", "/tmp/x",
         "bridgenet", "dpt", "mine:Decoder", "os:system", "bridgenet.cli.main:run", "depth", "semseg", "test_resnet", "vit_tiny_patch16_224",
         "internimage_t", "hf-hub:a/b", "local-dir:/etc", "C:\\x", "\0", "\ud800", "a" * 5000]
    ),
    st.integers(-3, 300),
    st.text(max_size=4),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inside: st.one_of(st.lists(inside, max_size=4), st.dictionaries(st.text(max_size=8), inside, max_size=3)),
    max_leaves=6,
)


def places(values: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The keys of every value in nested ones."""
    inner = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [above, *(place for key, value in inner for place in places(value, (*above, key)))]


def changed(sound: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Sound values with one or two of them replaced, taken out, or given a neighbour."""

    @st.composite
    def draw_one(draw: st.DrawFn) -> dict[str, Any]:
        values = copy.deepcopy(sound)
        for _ in range(draw(st.integers(1, 2))):
            place = draw(st.sampled_from([place for place in places(values) if place]))
            group: Any = values
            for key in place[:-1]:
                group = group[key]
            match draw(st.sampled_from(["replace", "replace", "drop", "add", "rename"])), group:
                case "drop", _:
                    del group[place[-1]]
                case "add", dict():
                    group[draw(st.text(max_size=8))] = draw(VALUES)
                case "rename", dict():
                    group[draw(st.sampled_from(["../x", "depth", "a.b", "", "loss"]))] = group.pop(place[-1])
                case _:
                    group[place[-1]] = draw(VALUES)
        return values

    return draw_one()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("any") / "weights.safetensors"
    with mock.patch.dict(registry._TASKS):
        names = {"semseg": list("abcde")}
        outputs = {"semseg": 5, "any_height": 2}
        bridgenet.save(build(num_outputs=outputs, class_names=names, task_definitions={"any_height": HEIGHT}), path)
    return path


def sound_description() -> dict[str, Any]:
    with mock.patch.dict(registry._TASKS):
        network = build(
            num_outputs={"semseg": 5, "any_height": 2},
            class_names={"semseg": list("abcde")},
            task_definitions={"any_height": HEIGHT},
        )
    return {
        "format": 1,
        "network": config_of(network).as_dict(),
        "information": {"step": 3, "scores": {"semseg": {"mIoU": 1.0}}},
    }


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(changed(sound_description()))
def test_weights(weights: Path, values: dict[str, Any]) -> None:
    folder, before = weights.parent, Path.cwd()
    entries = set(before.iterdir())
    content, _ = read_file(weights)
    path = folder / "changed.safetensors"
    save_file(content, str(path), metadata={"bridgenet": json.dumps(values)})
    with mock.patch.dict(registry._TASKS), mock.patch("warnings.warn"):
        try:
            network = bridgenet.load_network(path)
        except UserError as error:
            assert "changed.safetensors" in str(error)
        else:
            assert not any(map(wrong_name, network.tasks))
            assert all(torch.isfinite(x).all() for x in network.state_dict().values())
    assert {entry.name for entry in folder.iterdir()} == {"weights.safetensors", "changed.safetensors"}
    assert Path.cwd() == before and set(before.iterdir()) == entries


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(changed(json.loads(DESCRIPTION.as_json())))
def test_exported(values: dict[str, Any]) -> None:
    with mock.patch.dict(registry._TASKS):
        try:
            description = Description.from_json(json.dumps(values), Path("x.onnx"))
            found = description.register_tasks()
        except UserError as error:
            assert "x.onnx" in str(error) or "known already" in str(error)
        else:
            assert found and not any(map(wrong_name, found))
            assert min(description.std) > 0 and description.size_divisor >= 1
