"""Prediction with exported files on the CPU: ONNX with ONNX Runtime, and `torch.export` archives with PyTorch."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridgenet.downloads.pictures import refuse_address
from bridgenet.errors import UserError
from bridgenet.export.decoding import normalise
from bridgenet.export.description import KEY, Description
from bridgenet.export.integrity import check_onnx
from bridgenet.export.quiet import quiet
from bridgenet.imaging.reading import read_picture
from bridgenet.prediction.request import check_request, check_smoothing, shrunk, size_within
from bridgenet.prediction.result import Prediction
from bridgenet.tasks.array_decoding import decoding_of

Picture = NDArray[np.uint8]
Images = NDArray[np.float32]
Runner = Callable[[Images], Mapping[str, Images]]
"""Images (B, 3, H, W) of a size that the network takes → {task: logits (B, n, H, W)}."""


class ExportedPredictor:
    """Predicts pictures with an exported network.

    Args:
        run: computes the logits.
        description: description of the file.
        tasks: tasks to predict; all by default.
        max_pixels: larger pictures are shrunk to this number of pixels for the network, and the results are enlarged; the
            default is the number of pixels of the training images.
        batch_size: largest number of pictures in a batch.

    Attributes:
        tasks: names of the tasks that are predicted.
        class_names: {task: names of its classes}.
        class_values: {task: their values in label files}.

    Raises:
        UserError: the network does not have a task, only PyTorch can decode it, or an option is out of range.
    """

    def __init__(
        self,
        run: Runner,
        description: Description,
        *,
        tasks: Sequence[str] | None = None,
        max_pixels: int | None = None,
        batch_size: int = 1,
    ):
        self.run, self.description = run, description
        known = description.register_tasks()
        check_request(known, tasks, max_pixels, batch_size)
        self.tasks = list(tasks or known)
        self.definitions = {task: known[task] for task in self.tasks}
        for task in self.definitions.values():
            decoding_of(task)
        self.class_names, self.class_values = description.class_names, description.class_values
        self.max_pixels = max_pixels or description.image_size[0] * description.image_size[1]
        self.batch_size = batch_size

    def network_size(self, picture: Picture) -> tuple[int, int]:
        """(height, width) of a picture as input of the network, before padding.

        Raises UserError for sides below the network's least size: padded to it, results are other than PyTorch's.
        """
        height, width = size_within((picture.shape[0], picture.shape[1]), self.max_pixels)
        if self.description.size is None:
            smallest = self.description.least_size - self.description.size_divisor + 1
            if min(height, width) < smallest:
                raise UserError(
                    f"{picture.shape[1]}×{picture.shape[0]} pixels are {width}×{height} for the network (width×height), and the "
                    f"exported one takes sides of at least {smallest}: enlarge the picture, or predict with the weights"
                )
            return height, width
        factor = min(
            1.0, self.description.size[0] / height, self.description.size[1] / width
        )  # to fit into the fixed size
        return max(1, round(height * factor)), max(1, round(width * factor))

    def logits(self, images: Images) -> dict[str, Images]:
        """Normalised images (B, 3, H, W) → {task: logits (B, n, H, W)}; padding is added and removed."""
        height, width = images.shape[2:]
        rows, columns = self._padded_size(height, width)
        found = self.run(np.pad(images, ((0, 0), (0, 0), (0, rows - height), (0, columns - width))))
        if bad := [task for task in self.tasks if not np.isfinite(found[task]).all()]:
            raise UserError(
                f"the exported network gives NaN or infinity for {', '.join(bad)}: its weights are no numbers"
            )
        return {task: found[task][..., :height, :width] for task in self.tasks}

    def predict_image(self, image: Any) -> Prediction:
        """Predict one picture: a path, a PIL image, or an (H, W, 3) uint8 RGB array."""
        return self([read_picture(image)])[0]

    def __call__(self, pictures: Sequence[Picture]) -> list[Prediction]:
        """Predict pictures (H, W, 3) uint8 RGB of one input size (:meth:`network_size`) in one batch."""
        logits = self._logits(pictures)
        return [
            self._decoded(picture, {task: x[number] for task, x in logits.items()})
            for number, picture in enumerate(pictures)
        ]

    def stream(self, smoothing: float = 0.0) -> Callable[[Picture], Prediction]:
        """A function that predicts frames in their order; `smoothing` is the weight of the past in the logits, [0, 1)."""
        check_smoothing(smoothing)
        past: dict[str, Images] = {}

        def predict(picture: Picture) -> Prediction:
            for task, x in self._logits([picture]).items():
                goes_on = smoothing and task in past and past[task].shape == x.shape  # streams may change their size
                past[task] = x + smoothing * (past[task] - x) if goes_on else x
            return self._decoded(picture, {task: x[0] for task, x in past.items()})

        return predict

    def _logits(self, pictures: Sequence[Picture]) -> dict[str, Images]:
        height, width = self.network_size(pictures[0])
        shown = [shrunk(picture, (height, width)) for picture in pictures]
        return self.logits(
            np.stack([normalise(picture, self.description.mean, self.description.std) for picture in shown])
        )

    def _decoded(self, picture: Picture, logits: Mapping[str, Images]) -> Prediction:
        size = (picture.shape[0], picture.shape[1])
        known = self.definitions
        maps = {task: known[task].kind.enlarge_array(known[task], x, size) for task, x in logits.items()}
        return Prediction(picture, maps, self.class_names, self.class_values)

    def _padded_size(self, height: int, width: int) -> tuple[int, int]:
        if self.description.size is not None:
            return self.description.size[0], self.description.size[1]
        divisor = self.description.size_divisor
        return height + -height % divisor, width + -width % divisor


def open_exported(path: str | Path, **how: Any) -> ExportedPredictor:
    """Open a file of `bridgenet export`: `open_exported("network.onnx").predict_image("photo.jpg").panel()`.

    `.onnx` is computed by ONNX Runtime, without PyTorch. `.pt2` is loaded by PyTorch: open only archives from sources that
    you trust, because PyTorch does not guarantee that they cannot run code.

    Args:
        path: path of the file.
        how: `tasks`, `max_pixels`, `batch_size` of :class:`ExportedPredictor`.

    Raises:
        UserError: the file does not exist, is damaged or of another kind, or a package is missing.
    """
    refuse_address(path)
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no exported network at {path}")
    run, description = _open_onnx(path) if path.suffix.lower() == ".onnx" else _open_pt2(path)
    return ExportedPredictor(run, description, **how)


def _open_onnx(path: Path) -> tuple[Runner, Description]:
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f'{path} needs ONNX Runtime, which is not installed: pip install "bridgenet[export]"') from None
    check_onnx(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exception classes differ between versions
        raise UserError(f"{path} cannot be read by ONNX Runtime: {' '.join(str(error).split())[:300]}") from None
    description = Description.from_json(session.get_modelmeta().custom_metadata_map.get(KEY), path)
    names = list(description.tasks)
    given = {entry.name: entry.shape[1] for entry in session.get_outputs() if len(entry.shape) == 4}
    asked = {entry.name: entry.shape for entry in session.get_inputs()}
    size = [side for side in asked.get("image", ())[2:] if isinstance(side, int)]
    if given != description.num_outputs or list(asked) != ["image"] or size != (description.size or []):
        raise UserError(
            f"{path}: its network takes {asked} and gives {given}, but its description says images of size "
            f"{description.size or 'any'} and the outputs {description.num_outputs}; export the network again"
        )

    def run(images: Images) -> Mapping[str, Images]:
        with _failing(path, images):
            return dict(zip(names, session.run(names, {"image": images})))

    return run, description


@contextmanager
def _failing(path: Path, images: Images) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of the runtime, whatever the file has it do
        words = " ".join(str(error).split())[:300]
        raise UserError(f"{path} fails on images of {images.shape[2]}×{images.shape[3]}: {words}") from None


def _open_pt2(path: Path) -> tuple[Runner, Description]:
    import torch

    from bridgenet.checkpoints.files import check_zip

    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} cannot be read by PyTorch: it is no archive, or not whole; copy it again")
    extra = {f"{KEY}.json": ""}
    check_zip(path)
    try:
        with quiet():
            program = torch.export.load(str(path), extra_files=extra)
    except Exception as error:  # a damaged archive may raise anything
        words = " ".join(str(error).split()).partition(" Please check the warnings")[0]
        raise UserError(f"{path} cannot be read by PyTorch: {words[:300]}; copy it again, or export it again") from None
    text: Any = extra[f"{KEY}.json"]
    description = Description.from_json(text.decode() if isinstance(text, bytes) else text, path)
    network = program.module()

    @torch.inference_mode()
    def run(images: Images) -> Mapping[str, Images]:
        with _failing(path, images):
            logits = {
                task: x.numpy() for task, x in zip(description.tasks, network(torch.from_numpy(images)), strict=True)
            }
        if {task: x.shape[1] for task, x in logits.items()} != description.num_outputs:
            raise UserError(
                f"{path}: its network gives other outputs than its description says; export the network again"
            )
        return logits

    return run, description
