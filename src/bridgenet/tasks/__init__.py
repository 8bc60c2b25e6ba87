"""What a task is: the one place that knows. Everything else loops over tasks.

A task names its loss, metric and decoding as `"module:attribute"` (loaded when used, so that this module stays light)
or gives them as callables. Register your own with :func:`register`:

    bridgenet.register_task(bridgenet.Task(name="albedo", title="Albedo", num_outputs=3, ...))
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from bridgenet.errors import UserError, nearest
from bridgenet.moved import renamed

IGNORE = 255
"""Target value of a pixel without a label, in every channel of every task."""

Reference = str | Callable[..., Any]
Kind = Literal["classes", "probability", "depth", "normals", "regression"]


@dataclass(frozen=True)
class Headline:
    """A score that stands for a task.

    Attributes:
        key: its name among the metric's values, e.g. ``"mIoU"``.
        title: how tables call it.
        higher_is_better: its direction.
        unit: ``"%"`` for shares shown in percent, ``"deg"``, ``"m"``, or nothing.
    """

    key: str
    title: str
    higher_is_better: bool
    unit: str = ""

    @property
    def heading(self) -> str:
        """Title and direction, e.g. ``"mIoU ↑"``."""
        return f"{self.title} {'↑' if self.higher_is_better else '↓'}"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One dense prediction task. Targets are (H, W, C) float32 arrays, :data:`IGNORE` where there is no label.

    Attributes:
        name: key in batches, configurations and results, e.g. ``"semseg"``.
        title: heading in figures.
        kind: how a decoded prediction is drawn and written: ``"classes"`` (H, W) int64; ``"probability"`` (H, W)
            float32 in [0, 1]; ``"depth"`` (H, W) float32 [m]; ``"normals"`` (H, W, 3) float32 unit vectors;
            ``"regression"`` (H, W) or, of several channels, (H, W, C) float32 in the task's `unit`.
        num_outputs: channels of the logits, n_t; ``None``: the data set's number of classes.
        loss: ``(logits (B,n,H,W), target (B,C,H,W), *, mean_over_processes) -> scalar``, see :mod:`bridgenet.losses`.
        loss_weight: w_t of the published training.
        metric: ``(num_outputs) -> torchmetrics.Metric`` with ``update(logits, target)`` and ``compute() -> dict[str, float]``.
        headline: the metric's key that stands for the task in tables and in the choice of the best checkpoint.
        headline_title: how tables call it, e.g. ``"mIoU"``.
        higher_is_better: direction of the headline.
        decode: ``logits (B,n,H,W) -> prediction``, (B,H,W) or (B,H,W,3), in the units of `kind`.
        unit: unit of the headline, ``"%"`` for shares shown in percent.
        full_headline: what stands for the task in its place where it is known: a score that is too costly to compute at
            every evaluation in training.
        pad_value: target value outside the image when padding, before the ignore step.
        unknown: which loaded targets become :data:`IGNORE` in the ignore step: ``"zero"`` pixels (all channels 0),
            ``"no_foreground"`` (the whole target when it holds nothing but 0 and IGNORE), or ``"none"``.
        divide_by_scale: the target shrinks when the image is enlarged (metric depth).
        multiply_by_scale: the target grows with it (disparity in pixels).
        negate_on_flip: channels that change sign in a horizontal flip (x of normals).
        interpolation: how a stored target of another size than its image is resized, ``"nearest"`` or ``"cubic"``.
            (In augmentation every target is resized by nearest neighbour, as published.)
    """

    name: str
    title: str
    kind: Kind
    num_outputs: int | None
    loss: Reference
    loss_weight: float = 1.0
    metric: Reference
    headline: str
    headline_title: str
    higher_is_better: bool
    decode: Reference
    unit: str = ""
    full_headline: Headline | None = None
    pad_value: float = IGNORE
    unknown: Literal["none", "zero", "no_foreground"] = "none"
    divide_by_scale: bool = False
    multiply_by_scale: bool = False
    negate_on_flip: tuple[int, ...] = ()
    interpolation: Literal["nearest", "cubic"] = "nearest"

    def headline_in(self, *scores: Mapping[str, float]) -> Headline:
        """The score that stands for the task and that all of these have: the full headline if they do."""
        if self.full_headline is not None and all(self.full_headline.key in values for values in scores):
            return self.full_headline
        return Headline(self.headline, self.headline_title, self.higher_is_better, self.unit)

    @property
    def target_channels(self) -> int:
        """Channels of the target: 3 for normals, those of the logits for a regression, else 1."""
        if self.kind == "regression":
            return self.num_outputs or 1
        return 3 if self.kind == "normals" else 1

    def as_dict(self) -> dict[str, Any]:
        """What differs from the defaults, JSON types; callables as ``"module:attribute"``. See :func:`from_dict`."""
        found = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value != entry.default:
                value = asdict(value) if isinstance(value, Headline) else value
                found[entry.name] = name_of(value) if callable(value) else value
        return found


