"""The metadata of an exported file, as JSON: everything that prediction needs besides the network. No PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le, Len, MinLen

from bridgenet import tasks as task_registry
from bridgenet.errors import UserError
from bridgenet.model.description import StoredValue, wrong_tasks
from bridgenet.system.validation import LONGEST_SIDE, Count, Positive, Side, Words, lines, strict, validated
from bridgenet.tasks import Task
from bridgenet.tasks.naming import check_names

FORMAT = 1
KEY = "bridgenet"
"""Key of the description in ONNX metadata; in `torch.export` archives it is the extra file `bridgenet.json`."""


Size = Annotated[list[Side], Len(2, 2), Words(f"[height, width] in pixels, each from 1 to {LONGEST_SIDE}")]
Colour = Annotated[list[float], Len(3, 3), Words("three numbers, of red, green and blue")]
Deviation = Annotated[list[Positive], Len(3, 3), Words("three numbers above 0, of red, green and blue")]
Multiple = Annotated[int, Ge(1), Le(4096)]


@strict
@dataclass(kw_only=True)
class Description:
    """How to use an exported network. Its input is `image`, (B, 3, H, W) float32 RGB; its outputs are logits by task.

    Attributes:
        tasks: {task: its definition}, :meth:`bridgenet.Task.as_dict`: title, kind, unit, decode.
        num_outputs: {task: channels of its logits}.
        class_names: {task: names of its classes, in the order of the indices}.
        class_values: {task: values of its classes in label files of the training data}, in the same order.
        mean, std: normalisation of values in [0, 1]: (value − mean) / std, by channel.
        image_size: (H, W) of the training images [pixels]; larger pictures are shrunk to about this number of pixels.
        size_divisor: H and W must be multiples of it; pictures are padded with 0 below and to the right.
        least_size: smallest H and W [pixels].
        size: the fixed (H, W) of the input [pixels], or None if it is free.
        quantised: `"int8"`, or None.
        backbone: name of the backbone.
        dataset: name of the data set that the tasks belong to, if any.
        information: recorded with the weights: origin, licence, licence of the backbone's weights, scores.
        deviation: {task: largest measured deviation from PyTorch, relative to the largest absolute logit}.
        loss: {task: how much a quantised network's predictions differ}, see :meth:`bridgenet.tasks.kinds.Kind.change`.
        version: version of this package.
    """

    tasks: Annotated[dict[str, dict[str, Any]], MinLen(1), Words("the definitions of at least one task")]
    num_outputs: dict[str, Count]
    class_names: dict[str, list[str]]
    mean: Colour
    std: Deviation
    image_size: Size
    size_divisor: Multiple
    least_size: Multiple
    size: Size | None
    backbone: str
    version: str
    quantised: str | None = None
    class_values: dict[str, list[StoredValue]] = field(default_factory=dict)
    dataset: str | None = None
    information: dict[str, Any] = field(default_factory=dict)
    deviation: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, str]:
        """A summary of the file for the user."""
        free = f"any, multiples of {self.size_divisor} from {self.least_size} on"
        return {
            "images": f"{self.size[0]}×{self.size[1]} alone" if self.size else free,
            "tasks": ", ".join(self.tasks),
        }

    def as_json(self) -> str:
        """The description as JSON text."""
        return json.dumps({"format": FORMAT} | asdict(self))

    @classmethod
    def from_json(cls, text: str | None, path: Path) -> Description:
        """Parse the text of :meth:`as_json`. UserError if it is not of this project, damaged or newer."""
        if not text:
            raise UserError(f"{path} has no description of this project's; was it written by bridgenet export?")
        try:
            found = json.loads(text)
            version = found["format"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise UserError(f"{path}: its description is damaged; export the network again") from None
        if version != FORMAT:
            raise UserError(f"{path} has format {version}, this version reads {FORMAT}: update bridgenet")
        known = {entry.name for entry in fields(cls)}
        described, problems = validated(cls, {key: value for key, value in found.items() if key in known})
        if described is not None:
            problems = wrong_tasks(described.num_outputs, described.class_names, described.tasks)
            problems += [f"num_outputs lacks {task}" for task in described.tasks if task not in described.num_outputs]
        if described is None or problems:
            raise UserError(lines(problems, f"{path}: its description is damaged: "))
        try:
            described._check_tasks()
        except UserError as error:
            raise UserError(f"{path}: its description is damaged: {error}") from None
        return described

    def _check_tasks(self) -> None:
        check_names(self.tasks)
        for name, values in self.tasks.items():
            task = task_registry.from_dict(values)
            if name in task_registry.BUILT_IN and task.kind != (kind := task_registry.get(name).kind):
                raise UserError(f"{name} is of the kind {task.kind.name}, expected {kind.name}")

    def register_tasks(self) -> dict[str, Task]:
        """Register tasks that are not built in, for drawing and writing their maps, and return all tasks."""
        found = {name: task_registry.from_dict(values) for name, values in self.tasks.items()}
        for name, task in found.items():
            if name not in task_registry.BUILT_IN:
                task_registry.ensure(task)
        return found


def say_deviation(deviation: Mapping[str, float]) -> str:
    """The deviation of each task as a line of text."""
    return "  ".join(f"{task} {value:.1e}" for task, value in deviation.items())
