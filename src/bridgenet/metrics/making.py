"""Create, update and compute the metrics of tasks; errors of custom metrics become UserErrors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.extensions import failing_as, in_words


def make_metric(task: str, num_outputs: int, kind: Callable[[int], Any] | None = None) -> Any:
    """The metric of a task, or an instance of `kind` if given. Raises UserError if it cannot be created."""
    kind = kind or tasks.resolve(tasks.get(task).metric)
    try:
        return kind(num_outputs)
    except TypeError as error:
        raise UserError(f"metrics.{task}: {tasks.name_of(kind)} cannot be made: {in_words(error)}") from error


def update(task: str, metric: Any, logits: Tensor, target: Tensor) -> None:
    """`metric.update(logits, target)`. Raises UserError for whatever a custom metric raises."""
    if type(metric).__module__.startswith("bridgenet."):
        metric.update(logits, target)
        return
    with failing_as(_where(task, metric)):
        metric.update(logits, target)


def _where(task: str, metric: Any) -> str:
    return f"metrics.{task}: {tasks.name_of(type(metric))}"


def computed(task: str, metric: Any) -> dict[str, float]:
    """The metric's scores. Raises UserError if the headline of the task is not among them."""
    with failing_as(_where(task, metric)):
        scores = metric.compute()
    key = tasks.get(task).headline
    if not isinstance(scores, Mapping) or key not in scores:
        found = ", ".join(map(str, scores)) if isinstance(scores, Mapping) else f"a {type(scores).__name__}"
        raise UserError(
            f"metrics.{task}: {type(metric).__name__}.compute gives {found}; expected a dictionary with '{key}', which "
            "stands for the task"
        )
    return {name: float(value) for name, value in scores.items()}
