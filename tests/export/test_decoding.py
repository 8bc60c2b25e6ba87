"""NumPy's decoding equals PyTorch's, of pictures that were shrunk for the network and of those that were not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bridgenet import UserError, tasks
from bridgenet.export import decoding
from bridgenet.ops.normalisation import IMAGENET_DEVIATION, IMAGENET_MEAN, normalise
from bridgenet.tasks import registry
from bridgenet.tasks.array_decoding import decoding_of

CHANNELS = {"semseg": 7, "depth": 1, "sal": 2, "normals": 3, "edge": 1, "disparity": 1, "colour": 3}


@pytest.fixture(autouse=True)
def colour():
    """A regression of several channels."""
    tasks.register(tasks.of_kind("colour", "regression", num_outputs=3))
    yield
    del registry._TASKS["colour"]


def enlarged(task: tasks.Task, logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return task.kind.enlarge_array(task, logits, size)


@pytest.mark.parametrize("size", [(24, 36), (31, 90), (100, 41)], ids=str)
@pytest.mark.parametrize("name", CHANNELS)
def test_equals_pytorchs(name: str, size: tuple[int, int]) -> None:
    logits = torch.randn(1, CHANNELS[name], 24, 36, generator=torch.Generator().manual_seed(0)) * 3
    expected = tasks.get(name).kind.enlarge(tasks.get(name), logits, size)
    found = enlarged(tasks.get(name), logits[0].numpy(), size)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if name == "semseg":  # ties by rounding, where two classes meet
        assert (found == expected).mean() > 0.999
    else:
        np.testing.assert_allclose(found, expected, atol=2e-4)


def test_normalise() -> None:
    picture = np.random.default_rng(0).integers(256, size=(5, 7, 3), dtype=np.uint8)
    mean, deviation = torch.tensor([IMAGENET_MEAN, IMAGENET_DEVIATION])[..., None, None]
    expected = normalise(torch.from_numpy(picture).permute(2, 0, 1)[None], mean, deviation)[0].numpy()
    found = decoding.normalise(picture, list(IMAGENET_MEAN), list(IMAGENET_DEVIATION))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_zero_vector_stays_zero() -> None:
    zero = np.zeros((3, 4, 5), np.float32)
    assert not enlarged(tasks.get("normals"), zero, (4, 5)).any()


def test_decoding_of_ones_own() -> None:
    own = replace(tasks.get("depth"), name="range", decode="elsewhere:exponential")
    with pytest.raises(
        UserError, match=r"'range' is decoded by elsewhere:exponential, which only a network with PyTorch does"
    ):
        decoding_of(own)
