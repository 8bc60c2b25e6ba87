"""Prediction on one's own pictures: whatever the input, one map per task in the picture's own size."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bridgenet import tasks as task_registry
from bridgenet.errors import UserError, nearest
from bridgenet.export.predictor import ExportedPredictor
from bridgenet.images import SUFFIXES, read_picture

if TYPE_CHECKING:
    from torch import Tensor

    from bridgenet.model.bridgenet import BridgeNet


@dataclass
class Prediction:
    """Decoded predictions for one picture, as attributes by task name: `result.depth`, `result.semseg`, …

    Attributes:
        image: (H, W, 3) uint8 RGB, the picture.
        maps: {task: map}; classes (H, W) int64, probabilities (H, W) float32 in [0, 1], depth (H, W) float32 [m],
            normals (H, W, 3) float32 unit vectors in the training data's convention (NYUD-v2's, PASCAL-Context's),
            regressions (H, W) or (H, W, C) float32 in the task's unit.
        class_names: names of the classes of tasks that have classes, in the order of the indices.
    """

    image: NDArray[np.uint8]
    maps: dict[str, NDArray[Any]]
    class_names: dict[str, list[str]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> NDArray[Any]:
        maps = self.__dict__.get("maps", {})
        if name in maps:
            return maps[name]
        raise AttributeError(f"this prediction has no '{name}' (tasks: {', '.join(maps)})")

    def panel(self) -> Image.Image:
        """The picture and every task in colour, titled, with keys; depth with a colour bar [m]."""
        from bridgenet.visualize import panel

        return panel(self.image, self.maps, class_names=self.class_names)

    def save(self, folder: str | Path) -> list[Path]:
        """Write all maps and the panel into a folder (made if need be), all of them or none; returns the files.

        Classes: `TASK.png`, class index, 8 bits (16 for more than 256 classes). Probabilities: `TASK.png`, 0..255. Depth:
        `depth.npy` float32 [m] and `depth_mm.png`, 16 bits [mm]. Normals: `normals.png`, 255·(n + 1)/2. Regressions:
        `TASK.npy` float32. `panel.png`.
        """
        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        partial.chmod(0o755)
        try:
            for task, values in self.maps.items():
                _WRITERS[task_registry.get(task).kind](partial, task, values)
            self.panel().save(partial / "panel.png")
            names = sorted(path.name for path in partial.iterdir())
            folder.mkdir(exist_ok=True)
            for name in names:
                (partial / name).replace(folder / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return [folder / name for name in names]


def _write_classes(folder: Path, task: str, values: NDArray[Any]) -> None:
    dtype = np.uint8 if values.max(initial=0) < 256 else np.uint16
    _write_png(folder / f"{task}.png", values.astype(dtype))


def _write_probability(folder: Path, task: str, values: NDArray[Any]) -> None:
    _write_png(folder / f"{task}.png", (values * 255).astype(np.uint8))  # truncated, as the boundary protocol asks


def _write_depth(folder: Path, task: str, values: NDArray[Any]) -> None:
    np.save(folder / f"{task}.npy", values)
    _write_png(folder / f"{task}_mm.png", (values * 1000).round().clip(0, 65535).astype(np.uint16))


def _write_regression(folder: Path, task: str, values: NDArray[Any]) -> None:
    np.save(folder / f"{task}.npy", values)


def _write_normals(folder: Path, task: str, values: NDArray[Any]) -> None:
    rgb = ((values + 1) / 2 * 255).round().clip(0, 255).astype(np.uint8)
    _write_png(folder / f"{task}.png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def _write_png(path: Path, values: NDArray[Any]) -> None:
    path.write_bytes(cv2.imencode(".png", np.ascontiguousarray(values))[1].tobytes())


_WRITERS: dict[str, Callable[[Path, str, NDArray[Any]], None]] = {
    "classes": _write_classes,
    "probability": _write_probability,
    "depth": _write_depth,
    "normals": _write_normals,
    "regression": _write_regression,
}


def predict_image(
    network: BridgeNet, image: Any, *, tasks: Sequence[str] | None = None, max_pixels: int | None = None
) -> Prediction:
    """Decode a network's predictions for one picture, in the picture's own size.

    Args:
        network: in evaluation mode is meant; the mode is left as it is.
        image: path, PIL image, or (H, W, 3) uint8 RGB array; see :func:`bridgenet.images.read_picture`.
        tasks: the tasks wanted; all by default.
        max_pixels: a larger picture is shrunk to so many pixels for the network and its results are enlarged again.
            By default as many as in the network's training images: that is the scale it knows, and memory stays bounded.

    Raises:
        UserError: no picture, a damaged one, or a task that the network does not have.
    """
    import torch

    from bridgenet.data.batches import normalise

    check_request(network, tasks, max_pixels)
    picture = read_picture(image)
    parameter = next(network.parameters())
    height, width = picture.shape[:2]
    config = network.config
    if max_pixels is None and config is not None:
        max_pixels = config.image_size[0] * config.image_size[1]
    small: NDArray[Any] = picture
    if max_pixels is not None and height * width > max_pixels:
        factor = math.sqrt(max_pixels / (height * width))
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    pixels = torch.from_numpy(np.ascontiguousarray(small)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        logits = network(normalise(pixels.to(parameter.device)).to(parameter.dtype)).logits
        maps = {task: _full_size(task, logits[task], (height, width)) for task in tasks or network.tasks}
    return Prediction(picture, maps, dict(config.class_names) if config is not None else {})


def check_request(
    network: BridgeNet | ExportedPredictor, tasks: Sequence[str] | None, max_pixels: int | None = None
) -> None:
    """UserError for a task that the network does not have, or for no pixels."""
    for task in network.tasks:
        if task not in task_registry.names():
            raise UserError(
                f"this network predicts '{task}', which is not registered; call bridgenet.register_task first"
            )
    for task in tasks or ():
        if task not in network.tasks:
            known = ", ".join(network.tasks)
            raise UserError(
                f"this network does not predict '{task}'{nearest(task, network.tasks)} (it predicts {known})"
            )
    if max_pixels is not None and max_pixels < 1:
        raise UserError(f"max_pixels is {max_pixels}, expected at least 1")


def _full_size(task: str, logits: Tensor, size: tuple[int, int]) -> NDArray[Any]:
    """The decoded map (H, W[, 3]) of one image at `size`."""
    import torch

    from bridgenet.decoding import decode
    from bridgenet.model.layers import resize

    kind = task_registry.get(task).kind
    if kind == "classes" and tuple(logits.shape[-2:]) != size:
        return _largest_class(logits, size)
    values = decode(task, logits)[0]
    if kind == "classes":
        return values.cpu().numpy().astype(np.int64)
    channels = values.permute(2, 0, 1) if values.dim() == 3 else values[None]
    enlarged = resize(channels[None].float(), size)[0]
    if kind == "normals":
        return torch.nn.functional.normalize(enlarged, dim=0).permute(1, 2, 0).cpu().numpy()
    return (enlarged[0] if len(enlarged) == 1 else enlarged.permute(1, 2, 0)).cpu().numpy()


def _largest_class(logits: Tensor, size: tuple[int, int]) -> NDArray[Any]:
    """arg max of the resized logits, one class at a time: all 40 at once would need gigabytes for a photograph."""
    from bridgenet.decoding import first_largest
    from bridgenet.model.layers import resize

    maps = (resize(channel[None, None].float(), size)[0, 0] for channel in logits[0])
    return first_largest(maps)[0].long().cpu().numpy()


def find_pictures(inputs: Sequence[str], out: Path | None = None) -> tuple[dict[str, Path], list[str]]:
    """{name of the result's folder: file} for all pictures in files and folders, and what was passed over, in words.

    Of folders, hidden files and what lies in `out` are left out.
    """
    found: dict[str, Path] = {}
    skipped = []
    for entry in map(Path, inputs):
        if entry.is_dir():
            inside = {path: path.relative_to(entry) for path in sorted(entry.rglob("*")) if path.is_file()}
            files = [path for path in inside if not any(part.startswith(".") for part in inside[path].parts)]
            if out is not None:  # results of an earlier call are no pictures
                files = [path for path in files if out.resolve() not in path.resolve().parents]
            pairs = [(inside[path].with_suffix("").as_posix(), path) for path in files]
            if not files:
                skipped.append(f"{entry} is an empty folder: skipped")
        elif entry.is_file():
            pairs = [(entry.stem, entry)]
        else:
            skipped.append(f"{entry} does not exist: skipped")
            continue
        for name, path in pairs:
            if entry.is_dir() and path.suffix.lower() not in SUFFIXES:
                skipped.append(f"{path} is not an image: skipped")
                continue
            number, unique = 2, name
            while unique in found:  # a.jpg beside a.png, or the same name in two folders
                unique, number = f"{name}-{number}", number + 1
            found[unique] = path
    return found, skipped


def predict_all(
    network: BridgeNet | ExportedPredictor,
    inputs: Sequence[str],
    out: Path,
    *,
    tasks: Sequence[str] | None = None,
    max_pixels: int | None = None,
    say: Callable[[str], None] = print,
) -> Mapping[str, int]:
    """Predict every picture into `out/NAME/`; what is no picture is passed over, with a warning.

    Returns:
        {"images": number predicted, "skipped": number passed over}.

    Raises:
        UserError: a task that the network does not have, before anything is written.
    """
    check_request(network, tasks, max_pixels)
    pictures, skipped = find_pictures(inputs, out)
    for warning in skipped:
        say(f"! {warning}")
    done = 0
    for name, path in pictures.items():
        try:
            if isinstance(network, ExportedPredictor):
                result = network.predict_image(path)
            else:
                result = predict_image(network, path, tasks=tasks, max_pixels=max_pixels)
        except UserError as error:
            skipped.append(str(error))
            say(f"! {error}: skipped")
            continue
        files = result.save(out / name)
        height, width = result.image.shape[:2]
        say(
            f"{path}  {width}×{height}  {' '.join(result.maps)}  → {out / name}/{{{', '.join(file.name for file in files)}}}"
        )
        done += 1
    return {"images": done, "skipped": len(skipped)}
