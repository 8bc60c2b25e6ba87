"""A dense prediction task: its name, loss, metric, decoding, and how augmentation changes its targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, make_dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

from annotated_types import Ge, Le, Lt, MinLen

from bridgenet.errors import UserError
from bridgenet.moved import renamed
from bridgenet.system.validation import NotNegative, lines, said, strict, validated
from bridgenet.tasks import kinds
from bridgenet.tasks.kinds.base import Kind
from bridgenet.tasks.naming import wrong_name
from bridgenet.tasks.references import Reference, name_of

_Index = Annotated[int, Ge(0), Lt(65_536)]


@strict
@dataclass(frozen=True)
class Headline:
    """The score that represents a task in tables.

    Attributes:
        key: its key in the metric's values, e.g. ``"mIoU"``.
        title: its name in tables.
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
    """One dense prediction task. Targets are (H, W, C) float32 arrays.

    For losses and metrics pixels without a label are NaN in every channel, :data:`bridgenet.tasks.IGNORE` in class maps; as they
    are read see `unknown`.

    Attributes:
        name: key in batches, configurations and results, e.g. ``"semseg"``; letters, digits, `_` and `-`, see
            :mod:`bridgenet.tasks.naming`.
        title: heading in figures.
        kind: how targets and predictions are read, drawn and written, see :mod:`bridgenet.tasks.kinds`; its name may be
            given instead. Decoded predictions are: ``"classes"`` (H, W) int64; ``"probability"`` (H, W)
            float32 in [0, 1]; ``"depth"`` (H, W) float32 [m]; ``"normals"`` (H, W, 3) float32 unit vectors;
            ``"regression"`` (H, W) or, for several channels, (H, W, C) float32 in the task's `unit`.
        num_outputs: channels of the logits, n_t; ``None``: the data set's number of classes.
        loss: ``(logits (B,n,H,W), target (B,C,H,W), *, mean_over_processes) -> scalar``, see :mod:`bridgenet.losses`.
        loss_weight: w_t in the total loss.
        metric: ``(num_outputs) -> torchmetrics.Metric`` with ``update(logits, target)`` and ``compute() -> dict[str, float]``.
        headline: key of the metric's value for tables and for the choice of the best checkpoint.
        headline_title: its name in tables, e.g. ``"mIoU"``.
        higher_is_better: direction of the headline.
        decode: ``logits (B,n,H,W) -> prediction``, (B,H,W) or (B,H,W,3), in the units of `kind`.
        unit: unit of the headline, ``"%"`` for shares shown in percent.
        full_headline: replaces the headline where it is known: a score that is too costly to compute at every
            evaluation in training.
        pad_value: target value outside the image when padding, before `unknown` is looked at; ``None``: unknown.
        unknown: what :meth:`bridgenet.tasks.Kind.mark_unknown` makes unknown in targets as they were read: ``"zero"``
            pixels (all channels 0), ``"no_foreground"`` (the whole target when it holds nothing but 0 and unknown pixels),
            or ``"none"``.
        divide_by_scale: the target shrinks when the image is enlarged (metric depth).
        multiply_by_scale: the target grows with the image (disparity in pixels).
        negate_on_flip: channels that change sign in a horizontal flip (x of normals).
        swap_on_flip: pairs of class indices that change places in a horizontal flip (left and right hands).
        interpolation: how a target stored in another size than its image is resized, ``"nearest"`` or ``"cubic"``.
            (Augmentation resizes every target by nearest neighbour, as published.)

    Raises UserError for an unknown kind or a name that is not allowed.
    """

    name: str
    title: str
    kind: Kind
    num_outputs: Annotated[int, Ge(1), Le(65_536)] | None
    loss: Reference
    loss_weight: NotNegative = 1.0
    metric: Reference
    headline: str
    headline_title: str
    higher_is_better: bool
    decode: Reference
    unit: str = ""
    full_headline: Headline | None = None
    pad_value: float | None = None
    unknown: Literal["none", "zero", "no_foreground"] = "none"
    divide_by_scale: bool = False
    multiply_by_scale: bool = False
    negate_on_flip: tuple[_Index, ...] = ()
    swap_on_flip: tuple[tuple[_Index, _Index], ...] = ()
    interpolation: Literal["nearest", "cubic"] = "nearest"

    def __post_init__(self) -> None:
        if problem := wrong_name(self.name):
            raise UserError(problem)
        if not isinstance(self.kind, Kind):
            object.__setattr__(self, "kind", kinds.get(self.kind, f"task '{self.name}'"))

    def headline_in(self, *scores: Mapping[str, float]) -> Headline:
        """The headline for these scores: the full headline if all of them have it."""
        if self.full_headline is not None and all(self.full_headline.key in values for values in scores):
            return self.full_headline
        return Headline(self.headline, self.headline_title, self.higher_is_better, self.unit)

    @property
    def target_channels(self) -> int:
        """Channels of the target: 3 for normals, `num_outputs` for a regression, else 1."""
        return self.kind.target_channels(self.num_outputs)

    def mirrored_classes(self, number: int) -> list[int]:
        """Index of the class that takes the place of each of `number` classes in a horizontal flip, see `swap_on_flip`."""
        order = list(range(number))
        for one, other in self.swap_on_flip:
            if max(one, other) < number:
                order[one], order[other] = other, one
        return order

    def as_dict(self) -> dict[str, Any]:
        """The fields that differ from the defaults, as JSON types; callables as ``"module:attribute"``. See :func:`from_dict`."""
        found = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value != entry.default:
                value = asdict(value) if isinstance(value, Headline) else value
                found[entry.name] = name_of(value) if callable(value) else value
        return found | {"kind": self.kind.name}