def resolve(reference: Reference) -> Callable[..., Any]:
    """The callable that a ``"module:attribute"`` string names; callables pass through."""
    if callable(reference):
        return reference
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


def name_of(function: Callable[..., Any]) -> str:
    """``"module:attribute"`` of a callable, the inverse of :func:`resolve`."""
    return f"{function.__module__}:{function.__qualname__}"


def from_dict(values: Mapping[str, Any]) -> Task:
    """The inverse of :meth:`Task.as_dict`. UserError for what describes no task."""
    try:
        headline = values.get("full_headline")
        full_headline = Headline(**headline) if headline else None
        flips = tuple(values.get("negate_on_flip", ()))
        named = {key: renamed(values[key]) for key in ("loss", "metric", "decode") if isinstance(values.get(key), str)}
        task = Task(**{**values, **named, "full_headline": full_headline, "negate_on_flip": flips})
    except (TypeError, AttributeError) as error:
        raise UserError(f"{values!r} does not describe a task: {error}") from None
    if task.kind not in _OF_KIND:
        raise UserError(f"task '{task.name}': '{task.kind}' is not a kind ({', '.join(_OF_KIND)})")
    return task


_OF_KIND: dict[str, dict[str, Any]] = {
    "classes": {
        "loss": "bridgenet.losses:cross_entropy",
        "metric": "bridgenet.metrics:Segmentation",
        "headline": "mIoU",
        "headline_title": "mIoU",
        "higher_is_better": True,
        "decode": "bridgenet.tasks.decoding:class_index",
        "unit": "%",
        "num_outputs": None,
    },
    "probability": {
        "loss": "bridgenet.losses:balanced_cross_entropy",
        "metric": "bridgenet.metrics:Saliency",
        "headline": "maxF_clean",
        "headline_title": "maxF",
        "higher_is_better": True,
        "decode": "bridgenet.tasks.decoding:foreground_probability",
        "unit": "%",
        "num_outputs": 2,
    },
    "depth": {
        "loss": "bridgenet.losses:l1",
        "metric": "bridgenet.metrics:Depth",
        "headline": "rmse",
        "headline_title": "RMSE",
        "higher_is_better": False,
        "decode": "bridgenet.tasks.decoding:depth",
        "unit": "m",
        "num_outputs": 1,
        "pad_value": 0,
        "unknown": "zero",
        "divide_by_scale": True,
    },
    "normals": {
        "loss": "bridgenet.losses:normals_l1",
        "loss_weight": 10.0,
        "metric": "bridgenet.metrics:Normals",
        "headline": "mean",
        "headline_title": "mErr",
        "higher_is_better": False,
        "decode": "bridgenet.tasks.decoding:unit_vector",
        "unit": "deg",
        "num_outputs": 3,
        "pad_value": 0,
        "unknown": "zero",
        "negate_on_flip": (0,),
        "interpolation": "cubic",
    },
    "regression": {
        "loss": "bridgenet.losses:l1",
        "metric": "bridgenet.metrics:Regression",
        "headline": "mae",
        "headline_title": "MAE",
        "higher_is_better": False,
        "decode": "bridgenet.tasks.decoding:regression",
        "num_outputs": 1,
    },
}


def of_kind(name: str, kind: str, **changes: Any) -> Task:
    """A task of one's own with the loss, metric and decoding that go with its kind.

    Args:
        name: its key.
        kind: see :class:`Task`.
        changes: other fields of the task, e.g. `title`, `num_outputs` (channels of a regression), `unit`, `loss_weight`.

    Raises:
        UserError: there is no such kind.
    """
    if kind not in _OF_KIND:
        raise UserError(f"task '{name}': '{kind}' is not a kind{nearest(kind, _OF_KIND)} ({', '.join(_OF_KIND)})")
    title = name.replace("_", " ").capitalize()
    return Task(**{"name": name, "kind": kind, "title": title, **_OF_KIND[kind], **changes})


