"""What stands in an exported file beside the network: all that prediction needs to know. JSON, no PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bridgenet import tasks as task_registry
from bridgenet.errors import UserError
from bridgenet.tasks import Task

FORMAT = 1
KEY = "bridgenet"
"""Under which it stands in ONNX's metadata; in `torch.export` archives it is the extra file `bridgenet.json`."""
SUFFIXES = (".onnx", ".pt2")


def is_exported(source: str | Path) -> bool:
    """Whether that names an exported file, by its ending."""
    return Path(source).suffix.lower() in SUFFIXES


@dataclass(kw_only=True)
class Description:
    """How to use an exported network. Its input is `image`, (B, 3, H, W) float32 RGB; its outputs are logits by task.

    Attributes:
        tasks: {task: its definition}, :meth:`bridgenet.Task.as_dict`: title, kind, unit, decode.
        num_outputs: {task: channels of its logits}.
        class_names: {task: names of its classes, in the order of the indices}.
        mean, std: what is subtracted from values in [0, 1], and what they are divided by then.
        image_size: (H, W) of training [pixels]: larger pictures are shrunk to about so many pixels.
        size_divisor: H and W must be multiples of it; pictures are padded to that with 0 below and to the right.
        least_size: of H and W.
        size: the only (H, W) that the network takes, or None if it takes any.
        quantised: `"int8"`, or None.
        backbone: its name.
        dataset: that the tasks are those of, if any.
        information: what is recorded of the weights: origin, licence, licence of the backbone's weights, scores.
        deviation: {task: largest deviation from PyTorch that was found, in shares of the logits' largest value}.
        loss: {task: how much a quantised network's predictions differ}, see :meth:`bridgenet.tasks.kinds.Kind.change`.
        version: of this package.
    """

    tasks: dict[str, dict[str, Any]]
    num_outputs: dict[str, int]
    class_names: dict[str, list[str]]
    mean: list[float]
    std: list[float]
    image_size: list[int]
    size_divisor: int
    least_size: int
    size: list[int] | None
    backbone: str
    version: str
    quantised: str | None = None
    dataset: str | None = None
    information: dict[str, Any] = field(default_factory=dict)
    deviation: dict[str, float] = field(default_factory=dict)
    loss: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> str:
        """The text that is written into the file."""
        return json.dumps({"format": FORMAT} | asdict(self))

    @classmethod
    def from_json(cls, text: str | None, path: Path) -> Description:
        """The inverse of :meth:`as_json`. UserError if it is not of this project, damaged or newer."""
        if not text:
            raise UserError(f"{path} has no description of this project's; was it written by bridgenet export?")
        try:
            found = json.loads(text)
            if found["format"] != FORMAT:
                raise UserError(f"{path} has format {found['format']}, this version reads {FORMAT}: update bridgenet")
            known = {entry.name for entry in fields(cls)}
            return cls(**{key: value for key, value in found.items() if key in known})
        except (ValueError, TypeError, KeyError):
            raise UserError(f"{path}: its description is damaged; export the network again") from None

    def register_tasks(self) -> dict[str, Task]:
        """The tasks; those that are not every installation's become known, for drawing and writing their maps."""
        found = {name: task_registry.from_dict(values) for name, values in self.tasks.items()}
        for name, task in found.items():
            if name not in task_registry.BUILT_IN:
                task_registry.ensure(task)
        return found


def say_deviation(deviation: Mapping[str, float]) -> str:
    """In words, for one line."""
    return "  ".join(f"{task} {value:.1e}" for task, value in deviation.items())
