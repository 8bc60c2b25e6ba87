"""Registry of tasks by name: the published ones and custom ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from bridgenet.errors import UserError, nearest
from bridgenet.tasks.task import Headline, Task, of_kind

_TASKS: dict[str, Task] = {}


def register(task: Task, *, replace: bool = False) -> Task:
    """Register a task by its name. Raises UserError if another task has the name and `replace` is false."""
    if task.name in _TASKS and not replace and _TASKS[task.name].as_dict() != task.as_dict():
        raise UserError(f"task '{task.name}' is registered already; pass replace=True to overwrite it")
    _TASKS[task.name] = task
    return task


def ensure(task: Task) -> Task:
    """Register a task unless an equal one is registered. Raises UserError if a different task has its name.

    Which classes a mirror swaps is up to the data: the last one counts.
    """
    known = dataclasses.replace(_TASKS.setdefault(task.name, task), swap_on_flip=task.swap_on_flip)
    was, now = known.as_dict(), task.as_dict()
    if was != now:  # one may hold names of functions, the other the functions
        differing = [
            f"{key} is {was.get(key, 'not there')} in one, {now.get(key, 'not there')} in the other"
            for key in {**was, **now}
            if was.get(key) != now.get(key)
        ]
        raise UserError(
            f"task '{task.name}' is known already and is another one ({'; '.join(differing)}); describe it as before, or "
            "give yours another name"
        )
    if known.swap_on_flip != _TASKS[task.name].swap_on_flip:
        _TASKS[task.name] = known
    return _TASKS[task.name]


def get(task: str | Task) -> Task:
    """The task of that name; a `Task` is returned as it is. Raises UserError with the nearest name for an unknown one."""
    if isinstance(task, Task):
        return task
    if task not in _TASKS:
        raise UserError(f"'{task}' is not a task{nearest(task, _TASKS)} (tasks: {', '.join(_TASKS)})")
    return _TASKS[task]


def names() -> list[str]:
    """All registered names, published tasks first, in the published order."""
    return list(_TASKS)


def in_order(chosen: Iterable[str]) -> list[str]:
    """The chosen task names in the order of registration. Raises UserError for an unknown name or an empty choice."""
    wanted = [get(name).name for name in chosen]
    if not wanted:
        raise UserError(f"no task was chosen (tasks: {', '.join(_TASKS)})")
    return [name for name in _TASKS if name in wanted]


register(of_kind("semseg", "classes", title="Semantic segmentation"))
register(of_kind("depth", "depth"))
register(of_kind("human_parts", "classes", num_outputs=7, loss_weight=2.0, unknown="no_foreground"))
register(of_kind("sal", "probability", title="Saliency", loss_weight=5.0, headline="maxF"))
register(of_kind("normals", "normals", title="Surface normals"))
register(
    of_kind(
        "edge",
        "probability",
        title="Boundaries",
        num_outputs=1,
        loss="bridgenet.losses:edge_bce",
        loss_weight=50.0,
        metric="bridgenet.metrics:Edge",
        headline="loss",
        headline_title="loss",
        higher_is_better=False,
        unit="",
        full_headline=Headline("odsF", "odsF", higher_is_better=True, unit="%"),
        decode="bridgenet.tasks.decoding:probability",
    )
)
register(
    of_kind(
        "disparity",
        "regression",
        metric="bridgenet.metrics:Disparity",
        decode="bridgenet.tasks.decoding:depth",
        headline="rmse",
        headline_title="RMSE",
        unit="px",
        multiply_by_scale=True,
    )
)
register(
    of_kind(
        "inverse_depth",
        "regression",
        metric="bridgenet.metrics:InverseDepth",
        decode="bridgenet.tasks.decoding:depth",
        headline="abs_err",
        headline_title="abs err",
        pad_value=0,
        unknown="zero",
        multiply_by_scale=True,
    )
)

BUILT_IN = frozenset(_TASKS)
"""Names of the published tasks. Files of networks store the definitions of all other tasks."""
