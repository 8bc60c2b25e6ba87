"""Prediction with a PyTorch network: one map per task in the size of each picture."""

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
    """Predicts pictures with a network and fixed options.

    Args:
        network: a network in evaluation mode, or a model, whose prepared network predicts.
        config: how it was built: its class names, and the size of its training images; by default the recorded one.
        tasks: tasks to predict; all by default.
        max_pixels: larger pictures are shrunk to this number of pixels for the network, and the results are enlarged.
            The default is the number of pixels of the training images, the scale that the network was trained for.
        tile: side of overlapping tiles [pixels], `"auto"` for the size of the training images, or `"off"`. With tiles
            pictures are not shrunk; those larger than a tile are predicted in tiles.
        overlap: smallest overlap of neighbouring tiles [pixels]; a quarter of a tile by default.
        batch_size: largest number of pictures, or with tiles of tiles of one picture, in a batch.

    Raises:
        UserError: the network does not have a task, or max_pixels, batch_size, tile or overlap is out of range.
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
        predicts: Any = network
        if not isinstance(network, torch.nn.Module):
            predicts, config = network.prepared(), network.config
        self.network: BridgeNet = predicts
        self.tasks = list(tasks or network.tasks)
        known = record_of(self.network)
        config = config or (known.config if known is not None else None)
        self.tiling = tiling_for(self.network, config, tile, overlap)
        self.batch_size, self.tile_batch_size = (1, batch_size) if self.tiling else (batch_size, 1)
        if self.tiling and max_pixels is not None:
            raise UserError("max_pixels shrinks pictures and tiles keep them large: give one of the two")
        self.class_names = dict(config.class_names) if config is not None else {}
        self.class_values = dict(config.class_values) if config is not None else {}
        if max_pixels is None and config is not None:
            max_pixels = config.image_size[0] * config.image_size[1]
        self.max_pixels = max_pixels

    def network_size(self, picture: Picture) -> tuple[int, int]:
        """(height, width) of a picture as input of the network; pictures of equal input size can share a batch."""
        size = (picture.shape[0], picture.shape[1])
        return size if self.tiling else size_within(size, self.max_pixels)

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Picture]) -> list[Prediction]:
        """Predict pictures (H, W, 3) uint8 RGB of one input size (:meth:`network_size`) in one batch."""
        if self.tiling is not None and self._is_tiled(pictures[0]):
            maps = [predict_tiled(self.network, x, self.tiling, self.tasks, self.tile_batch_size) for x in pictures]
            return [
                Prediction(picture, found, self.class_names, self.class_values)
                for picture, found in zip(pictures, maps)
            ]
        logits = self._logits(pictures)
        return [
            self._decoded(picture, {task: x[number : number + 1] for task, x in logits.items()})
            for number, picture in enumerate(pictures)
        ]

    def stream(self, smoothing: float = 0.0) -> Callable[[Picture], Prediction]:
        """A function that predicts the frames of a stream in their order.

        Args:
            smoothing: weight of the past in the logits of each frame, [0, 1); with 0 frames are independent.
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
        size = (picture.shape[0], picture.shape[1])
        known = {task: task_registry.get(task) for task in logits}
        maps = {task: known[task].kind.enlarge(known[task], x, size) for task, x in logits.items()}
        return Prediction(picture, maps, self.class_names, self.class_values)


def predict_image(network: BridgeNet | Model, image: Any, **how: Any) -> Prediction:
    """Predict one picture with a network; the results have the size of the picture.

    Args:
        network: see :class:`NetworkPredictor`.
        image: path, PIL image, or (H, W, 3) uint8 RGB array; see :func:`bridgenet.imaging.reading.read_picture`.
        how: `tasks`, `max_pixels`, `tile`, `overlap` of :class:`NetworkPredictor`.

    Raises:
        UserError: the image cannot be read, or the network does not have a task.
    """
    predictor = NetworkPredictor(network, **how)
    return predictor([read_picture(image)])[0]
