"""Prediction around an exported network, with a function in its place: sizes, padding, choice of tasks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bridgenet import UserError, tasks
from bridgenet.export.description import Description
from bridgenet.export.formats import is_exported
from bridgenet.export.integrity import check_onnx, sign
from bridgenet.export.predictor import ExportedPredictor, open_exported
from bridgenet.prediction.run import run_inputs
from bridgenet.tasks import registry

DESCRIPTION = Description(
    tasks={name: tasks.get(name).as_dict() for name in ("semseg", "depth")},
    num_outputs={"semseg": 2, "depth": 1},
    class_names={"semseg": ["dark", "bright"]},
    mean=[0.5, 0.5, 0.5],
    std=[0.5, 0.5, 0.5],
    image_size=[64, 96],
    size_divisor=16,
    least_size=48,
    size=None,
    backbone="none",
    version="0",
)


class Brightness:
    """Classes by brightness, and brightness as depth; remembers what it was shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, images):
        self.seen.append(images.shape)
        mean = images.mean(axis=1, keepdims=True)
        return {"semseg": np.concatenate([0 * mean, mean], axis=1), "depth": mean}


def half_bright(height: int, width: int) -> np.ndarray:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, width // 2 :] = 255
    return picture


@pytest.mark.parametrize(
    ("size", "shown"),
    [((64, 96), (64, 96)), ((50, 70), (64, 80)), ((33, 150), (48, 160)), ((128, 192), (64, 96)), ((33, 33), (48, 48))],
    ids=str,
)
def test_sizes(size: tuple[int, int], shown: tuple[int, int]) -> None:
    """Large pictures are shrunk, all are padded to what the network takes, and maps have the picture's size."""
    run = Brightness()
    maps = ExportedPredictor(run, DESCRIPTION)([half_bright(*size)])[0].maps
    assert run.seen == [(1, 3, *shown)]
    assert maps["semseg"].shape == maps["depth"].shape == size
    assert maps["semseg"].dtype == np.int64
    if size[1] > 1:
        assert not maps["semseg"][:, : size[1] // 2 - 1].any()
        assert maps["semseg"][:, size[1] // 2 + 1 :].all()


@pytest.mark.parametrize("size", [(32, 60), (60, 32), (1, 500), (1, 1), (400, 10)], ids=str)
def test_sides_below_the_least_size_are_refused(size: tuple[int, int], tmp_path: Path) -> None:
    """Padded to it, the network gives others than PyTorch's, which pads less. Other pictures of a run are predicted."""
    predictor = ExportedPredictor(Brightness(), DESCRIPTION)
    with pytest.raises(UserError, match=rf"^{size[1]}×{size[0]} pixels are .* takes sides of at least 33: enlarge"):
        predictor([half_bright(*size)])
    paths = [str(tmp_path / "small.png"), str(tmp_path / "large.png")]
    for path, sides in zip(paths, (size, (64, 96))):
        Image.fromarray(half_bright(*sides)).save(path)
    said: list[str] = []
    counts = run_inputs(predictor, paths, tmp_path / "out", say=said.append)
    assert (counts["images"], counts["skipped"]) == (1, 1)
    assert said[0].startswith(f"! {paths[0]}: {size[1]}×{size[0]} pixels are")


@pytest.mark.parametrize("size", [(64, 96), (10, 500), (300, 40)], ids=str)
def test_only_size(size: tuple[int, int]) -> None:
    run = Brightness()
    maps = ExportedPredictor(run, replace(DESCRIPTION, size=[32, 64]))([half_bright(*size)])[0].maps
    assert run.seen == [(1, 3, 32, 64)]
    assert maps["depth"].shape == size


def test_choice() -> None:
    predictor = ExportedPredictor(Brightness(), DESCRIPTION, tasks=["depth"], max_pixels=36 * 48)
    assert predictor.network_size(half_bright(144, 192)) == (36, 48)
    result = predictor([half_bright(40, 34)])[0]
    assert list(result.maps) == predictor.tasks == ["depth"]
    assert result.class_names["semseg"] == ["dark", "bright"]
    with pytest.raises(UserError, match=r"does not predict 'depht' \(did you mean depth\?\)"):
        ExportedPredictor(Brightness(), DESCRIPTION, tasks=["depht"])
    with pytest.raises(UserError, match="max_pixels is 0"):
        ExportedPredictor(Brightness(), DESCRIPTION, max_pixels=0)


def test_description() -> None:
    path = Path("network.onnx")
    assert Description.from_json(DESCRIPTION.as_json(), path) == DESCRIPTION
    with pytest.raises(UserError, match=r"network\.onnx has no description of this project's"):
        Description.from_json(None, path)
    with pytest.raises(UserError, match="damaged"):
        Description.from_json('{"format": 1}', path)
    with pytest.raises(UserError, match="format 2"):
        Description.from_json('{"format": 2}', path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tasks": "abc"}, "tasks is 'abc', expected the definitions of at least one task"),
        ({"tasks": {}}, "tasks is {}, expected the definitions of at least one task"),
        ({"tasks": {"../x": {"name": "../x"}}}, "num_outputs lacks ../x"),
        (
            {"tasks": {"../x": {"name": "../x"}}, "num_outputs": {"../x": 1}, "class_names": {}},
            "'../x' is no name of a task",
        ),
        (
            {"tasks": {"depth": {"name": "depth"}}, "class_names": {}},
            "what defines 'depth' does not describe a task: title",
        ),
        ({"mean": [0.5]}, "mean is .0.5., expected three numbers"),
        ({"std": [0, 1, 1]}, "std is .0, 1, 1., expected three numbers above 0"),
        ({"std": "a"}, "std is 'a', expected three numbers above 0"),
        ({"size_divisor": 0}, "size_divisor is 0, expected a whole number, at least 1"),
        ({"least_size": 10**6}, "least_size is 1000000, expected a whole number, at least 1 and at most 4096"),
        ({"size": [-1, 1]}, "size is .*, expected .height, width. in pixels"),
        ({"image_size": [10**6] * 2}, "image_size is .*, expected .height, width. in pixels, each from 1 to 32736"),
        ({"image_size": [1, 1, 1]}, "image_size is .*, expected .height, width. in pixels"),
        ({"class_names": {"semseg": ["a"]}}, "class_names.semseg has 1 names, expected 2"),
        ({"num_outputs": {"depth": 1}}, "class_names has semseg, expected tasks of depth"),
        ({"information": None}, "information is nothing"),
    ],
    ids=str,
)
def test_descriptions_that_are_not_ours(change: dict[str, Any], words: str) -> None:
    text = json.dumps(json.loads(DESCRIPTION.as_json()) | change)
    with pytest.raises(UserError, match=rf"network\.onnx: its description is damaged: (.|\n)*{words}"):
        Description.from_json(text, Path("network.onnx"))


def test_a_published_task_keeps_its_kind() -> None:
    values = json.loads(DESCRIPTION.as_json())
    values["tasks"]["depth"]["kind"] = "regression"
    with pytest.raises(UserError, match="damaged: depth is of the kind regression, expected depth"):
        Description.from_json(json.dumps(values), Path("network.onnx"))


@pytest.mark.parametrize("text", ["[" * 100_000, "not json", "[]", "7"])
def test_descriptions_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match=r"network\.onnx: its description is damaged"):
        Description.from_json(text, Path("network.onnx"))


