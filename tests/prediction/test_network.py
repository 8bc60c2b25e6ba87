from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bridgenet import UserError, tasks
from bridgenet.prediction.network import NetworkPredictor
from bridgenet.tasks import registry
from tests.model.networks import build
from tests.pictures import noise


@pytest.fixture(scope="module")
def network():
    return build(num_tasks=4).eval()


def photo(seed: int = 0) -> np.ndarray:
    return noise(32, 48, seed)


def test_a_batch_gives_what_single_pictures_give(network) -> None:
    predictor = NetworkPredictor(network)
    pictures = [photo(seed) for seed in range(3)]
    for result, picture in zip(predictor(pictures), pictures):
        np.testing.assert_allclose(result.sal, predictor([picture])[0].sal, atol=1e-5)
        assert result.image is picture


def test_smoothing(network) -> None:
    """The logits' exponential mean; none by default."""
    predictor = NetworkPredictor(network)
    first, second = photo(0), photo(1)
    plain, smooth = predictor.stream(), predictor.stream(0.75)
    expected = predictor([first])[0].sal
    for stream in (plain, smooth):
        np.testing.assert_allclose(stream(first).sal, expected, atol=1e-6)
    alone = predictor([second])[0].sal
    np.testing.assert_allclose(plain(second).sal, alone, atol=1e-6)

    def logit(p: np.ndarray) -> np.ndarray:
        return np.log(p / (1 - p))

    smoothed = logit(smooth(second).sal)
    np.testing.assert_allclose(smoothed, 0.75 * logit(expected) + 0.25 * logit(alone), atol=1e-4)


def test_smoothing_begins_again_where_frames_change_their_size(network) -> None:
    predictor = NetworkPredictor(network)
    stream, other = predictor.stream(0.75), photo(2)[:, :32]
    stream(photo(0))
    np.testing.assert_allclose(stream(other).sal, predictor([other])[0].sal, atol=1e-6)


def test_classes_with_a_decoding_of_their_own(network, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts for pictures that were shrunk too."""
    three = replace(tasks.get("semseg"), decode=lambda logits: torch.full_like(logits[:, 0], 3, dtype=torch.int64))
    monkeypatch.setitem(registry._TASKS, "semseg", three)
    for max_pixels in (32 * 48, 100):
        result = NetworkPredictor(network, max_pixels=max_pixels)([photo()])[0]
        assert result.semseg.shape == (32, 48) and (result.semseg == 3).all()


def test_wrong_requests(network) -> None:
    for smoothing in (-0.1, 1.0):
        with pytest.raises(UserError, match="smoothing"):
            NetworkPredictor(network).stream(smoothing)
    with pytest.raises(UserError, match="does not go with tiles"):
        NetworkPredictor(network, tile=64).stream(0.5)
    with pytest.raises(UserError, match="batch size"):
        NetworkPredictor(network, batch_size=0)


def test_pictures_are_normalised_with_the_networks_mean_and_deviation() -> None:
    network = build(num_tasks=4).eval()
    network.mean, network.deviation = torch.full((3, 1, 1), 0.5), torch.full((3, 1, 1), 0.25)
    with torch.no_grad():
        image = (torch.from_numpy(photo()).permute(2, 0, 1)[None] / 255 - 0.5) / 0.25
        expected = network(image).logits["sal"].softmax(1)[0, 1]
    np.testing.assert_allclose(NetworkPredictor(network)([photo()])[0].sal, expected, atol=1e-5)
