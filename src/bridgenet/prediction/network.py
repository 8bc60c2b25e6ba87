"""Prediction with a PyTorch network: one map per task in each picture's own size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bridgenet import tasks as task_registry
from bridgenet.errors import UserError
from bridgenet.imaging.reading import read_picture
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.description import NetworkConfig
from bridgenet.model.records import record_of
from bridgenet.prediction.request import check_request, check_smoothing, shrunk, size_within
from bridgenet.prediction.result import Prediction
from bridgenet.prediction.tiling import normalised, predict_tiled, tiling_for

if TYPE_CHECKING:
    from bridgenet.prediction.model import Model

Picture = NDArray[np.uint8]


class NetworkPredictor:
    """Predicts pictures with a network as asked for once.

    Args:
        network: a network, in evaluation mode, or a model, of which the prepared network predicts.
        config: how it was built: its class names, and the size of its training images; by default what is on record.
        tasks: the tasks wanted; all by default.
        max_pixels: a larger picture is shrunk to so many pixels for the network and its results are enlarged again.
            By default as many as in the network's training images: that is the scale it knows, and memory stays bounded.
        tile: pictures are not shrunk, and larger ones than a tile are looked at in overlapping tiles: their side [pixels],
            `"auto"` (the size of the training images), or `"off"`.
        overlap: of neighbouring tiles, at least [pixels]; a quarter of a tile by default.
        batch_size: most pictures, or with tiles most tiles of one picture, that go through the network together.

    Raises:
        UserError: a task that the network does not have, no pixels, or impossible tiles.
    """

    def __init__(
        self,
        network: BridgeNet | Model,
        config: NetworkConfig | None = None,
        *,
        tasks: Sequence[str] | None = None,
        max_pixels: int | None = None,
        tile: int | str = "off",
        overlap: int | None = None,
        batch_size: int = 1,
    ):
        check_request(network.tasks, tasks, max_pixels, batch_size)
        if not isinstance(network, torch.nn.Module):
            network, config = network.prepared(), network.config
        self.network = network
        self.tasks = list(tasks or network.tasks)
        known = record_of(network)
        config = config or (known.config if known is not None else None)
        self.tiling = tiling_for(network, config, tile, overlap)
        self.batch_size, self.tile_batch_size = (1, batch_size) if self.tiling else (batch_size, 1)
        if self.tiling and max_pixels is not None:
            raise UserError("max_pixels shrinks pictures and tiles keep them large: give one of the two")
        self.class_names = dict(config.class_names) if config is not None else {}
        if max_pixels is None and config is not None:
            max_pixels = config.image_size[0] * config.image_size[1]
        self.max_pixels = max_pixels

    def network_size(self, picture: Picture) -> tuple[int, int]:
        """(height, width) in which the network sees a picture; those of equal size can go together."""
        size = (picture.shape[0], picture.shape[1])
        return size if self.tiling else size_within(size, self.max_pixels)

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Picture]) -> list[Prediction]:
        """The predictions of pictures (H, W, 3) uint8 RGB that the network sees in one size, in one batch."""
        if self.tiling is not None and self._is_tiled(pictures[0]):
            maps = [predict_tiled(self.network, x, self.tiling, self.tasks, self.tile_batch_size) for x in pictures]
            return [self._prediction(picture, found) for picture, found in zip(pictures, maps)]
        logits = self._logits(pictures)
        return [
            self._decoded(picture, {task: x[number : number + 1] for task, x in logits.items()})
            for number, picture in enumerate(pictures)
        ]

    def stream(self, smoothing: float = 0.0) -> Callable[[Picture], Prediction]:
        """A function that predicts one frame after the other.

        Args:
            smoothing: share of the past in the logits of each frame, in [0, 1): 0 treats every frame for itself.
        """
        check_smoothing(smoothing)
        if smoothing and self.tiling:
            raise UserError("smoothing over time does not go with tiles: leave one of the two out")
        past: dict[str, Tensor] = {}

        @torch.inference_mode()
        def predict(picture: Picture) -> Prediction:
            if not smoothing:
                return self([picture])[0]
            for task, x in self._logits([picture]).items():
                goes_on = task in past and past[task].shape == x.shape  # streams may change their size
                past[task] = torch.lerp(x, past[task], smoothing) if goes_on else x.clone()
            return self._decoded(picture, past)

        return predict

    def _is_tiled(self, picture: Picture) -> bool:
        tiling = self.tiling
        return tiling is not None and (picture.shape[0] > tiling.size[0] or picture.shape[1] > tiling.size[1])

    def _logits(self, pictures: Sequence[Picture]) -> dict[str, Tensor]:
        size = self.network_size(pictures[0])
        shown = [shrunk(picture, size) for picture in pictures]
        pixels = torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2)
        logits = self.network(normalised(pixels, self.network)).logits
        return {task: logits[task] for task in self.tasks}

    def _decoded(self, picture: Picture, logits: Mapping[str, Tensor]) -> Prediction:
        height, width = picture.shape[:2]
        return self._prediction(picture, {task: _full_size(task, x, (height, width)) for task, x in logits.items()})

    def _prediction(self, picture: Picture, maps: dict[str, NDArray[Any]]) -> Prediction:
        return Prediction(picture, maps, self.class_names)


def predict_image(network: BridgeNet | Model, image: Any, **how: Any) -> Prediction:
    """Decode a network's predictions for one picture, in the picture's own size.

    Args:
        network: see :class:`NetworkPredictor`.
        image: path, PIL image, or (H, W, 3) uint8 RGB array; see :func:`bridgenet.imaging.reading.read_picture`.
        how: `tasks`, `max_pixels`, `tile`, `overlap` of :class:`NetworkPredictor`.

    Raises:
        UserError: no picture, a damaged one, or a task that the network does not have.
    """
    predictor = NetworkPredictor(network, **how)
    return predictor([read_picture(image)])[0]


def _full_size(task: str, logits: Tensor, size: tuple[int, int]) -> NDArray[Any]:
    """The decoded map (H, W[, 3]) of one image at `size`."""
    known = task_registry.get(task)
    return known.kind.enlarge(known, logits, size)
