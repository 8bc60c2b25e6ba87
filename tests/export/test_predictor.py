"""Prediction around an exported network, with a function in its place: sizes, padding, choice of tasks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bridgenet import UserError, tasks
from bridgenet.export.description import Description, is_exported
from bridgenet.export.predictor import ExportedPredictor, open_exported
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
    [((64, 96), (64, 96)), ((50, 70), (64, 80)), ((3, 200), (48, 208)), ((128, 192), (64, 96)), ((1, 1), (48, 48))],
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


@pytest.mark.parametrize("size", [(64, 96), (10, 500), (300, 40)], ids=str)
def test_only_size(size: tuple[int, int]) -> None:
    run = Brightness()
    maps = ExportedPredictor(run, replace(DESCRIPTION, size=[32, 64]))([half_bright(*size)])[0].maps
    assert run.seen == [(1, 3, 32, 64)]
    assert maps["depth"].shape == size


def test_choice() -> None:
    predictor = ExportedPredictor(Brightness(), DESCRIPTION, tasks=["depth"], max_pixels=24 * 32)
    assert predictor.network_size(half_bright(48, 64)) == (24, 32)
    result = predictor([half_bright(20, 30)])[0]
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