def from_dict(values: Mapping[str, Any]) -> Task:
    """The inverse of :meth:`Task.as_dict`. Raises UserError if the values do not describe a task."""
    found, problems = validated(_definition(), values)
    if found is None:
        name = said(values.get("name")) if isinstance(values, Mapping) else said(values)
        raise UserError(lines(problems, f"what defines {name} does not describe a task: "))
    given = {entry.name: getattr(found, entry.name) for entry in fields(Task)}
    named = {key: renamed(given[key]) for key in ("loss", "metric", "decode")}
    for key, text in named.items():
        if text.startswith("bridgenet.") and not text.startswith(_OWN[key]):
            raise UserError(f"the task '{found.name}' has the {key} {text}, which is none (expected {_OWN[key]}…)")
    return Task(**given | named)


_OWN = {"loss": "bridgenet.losses", "metric": "bridgenet.metrics", "decode": "bridgenet.tasks."}
"""Where this package has what a definition may name."""


@cache
def _definition() -> type[Any]:
    """The types of the fields in :meth:`Task.as_dict`, where functions and the kind are text."""
    names = {key: Annotated[str, MinLen(1)] for key in ("kind", "loss", "metric", "decode")}
    types = get_type_hints(Task, include_extras=True) | names
    given = [(x.name, types[x.name], field(default=x.default)) for x in fields(Task) if x.default is not MISSING]
    required = [(x.name, types[x.name]) for x in fields(Task) if x.default is MISSING]
    return strict(make_dataclass("Definition", [*required, *given], kw_only=True))


def of_kind(name: str, kind: str | Kind, **changes: Any) -> Task:
    """A custom task with the default loss, metric and decoding of its kind.

    Args:
        name: key of the task.
        kind: see :class:`Task`.
        changes: other fields of the task, e.g. `title`, `num_outputs` (channels of a regression), `unit`, `loss_weight`.

    Raises:
        UserError: the kind is unknown.
    """
    found = kind if isinstance(kind, Kind) else kinds.get(kind, f"task '{name}'")
    title = name.replace("_", " ").capitalize()
    return Task(**{"name": name, "kind": found, "title": title, **found.defaults, **changes})
