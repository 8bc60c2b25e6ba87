from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bridgenet.data import NYUDv2, PASCALContext
from bridgenet.data.base import DenseDataset
from bridgenet.data.compact import expanded
from bridgenet.data.pipeline import batches
from bridgenet.data.pipeline.batches import collate, to_device
from bridgenet.data.pipeline.loading import TransformedDataset
from bridgenet.data.pipeline.transforms import EvaluationTransform, TrainingTransform
from bridgenet.ops.normalisation import IMAGENET_DEVIATION, IMAGENET_MEAN
from bridgenet.tasks.kinds.normals import compact_normals
from tests.data.layouts import make_nyud, make_pascal, write

UNIT = [[0, 128, 255], [10, 20, 30]]


def make(name: str, root: Path) -> DenseDataset:
    make_nyud(root, (40, 52)), make_pascal(root, (40, 52))
    return NYUDv2(root, "train") if name == "nyud" else PASCALContext(root, "train")


@pytest.mark.parametrize("name", ["nyud", "pascal"])
@pytest.mark.parametrize("size", [(30, 37), (60, 100)], ids=["cropped", "padded"])
def test_what_is_sent_in_8_bits_arrives_as_float32_would(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    dataset = make(name, tmp_path)
    compact, loaded = dataset.compact(0), dataset.load(0)
    assert {task for task in dataset.tasks if compact[task].dtype == np.uint8} == set(dataset.tasks) - {"depth"}
    transform = TrainingTransform(size, dataset.tasks)
    mirrored = set()
    for seed in range(12):
        prepared = transform.prepare(compact, np.random.default_rng(seed))
        assert all(prepared[task].dtype == compact[task].dtype for task in dataset.tasks)
        assert all(prepared[key].flags.c_contiguous for key in ("image", *dataset.tasks))
        mirrored.add(bool(prepared["mirrored"]))
        got = batches.finished(prepared, dataset.tasks)
        expected = transform(loaded, np.random.default_rng(seed))
        for key, value in expected.items():
            assert value.dtype == got[key].dtype == np.float32
            assert value.tobytes() == got[key].tobytes(), key
    assert mirrored == {False, True}
    evaluation = EvaluationTransform((64, 64), dataset.tasks)
    got, expected = evaluation(compact), evaluation(loaded)
    assert all(value.tobytes() == got[key].tobytes() for key, value in expected.items())


@pytest.mark.parametrize("name", ["nyud", "pascal"])
def test_loading_expands_what_is_compact(name: str, tmp_path: Path) -> None:
    dataset = make(name, tmp_path)
    loaded = dataset.load(0)
    for key, array in dataset.compact(0).items():
        np.testing.assert_array_equal(expanded(key, array), loaded[key])
        assert loaded[key].dtype == np.float32


def test_normalise_and_the_rest_of_the_canvas() -> None:
    image = torch.full((2, 3, 3, 4), 51, dtype=torch.uint8)
    place = torch.tensor([[0, 0, 3, 4], [1, 1, 2, 3]])
    batch = {"image": image, "place": place, "mirrored": torch.zeros(2, dtype=torch.bool)}
    got = to_device(batch, "cpu", [])["image"]
    expected = (0.2 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_DEVIATION)
    np.testing.assert_allclose(got[0].numpy(), np.broadcast_to(expected[:, None, None], (3, 3, 4)), rtol=1e-6)
    assert not got[1, :, 0].any() and not got[1, :, :, 0].any()
    assert torch.equal(got[1, :, 1:, 1:], got[0, :, 1:, 1:])
    other = to_device(batch, "cpu", [], mean=torch.full((3, 1, 1), 0.5), deviation=torch.full((3, 1, 1), 0.25))["image"]
    np.testing.assert_allclose(other[0].numpy(), (0.2 - 0.5) / 0.25, rtol=1e-6)
    assert not other[1, :, 0].any()
    assert image.unique().tolist() == [51]


def test_white_normals_of_a_file_are_kept(tmp_path: Path) -> None:
    encoded = np.array([UNIT], np.uint8)
    assert compact_normals(encoded) is encoded
    unknown = np.array([[True, False]])
    marked = compact_normals(encoded, unknown)
    assert marked.dtype == np.uint8
    assert marked[0].tolist() == [[255] * 3, [10, 20, 30]]
    np.testing.assert_array_equal(expanded("normals", marked)[0, 0], 0)
    encoded[0, 1] = 255
    for mask in (None, unknown):
        normals = compact_normals(encoded, mask)
        assert normals.dtype == np.float32
        assert normals[0, 1].tolist() == [1, 1, 1]
    assert compact_normals(encoded, np.array([[False, True]])).dtype == np.uint8


def test_samples_that_need_float32_share_a_batch_with_others(tmp_path: Path) -> None:
    folder = make_nyud(tmp_path)
    write(folder / "normals/0001.png", np.full((8, 10, 3), 255, np.uint8))
    write(folder / "edge/0002.png", np.full((8, 10), 100, np.uint8))
    dataset = NYUDv2(tmp_path, "train")
    transformed = TransformedDataset(dataset, TrainingTransform((8, 10), dataset.tasks))
    for epoch in range(4):
        items = [transformed[epoch, index] for index in range(3)]
        assert len({item["normals"].dtype for item in items}) == len({item["edge"].dtype for item in items}) == 2
        together = to_device(collate(items), "cpu", dataset.tasks)
        for index, item in enumerate(items):
            alone = to_device(collate([item]), "cpu", dataset.tasks)
            assert all(np.array_equal(together[key][index], alone[key][0], equal_nan=True) for key in alone)