_TASKS: dict[str, Task] = {}


def register(task: Task, *, replace: bool = False) -> Task:
    """Make a task known by its name. Raises UserError if another has the name and `replace` is false."""
    if task.name in _TASKS and not replace and _TASKS[task.name].as_dict() != task.as_dict():
        raise UserError(f"task '{task.name}' is registered already; pass replace=True to put another in its place")
    _TASKS[task.name] = task
    return task


def ensure(task: Task) -> Task:
    """Make a task known unless the same one is already. UserError if another has its name."""
    known = _TASKS.setdefault(task.name, task)
    if known.as_dict() != task.as_dict():  # one may name its functions, the other hold them
        other = {key: value for key, value in known.as_dict().items() if value != task.as_dict().get(key)}
        raise UserError(
            f"task '{task.name}' is known already and is another one ({', '.join(other) or 'fewer fields'} differ); "
            "give yours another name"
        )
    return known


def get(name: str) -> Task:
    """The task of that name, or UserError with the nearest known one."""
    if name not in _TASKS:
        raise UserError(f"'{name}' is not a task{nearest(name, _TASKS)} (tasks: {', '.join(_TASKS)})")
    return _TASKS[name]


def names() -> list[str]:
    """All registered names, published tasks first, in the published order."""
    return list(_TASKS)


def in_order(chosen: Iterable[str]) -> list[str]:
    """The chosen task names in the canonical order (that of registration); UserError for an unknown or empty choice."""
    wanted = [get(name).name for name in chosen]
    if not wanted:
        raise UserError(f"no task was chosen (tasks: {', '.join(_TASKS)})")
    return [name for name in _TASKS if name in wanted]


register(
    Task(
        name="semseg",
        title="Semantic segmentation",
        kind="classes",
        num_outputs=None,
        loss="bridgenet.losses:cross_entropy",
        loss_weight=1.0,
        metric="bridgenet.metrics:Segmentation",
        headline="mIoU",
        headline_title="mIoU",
        higher_is_better=True,
        decode="bridgenet.tasks.decoding:class_index",
        unit="%",
    )
)
register(
    Task(
        name="depth",
        title="Depth",
        kind="depth",
        num_outputs=1,
        loss="bridgenet.losses:l1",
        loss_weight=1.0,
        metric="bridgenet.metrics:Depth",
        headline="rmse",
        headline_title="RMSE",
        higher_is_better=False,
        decode="bridgenet.tasks.decoding:depth",
        unit="m",
        pad_value=0,
        unknown="zero",
        divide_by_scale=True,
    )
)
register(
    Task(
        name="human_parts",
        title="Human parts",
        kind="classes",
        num_outputs=7,
        loss="bridgenet.losses:cross_entropy",
        loss_weight=2.0,
        metric="bridgenet.metrics:Segmentation",
        headline="mIoU",
        headline_title="mIoU",
        higher_is_better=True,
        decode="bridgenet.tasks.decoding:class_index",
        unit="%",
        unknown="no_foreground",
    )
)
register(
    Task(
        name="sal",
        title="Saliency",
        kind="probability",
        num_outputs=2,
        loss="bridgenet.losses:balanced_cross_entropy",
        loss_weight=5.0,
        metric="bridgenet.metrics:Saliency",
        headline="maxF",
        headline_title="maxF",
        higher_is_better=True,
        decode="bridgenet.tasks.decoding:foreground_probability",
        unit="%",
    )
)
register(
    Task(
        name="normals",
        title="Surface normals",
        kind="normals",
        num_outputs=3,
        loss="bridgenet.losses:normals_l1",
        loss_weight=10.0,
        metric="bridgenet.metrics:Normals",
        headline="mean",
        headline_title="mErr",
        higher_is_better=False,
        decode="bridgenet.tasks.decoding:unit_vector",
        unit="deg",
        pad_value=0,
        unknown="zero",
        negate_on_flip=(0,),
        interpolation="cubic",
    )
)
register(
    Task(
        name="edge",
        title="Boundaries",
        kind="probability",
        num_outputs=1,
        loss="bridgenet.losses:edge_bce",
        loss_weight=50.0,
        metric="bridgenet.metrics:Edge",
        headline="loss",
        headline_title="loss",
        higher_is_better=False,
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
"""Names of the tasks that every installation knows; the definitions of others travel with their networks."""
