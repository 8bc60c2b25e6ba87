"""The files of a prediction, written all or none."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bridgenet import tasks as task_registry
from bridgenet.errors import UserError, nearest
from bridgenet.prediction.points import check_field_of_view, point_cloud
from bridgenet.system.files import writing_folder

if TYPE_CHECKING:
    from bridgenet.prediction.result import Prediction

OUTPUTS = ("raw", "colour", "panel", "overlay", "ply")


def check_outputs(outputs: Sequence[str], tasks: Sequence[str], field_of_view: float | None = None) -> None:
    """UserError for an unknown output, points without depth, or an impossible field of view."""
    for output in outputs:
        if output not in OUTPUTS:
            raise UserError(f"'{output}' is not an output{nearest(output, OUTPUTS)} ({', '.join(OUTPUTS)})")
    if "ply" in outputs and not any(task_registry.get(task).kind == "depth" for task in tasks):
        raise UserError(f"points (ply) need depth, which is not among the tasks ({', '.join(tasks)})")
    check_field_of_view(field_of_view)


def save(
    result: Prediction, folder: Path, outputs: Sequence[str], *, field_of_view: float | None, opacity: float
) -> list[Path]:
    """See :meth:`bridgenet.prediction.result.Prediction.save`."""
    check_outputs(outputs, list(result.maps), field_of_view)
    with writing_folder(folder) as partial:
        for task, values in result.maps.items():
            kind = task_registry.get(task).kind
            if "raw" in outputs:
                if kind == "classes":
                    _write_classes(partial, task, values, len(result.class_names.get(task, ())))
                else:
                    _WRITERS[kind](partial, task, values)
            if "colour" in outputs:
                _write_image(partial / f"{task}_colour.png", result.coloured(task))
            if "overlay" in outputs:
                _write_image(partial / f"{task}_overlay.png", result.coloured(task, opacity=opacity))
            if "ply" in outputs and kind == "depth":
                (partial / f"{task}.ply").write_bytes(point_cloud(values, result.image, field_of_view))
        if "panel" in outputs:
            _write_image(partial / "panel.png", result.panel())
        names = sorted(path.name for path in partial.iterdir())
    return [folder / name for name in names]


def _write_classes(folder: Path, task: str, values: NDArray[Any], num_names: int) -> None:
    dtype = np.uint8 if max(num_names - 1, values.max(initial=0)) < 256 else np.uint16
    _write_png(folder / f"{task}.png", values.astype(dtype))


def _write_probability(folder: Path, task: str, values: NDArray[Any]) -> None:
    _write_png(folder / f"{task}.png", (values * 255).astype(np.uint8))  # truncated, as the boundary protocol asks


def _write_depth(folder: Path, task: str, values: NDArray[Any]) -> None:
    _write_npy(folder / f"{task}.npy", values)
    _write_png(folder / f"{task}_mm.png", (values * 1000).round().clip(0, 65535).astype(np.uint16))


def _write_regression(folder: Path, task: str, values: NDArray[Any]) -> None:
    _write_npy(folder / f"{task}.npy", values)


def _write_normals(folder: Path, task: str, values: NDArray[Any]) -> None:
    bgr = np.empty(values.shape, dtype=np.uint8)
    for row, normals in enumerate(values):  # by rows: of a large photograph all at once would take gigabytes
        bgr[row] = ((normals[:, ::-1] + 1) / 2 * 255).round().clip(0, 255)
    _write_png(folder / f"{task}.png", bgr)


def _write_png(path: Path, values: NDArray[Any]) -> None:
    path.write_bytes(cv2.imencode(".png", np.ascontiguousarray(values))[1].tobytes())


def _write_npy(path: Path, values: NDArray[Any]) -> None:
    values = np.ascontiguousarray(values)
    with path.open("wb") as file:  # np.save does not tell that a disk is full
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(values))
        file.write(values.data)


def _write_image(path: Path, image: Image.Image) -> None:
    content = io.BytesIO()  # writing to a full disk itself, Pillow tells of an "encoder error"
    image.save(content, "PNG")
    path.write_bytes(content.getbuffer())


_WRITERS: dict[str, Callable[[Path, str, NDArray[Any]], None]] = {
    "probability": _write_probability,
    "depth": _write_depth,
    "normals": _write_normals,
    "regression": _write_regression,
}
