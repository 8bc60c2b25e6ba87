"""Writing of predictions: all files or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridgenet import tasks as task_registry
from bridgenet.errors import UserError, nearest
from bridgenet.imaging.writing import write_image
from bridgenet.prediction.points import check_field_of_view, point_cloud
from bridgenet.system.files import writing_folder

if TYPE_CHECKING:
    from bridgenet.prediction.result import Prediction

OUTPUTS = ("raw", "labels", "colour", "panel", "overlay", "ply")


def check_outputs(
    outputs: Sequence[str],
    tasks: Sequence[str],
    class_values: Mapping[str, Sequence[int]],
    field_of_view: float | None = None,
) -> None:
    """UserError for an unknown output, labels without known values, points without depth, or an invalid field of view."""
    for output in outputs:
        if output not in OUTPUTS:
            raise UserError(f"'{output}' is not an output{nearest(output, OUTPUTS)} ({', '.join(OUTPUTS)})")
    classes = [task for task in tasks if task_registry.get(task).kind.has_classes]
    if "labels" in outputs and not classes:
        raise UserError(f"labels are written for classes, which are not among the tasks ({', '.join(tasks)})")
    if "labels" in outputs and (unknown := [task for task in classes if task not in class_values]):
        raise UserError(
            f"it is not known which values label files have for the classes of {', '.join(unknown)}: these weights do not "
            "record them; write raw, which has the indices"
        )
    if "ply" in outputs and not any(task_registry.get(task).kind.has_points for task in tasks):
        raise UserError(f"points (ply) need depth, which is not among the tasks ({', '.join(tasks)})")
    check_field_of_view(field_of_view)


def lost(result: Prediction, outputs: Sequence[str]) -> list[str]:
    """Notes about values that the written files do not hold."""
    if "raw" not in outputs:
        return []
    texts = {task: task_registry.get(task).kind.lost(task, values) for task, values in result.maps.items()}
    return [f"{task}: {text}" for task, text in texts.items() if text]


def _stored(task: str, classes: NDArray[Any], values: Sequence[int]) -> NDArray[Any]:
    """A map of class indices in the values of label files. UserError if there are more classes than values."""
    if classes.max(initial=0) >= len(values):
        raise UserError(f"class {classes.max()} of {task} has no value in label files: only {len(values)} are recorded")
    return np.array(values)[classes]


def save(
    result: Prediction, folder: Path, outputs: Sequence[str], *, field_of_view: float | None, opacity: float
) -> list[Path]:
    """See :meth:`bridgenet.prediction.result.Prediction.save`."""
    check_outputs(outputs, list(result.maps), result.class_values, field_of_view)
    with writing_folder(folder) as partial:
        for task, values in result.maps.items():
            kind = task_registry.get(task).kind
            if "raw" in outputs:
                kind.write(partial, task, values, len(result.class_names.get(task, ())))
            if "labels" in outputs and kind.has_classes:
                kind.write(partial, f"{task}_labels", _stored(task, values, result.class_values[task]), 0)
            if "colour" in outputs:
                write_image(partial / f"{task}_colour.png", result.coloured(task))
            if "overlay" in outputs:
                write_image(partial / f"{task}_overlay.png", result.coloured(task, opacity=opacity))
            if "ply" in outputs and kind.has_points:
                (partial / f"{task}.ply").write_bytes(point_cloud(values, result.image, field_of_view))
        if "panel" in outputs:
            write_image(partial / "panel.png", result.panel())
        names = sorted(path.name for path in partial.iterdir())
    return [folder / name for name in names]