def test_results_that_are_no_numbers() -> None:
    with pytest.raises(UserError, match="gives NaN or infinity for semseg, depth"):
        ExportedPredictor(lambda images: dict.fromkeys(("semseg", "depth"), images[:, :1] * np.nan), DESCRIPTION)(
            [half_bright(64, 96)]
        )


def test_checksum_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(bytes(range(256)) * 40)
    with pytest.warns(UserWarning, match=r"x\.onnx has no checksum"):
        check_onnx(path)
    sign(path)
    check_onnx(path)
    content = path.read_bytes()
    for at in (0, 5000, len(content) - 60, len(content) - 1):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(UserError, match=r"x\.onnx (is damaged|was changed)"):
            check_onnx(path)
    path.write_bytes(content + b"more")
    with pytest.raises(UserError, match=r"x\.onnx was changed after its export"):
        check_onnx(path)
    path.write_bytes(b"")
    with pytest.warns(UserWarning, match="no checksum"):
        check_onnx(path)


def test_tasks_of_ones_own_become_known() -> None:
    own = tasks.of_kind("albedo", "regression", num_outputs=3)
    try:
        replace(DESCRIPTION, tasks={"albedo": own.as_dict()}).register_tasks()
        assert tasks.get("albedo") == own
    finally:
        del registry._TASKS["albedo"]


def test_no_exported_network(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no exported network at"):
        open_exported(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"words")
    pytest.importorskip("onnxruntime")
    with pytest.raises(UserError, match=r"bad\.onnx cannot be read by ONNX Runtime"):
        open_exported(tmp_path / "bad.onnx")
    (tmp_path / "bad.pt2").write_bytes(b"words")
    with pytest.raises(UserError, match=r"bad\.pt2 cannot be read by PyTorch"):
        open_exported(tmp_path / "bad.pt2")
    assert is_exported("a/b.ONNX")
    assert not is_exported("runs/demo")
