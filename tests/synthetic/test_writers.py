"""Streets in both layouts of Cityscapes: complete folders, disparity of the camera's geometry, bytes by the seed alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bridgenet.data import DATASETS
from bridgenet.data.checks.check import check
from bridgenet.data.published.cityscapes import LABELS, TRAIN_IDS, Cityscapes
from bridgenet.data.published.cityscapes_mtan import CATEGORY_OF
from bridgenet.synthetic import generate, render
from bridgenet.synthetic.raycast import Scene
from bridgenet.synthetic.writers import CITYSCAPES

SIZE = (32, 64)


@pytest.fixture(scope="module", params=["cityscapes", "cityscapes_mtan"])
def streets(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(request.param, tmp_path_factory.mktemp("streets"), train=4, val=2, size=(32, 48), seed=3)


def stored(path: Path) -> np.ndarray:
    return np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))


def test_more_images_keep_the_first_to_the_byte(streets: Path, tmp_path: Path) -> None:
    more = generate(streets.name, tmp_path, train=5, val=2, size=(32, 48), seed=3)  # type: ignore[arg-type]
    files = [path.relative_to(streets) for path in streets.rglob("*.*") if path.name != "scenes.json"]
    assert len(files) == 6 * 4
    assert all((more / name).read_bytes() == (streets / name).read_bytes() for name in files)


def test_folder_is_sound(streets: Path) -> None:
    report = check(streets.name, streets.parent, workers=1)
    assert report.faults == []
    assert report.counts == {"train": 4, "val": 2}
    assert report.sizes == {(32, 48): 6}
    assert json.loads((streets / "scenes.json").read_text())["layout"] == streets.name


def test_several_cities_and_ids_of_a_split_that_has_no_list(streets: Path) -> None:
    train, val = (DATASETS[streets.name](streets.parent, split) for split in ("train", "val"))
    assert (len(train), len(val)) == (4, 2)
    if isinstance(train, Cityscapes):
        cities = [{name.partition("/")[0] for name in dataset.ids} for dataset in (train, val)]
        assert [len(names) for names in cities] == [4, 2]
        assert not cities[0] & cities[1]


def test_official_files(tmp_path: Path) -> None:
    folder = generate("cityscapes", tmp_path, train=1, val=0, size=SIZE)
    name = "train/aldermoor/aldermoor_000000_000019"
    scene = render([0, 0, 0], SIZE, "cityscapes")
    assert np.array_equal(stored(folder / f"leftImg8bit/{name}_leftImg8bit.png"), scene.rgb)
    labels = stored(folder / f"gtFine/{name}_gtFine_labelIds.png")
    table = {instance: LABELS[kind][0] for instance, kind in scene.kinds.items()}
    assert np.array_equal(labels, np.vectorize(table.__getitem__)(scene.instances))
    assert np.array_equal(stored(folder / f"gtFine/{name}_gtFine_labelTrainIds.png"), TRAIN_IDS[labels])
    disparity = stored(folder / f"disparity/{name}_disparity.png")
    assert disparity.dtype == np.uint16 and disparity.shape == SIZE


def test_disparity_by_hand() -> None:
    """At a width of 2048 pixels and Cityscapes' focal length 0.209313 m · 2262.52 = 473.575 m·px."""
    depth = np.full((1, 2048), 473.575, np.float32)
    depth[0, 1000] = 47.3575
    depth[0, 3] = 47.3575  # 10 pixels: beyond the right camera's left border
    labels = np.full((1, 2048), LABELS["road"][0], np.uint8)
    labels[0, 1001], labels[0, 1002] = LABELS["sky"][0], LABELS["ego vehicle"][0]
    scene = Scene(np.zeros(0), depth, *(np.zeros(0),) * 3, {}, (), (2 * np.arctan(1024 / 2262.52), 0.5))
    found = CITYSCAPES.disparity(scene, labels)[0]
    assert found[2000] == 257 and found[1000] == 2561
    assert found[[0, 3, 1001, 1002]].tolist() == [0, 0, 0, 0]
    assert found[1] == 257  # exactly at the border


def test_arrays(tmp_path: Path) -> None:
    folder = generate("cityscapes_mtan", tmp_path, train=1, val=1, size=SIZE) / "train"
    scene = render([0, 0, 0], SIZE, "cityscapes_mtan")
    image = stored(folder / "image/0.npy")
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, scene.rgb / 255, atol=1e-6)
    label, label_7, depth = (stored(folder / f"{kind}/0.npy") for kind in ("label", "label_7", "depth"))
    assert label.min() == -1 and label.max() <= 18
    assert np.array_equal(label_7 == -1, label == -1)
    assert np.array_equal(label_7[label >= 0], np.array(CATEGORY_OF)[label[label >= 0]])
    assert (depth[label == 10] == 0).all()
    np.testing.assert_allclose(depth[label == 0], 1 / scene.depth[label == 0], rtol=1e-6)
