from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import bridgenet
from bridgenet import UserError
from bridgenet.prediction import Prediction, predict_all, predict_image
from tests.model.networks import NUM_OUTPUTS, SIZE, build
from tests.pictures import noise

NAMES = {"semseg": ["wall", "floor", "bed", "chair", "lamp"]}


@pytest.fixture(scope="module")
def network():
    return build(num_tasks=len(NUM_OUTPUTS), class_names=NAMES).eval()


@pytest.fixture(scope="module")
def model(network) -> bridgenet.Model:
    return bridgenet.Model(network)


def check_maps(result: Prediction, size: tuple[int, int]) -> None:
    assert set(result.maps) == set(NUM_OUTPUTS)
    for task in ("semseg", "human_parts"):
        assert result.maps[task].dtype == np.int64
        assert result.maps[task].shape == size
        assert 0 <= result.maps[task].min() <= result.maps[task].max() < NUM_OUTPUTS[task]
    for task in ("sal", "edge"):
        assert result.maps[task].dtype == np.float32
        assert result.maps[task].shape == size
        assert 0 <= result.maps[task].min() <= result.maps[task].max() <= 1
    assert result.depth.dtype == np.float32
    assert result.depth.shape == size
    assert result.depth.min() >= 0
    assert result.normals.dtype == np.float32
    assert result.normals.shape == (*size, 3)
    np.testing.assert_allclose(np.linalg.norm(result.normals, axis=-1), 1, atol=1e-4)


@pytest.mark.parametrize("size", [SIZE, (31, 45), (150, 201), (1, 1), (3, 400)], ids=str)
def test_maps_have_the_pictures_size(model, size: tuple[int, int]) -> None:
    """Also those of pictures larger than the training size, which the network sees shrunk."""
    result = model.predict(noise(*size))
    check_maps(result, size)
    np.testing.assert_array_equal(result.image, noise(*size))
    assert result.class_names["semseg"] == NAMES["semseg"]


def test_large_pictures_are_shrunk_for_the_network(network) -> None:
    seen = []
    hook = network.register_forward_pre_hook(lambda _m, inputs: seen.append(tuple(inputs[0].shape[-2:])))
    try:
        predict_image(network, noise(128, 192))
        predict_image(network, noise(128, 192), max_pixels=128 * 192)
    finally:
        hook.remove()
    assert seen == [SIZE, (128, 192)]


def test_only_some_tasks(model) -> None:
    assert list(model.predict(noise(20, 30), tasks=["depth"]).maps) == ["depth"]
    with pytest.raises(UserError, match=r"does not predict 'depht' \(did you mean depth\?\)"):
        model.predict(noise(20, 30), tasks=["depht"])
    with pytest.raises(AttributeError, match=r"no 'albedo' \(tasks: semseg, depth"):
        _ = model.predict(noise(20, 30)).albedo


def test_saved_files(model, tmp_path: Path) -> None:
    result = model.predict(noise(24, 36))
    result.maps["depth"] = result.depth + np.float32(1.2345)
    files = result.save(tmp_path / "new" / "out")
    assert sorted(file.name for file in files) == sorted(
        [*(f"{task}.png" for task in NUM_OUTPUTS if task != "depth"), "depth.npy", "depth_mm.png", "panel.png"]
    )
    assert sorted((tmp_path / "new" / "out").iterdir()) == sorted(files)
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "out"]

    def read(name: str) -> np.ndarray:
        return cv2.imread(str(tmp_path / "new" / "out" / name), cv2.IMREAD_UNCHANGED)

    np.testing.assert_array_equal(read("semseg.png"), result.semseg)
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "out" / "depth.npy"), result.depth)
    millimetres = read("depth_mm.png")
    assert millimetres.dtype == np.uint16
    np.testing.assert_allclose(millimetres / 1000, result.depth, atol=0.00051)
    np.testing.assert_allclose(read("edge.png") / 255, result.edge, atol=1 / 255)
    normals = read("normals.png")[..., ::-1] / 255 * 2 - 1
    np.testing.assert_allclose(normals, result.normals, atol=1 / 255 + 1e-6)


def test_what_depth_in_16_bits_cannot_hold_is_told(tmp_path: Path) -> None:
    depth = np.full((10, 10), 2, np.float32)
    depth[0], depth[1, :5] = 70, np.nan
    result = Prediction(noise(10, 10), {"depth": depth})
    said = "10 % are farther than 65.535 m and 5 % are no numbers, 0 in depth_mm.png, unlike in depth.npy"
    with pytest.warns(UserWarning, match=said):
        result.save(tmp_path / "out", ["raw"])
    stored = cv2.imread(str(tmp_path / "out/depth_mm.png"), cv2.IMREAD_UNCHANGED)
    assert stored[0, 0] == 65535 and stored[1, 0] == 0 and stored[2, 2] == 2000


def test_panel(model) -> None:
    panel = model.predict(noise(24, 36)).panel()
    assert isinstance(panel, Image.Image)
    assert panel.width > 36


def test_save_is_all_or_nothing(model, tmp_path: Path, monkeypatch) -> None:
    def fail(_self):
        raise OSError("no space left on device")

    monkeypatch.setattr(Prediction, "panel", fail)
    with pytest.raises(OSError, match="no space"):
        model.predict(noise(24, 36)).save(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_the_rest_is_done(model, tmp_path: Path) -> None:
    """What is no picture is passed over with a warning; nothing is written for it."""
    Image.fromarray(noise(20, 30)).save(tmp_path / "good.png")
    (tmp_path / "bad.jpg").write_text("words")
    said: list[str] = []
    inputs = [str(tmp_path / "bad.jpg"), str(tmp_path / "good.png"), str(tmp_path / "none.png")]
    counts = predict_all(model, inputs, tmp_path / "out", tasks=["depth"], say=said.append)
    assert counts == {"images": 1, "skipped": 2, "existing": 0}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good", "manifest.jsonl"]
    assert f"! {tmp_path}/bad.jpg is not an image: skipped" in said
    assert said[-1].startswith(f"{tmp_path}/good.png  30×20  depth  → {tmp_path}/out/good/")


def test_unknown_task_stops_before_the_first_picture(network, tmp_path: Path) -> None:
    Image.fromarray(noise(20, 30)).save(tmp_path / "good.png")
    with pytest.raises(UserError, match="does not predict 'colour'"):
        predict_all(network, [str(tmp_path / "good.png")], tmp_path / "out", tasks=["colour"], say=lambda _: None)
