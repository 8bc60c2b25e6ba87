"""Prediction with exported files: ONNX by ONNX Runtime, without PyTorch, and `torch.export` archives with it. On the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bridgenet.errors import UserError, nearest
from bridgenet.export.decoding import decoding_of, full_size, normalise
from bridgenet.export.description import KEY, Description
from bridgenet.images import read_picture

if TYPE_CHECKING:
    from bridgenet.predict import Prediction

Picture = NDArray[np.uint8]
Runner = Callable[[NDArray[np.float32]], Mapping[str, NDArray[np.float32]]]
"""Images (B, 3, H, W) of a size that the network takes → {task: logits (B, n, H, W)}."""


class ExportedPredictor:
    """Predicts pictures with an exported network.

    Args:
        run: computes.
        description: of the file.
        tasks: the tasks wanted; all by default.
        max_pixels: a larger picture is shrunk to so many pixels for the network and its results are enlarged again; by
            default as many as in the network's training images.

    Attributes:
        tasks: names of the tasks that are predicted.
        class_names: {task: names of its classes}.

    Raises:
        UserError: a task that the network does not have or that only PyTorch can decode, or no pixels.
    """

    batch_size = 1

    def __init__(
        self,
        run: Runner,
        description: Description,
        *,
        tasks: Sequence[str] | None = None,
        max_pixels: int | None = None,
    ):
        self.run, self.description = run, description
        known = description.register_tasks()
        for task in tasks or ():
            if task not in known:
                raise UserError(
                    f"this network does not predict '{task}'{nearest(task, known)} (it predicts {', '.join(known)})"
                )
        if max_pixels is not None and max_pixels < 1:
            raise UserError(f"max_pixels is {max_pixels}, expected at least 1")
        self.tasks = list(tasks or known)
        for task in self.tasks:
            decoding_of(known[task])
        self.class_names = description.class_names
        self.max_pixels = max_pixels or description.image_size[0] * description.image_size[1]

    def network_size(self, picture: Picture) -> tuple[int, int]:
        """(height, width) in which the network sees a picture, before padding."""
        height, width = picture.shape[:2]
        factor = min(1.0, math.sqrt(self.max_pixels / (height * width)))
        if self.description.size is not None:  # whole in the only size there is
            factor = min(factor, self.description.size[0] / height, self.description.size[1] / width)
        return max(1, round(height * factor)), max(1, round(width * factor))

    def logits(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """(3, H, W) normalised → {task: (n, H, W)}: padded for the network, and its results cut to the image again."""
        height, width = image.shape[1:]
        rows, columns = self._padded_size(height, width)
        padded = np.pad(image, ((0, 0), (0, rows - height), (0, columns - width)))
        found = self.run(padded[None])
        return {task: found[task][0, :, :height, :width] for task in self.tasks}

    def predict(self, picture: Picture) -> dict[str, NDArray[Any]]:
        """{task: map} of a picture (H, W, 3) uint8 RGB, in its own size; see :class:`bridgenet.predict.Prediction`."""
        height, width = picture.shape[:2]
        size = self.network_size(picture)
        small: NDArray[Any] = picture
        if size != (height, width):
            small = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
        description = self.description
        logits = self.logits(normalise(small, description.mean, description.std))
        known = description.register_tasks()
        return {task: full_size(known[task], x, (height, width)) for task, x in logits.items()}

    def predict_image(self, image: Any) -> Prediction:
        """The prediction of a path, a PIL image, or an (H, W, 3) uint8 RGB array."""
        return self([read_picture(image)])[0]

    def __call__(self, pictures: Sequence[Picture]) -> list[Prediction]:
        """The predictions of pictures (H, W, 3) uint8 RGB, one after the other."""
        from bridgenet.predict import Prediction

        return [Prediction(picture, self.predict(picture), self.class_names) for picture in pictures]

    def _padded_size(self, height: int, width: int) -> tuple[int, int]:
        if self.description.size is not None:
            return self.description.size[0], self.description.size[1]
        divisor, least = self.description.size_divisor, self.description.least_size
        rows, columns = (max(least, side + -side % divisor) for side in (height, width))
        return rows, columns


def open_exported(
    path: str | Path, *, tasks: Sequence[str] | None = None, max_pixels: int | None = None
) -> ExportedPredictor:
    """What `bridgenet export` wrote, ready to predict: `open_exported("network.onnx").predict_image("photo.jpg").panel()`.

    `.onnx` is computed by ONNX Runtime, and PyTorch is not loaded. `.pt2` is loaded by PyTorch: open only archives whose
    makers you trust, as PyTorch does not promise that they cannot run code.

    Args:
        path: the file.
        tasks, max_pixels: see :class:`ExportedPredictor`.

    Raises:
        UserError: no such file, another kind of file, a damaged one, or a missing package.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no exported network at {path}")
    run, description = _open_onnx(path) if path.suffix.lower() == ".onnx" else _open_pt2(path)
    return ExportedPredictor(run, description, tasks=tasks, max_pixels=max_pixels)


def _open_onnx(path: Path) -> tuple[Runner, Description]:
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f'{path} needs ONNX Runtime, which is not installed: pip install "bridgenet[export]"') from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors: what it warns of is for its developers
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes differ from version to version
        raise UserError(f"{path} cannot be read by ONNX Runtime: {' '.join(str(error).split())[:300]}") from None
    description = Description.from_json(session.get_modelmeta().custom_metadata_map.get(KEY), path)
    names = list(description.tasks)

    def run(images: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        return dict(zip(names, session.run(names, {"image": images})))

    return run, description


def _open_pt2(path: Path) -> tuple[Runner, Description]:
    import torch

    extra = {f"{KEY}.json": ""}
    try:
        program = torch.export.load(str(path), extra_files=extra)
    except Exception as error:  # whatever a damaged archive makes of it
        raise UserError(f"{path} cannot be read by PyTorch: {' '.join(str(error).split())[:300]}") from None
    text: Any = extra[f"{KEY}.json"]
    description = Description.from_json(text.decode() if isinstance(text, bytes) else text, path)
    network = program.module()

    @torch.inference_mode()
    def run(images: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        logits = network(torch.from_numpy(images))
        return {task: x.numpy() for task, x in zip(description.tasks, logits)}

    return run, description
