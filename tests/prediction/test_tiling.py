from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from bridgenet import UserError
from bridgenet.model.bridgenet import BridgeNetOutput
from bridgenet.prediction.network import NetworkPredictor
from bridgenet.prediction.tiling import Tiling, normalised, predict_tiled, starts_along, tiling_for, weights_along
from bridgenet.tasks import decoding
from tests.model.networks import build, config_of


def photo(height: int, width: int) -> np.ndarray:
    """Smooth shapes with some noise."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)], axis=-1) * 90 + 128
    return (waves + np.random.default_rng(0).normal(0, 8, waves.shape)).clip(0, 255).astype(np.uint8)


class Near(nn.Module):
    """A network that sees 2 pixels far: 5×5 convolutions at full size."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tasks = {"semseg": 5, "depth": 1, "normals": 3}
        self.layers = nn.ModuleDict({task: nn.Conv2d(3, n, 5, padding=2) for task, n in self.tasks.items()})
        self.backbone = SimpleNamespace(size_divisor=8)
        self.seen: list[torch.Size] = []
        self.mean, self.deviation = torch.full((3, 1, 1), 0.45), torch.full((3, 1, 1), 0.225)

    def forward(self, images: torch.Tensor) -> BridgeNetOutput:
        self.seen.append(images.shape)
        return BridgeNetOutput({task: layer(images) for task, layer in self.layers.items()}, {})


@pytest.mark.parametrize("length", [5, 64, 65, 100, 200, 333])
@pytest.mark.parametrize("overlap", [0, 16, 32])
def test_tiles_cover_a_side(length: int, overlap: int) -> None:
    starts = starts_along(length, 64, overlap, 8)
    ends = [min(start + 64, length) for start in starts]
    assert starts[0] == 0 and ends[-1] == length and all(start % 8 == 0 for start in starts)
    assert all(end - start >= overlap for start, end in zip(starts[1:], ends))
    total = np.zeros(length)
    for start, weight in zip(starts, weights_along(length, 64, starts)):
        total[start : start + len(weight)] += weight
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize(("size", "batch_size"), [((100, 150), 1), ((61, 200), 3), ((64, 65), 2), ((200, 40), 2)])
@torch.inference_mode()
def test_tiles_give_what_the_whole_picture_gives(size: tuple[int, int], batch_size: int) -> None:
    """Exactly, for a network that sees no farther than a quarter of the overlap."""
    network, picture = Near(), photo(*size)
    maps = predict_tiled(network, picture, Tiling((48, 64), 16), ["semseg", "depth", "normals"], batch_size)
    assert all(shape[2] <= 48 and shape[3] <= 64 and shape[0] <= batch_size for shape in network.seen)
    logits = network(normalised(torch.from_numpy(picture).permute(2, 0, 1)[None], network)).logits
    for task in ("depth", "normals"):
        np.testing.assert_allclose(maps[task], decoding.decode(task, logits[task])[0], atol=2e-5)
    same = maps["semseg"] == decoding.decode("semseg", logits["semseg"])[0].numpy()
    assert same.mean() > 0.999 and maps["semseg"].dtype == np.int64  # where two classes are equal up to rounding


class Far(Near):
    """A network whose results depend on all that it is shown: the mean is added."""

    def forward(self, images: torch.Tensor) -> BridgeNetOutput:
        return BridgeNetOutput({"normals": 5 + 3 * images.mean(dim=(1, 2, 3), keepdim=True).expand_as(images)}, {})


@torch.inference_mode()
def test_no_seams_of_a_network_that_sees_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tiles the result goes evenly from one's to the other's, over half the overlap."""
    monkeypatch.setattr(decoding, "unit_vector", lambda logits: logits.permute(0, 2, 3, 1))
    network, picture, jumps = Far(), photo(48, 300), {}
    picture[:, :150] //= 2
    for overlap in (0, 16):
        values = predict_tiled(network, picture, Tiling((48, 64), overlap), ["normals"])["normals"][0, :, 0]
        jumps[overlap] = np.abs(np.diff(values)).max() / np.ptp(values)
    assert jumps[16] <= 1 / 8 + 1e-5 < jumps[0]


def test_a_transformer_in_tiles_stays_near_the_whole() -> None:
    """It sees other neighbours in tiles than in the whole; blending the overlap halves what that changes at most."""
    network, picture = build("vit", num_tasks=4).eval(), photo(64, 160)
    whole = NetworkPredictor(network, max_pixels=64 * 160)([picture])[0].sal
    apart, blended = (
        np.abs(NetworkPredictor(network, tile=64, overlap=overlap)([picture])[0].sal - whole) for overlap in (0, 32)
    )
    assert 0 < blended.max() < 0.5 * apart.max() < 0.25 * np.ptp(whole)


def test_sizes_and_mistakes() -> None:
    network = build(num_tasks=2)
    assert tiling_for(network, None, "off", None) is None
    assert tiling_for(network, config_of(network), "auto", None) == Tiling((64, 96), 16)
    assert tiling_for(network, None, 33, 10) == Tiling((64, 64), 10)
    for tile, overlap, words in (
        ("big", None, "expected a size"),
        (0, None, "expected a size"),
        (64, 40, "half a tile"),
    ):
        with pytest.raises(UserError, match=words):
            tiling_for(network, None, tile, overlap)
    with pytest.raises(UserError, match="no tiles"):
        tiling_for(network, None, "off", 8)
    with pytest.raises(UserError, match="one of the two"):
        NetworkPredictor(network, tile=64, max_pixels=100)


def test_small_pictures_are_neither_tiled_nor_shrunk() -> None:
    network, picture = build(num_tasks=2).eval(), photo(90, 120)
    whole = NetworkPredictor(network, max_pixels=90 * 120)([picture])[0]
    np.testing.assert_array_equal(NetworkPredictor(network, tile=128)([picture])[0].depth, whole.depth)
