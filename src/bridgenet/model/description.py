"""Descriptions of networks: data for builders and files, which no module reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Ge, Le

from bridgenet import extensions
from bridgenet.errors import UserError
from bridgenet.model.decoders import BRIDGENET, DECODERS, default_options, wrong_options
from bridgenet.model.legacy import in_parts
from bridgenet.system.validation import PART_OF_VALUE, Count, Rate, Size, absurd, lines, strict, validated
from bridgenet.tasks.naming import check_names

StoredValue = Annotated[int, Ge(0), Le(65_535)]
"""The value of a class in label files."""


class Part(dict[str, Any]):
    """A backbone or a decoder: its `name`, and the arguments of its constructor, e.g. `{name: dpt, width: 128}`."""

    in_words = "a name, or {name: …, argument: value, …}"

    @classmethod
    def of(cls, value: str | Mapping[str, Any]) -> Part:
        """Parse the short form, only a name, or the long form, a mapping. ValueError for anything else."""
        values = {"name": value} if isinstance(value, str) else value
        if not isinstance(values, Mapping) or not isinstance(values.get("name"), str):
            raise ValueError(f"expected {cls.in_words}")
        return cls(values)

    @property
    def name(self) -> str:
        return self["name"]

    @property
    def arguments(self) -> dict[str, Any]:
        return {key: value for key, value in self.items() if key != "name"}

    def complete(self) -> Part:
        """The part with all options; missing ones get their defaults if it is a decoder of this package."""
        return Part(name=self.name, **default_options(self.name) | self.arguments) if self.name in DECODERS else self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import PydanticCustomError, core_schema

        def checked(value: Any) -> Part:
            part = cls.of(value)
            if part.name in DECODERS:
                return part  # `wrong_options` knows their types
            for problem in absurd(part.arguments, is_custom=extensions.is_path(part.name)):
                raise PydanticCustomError(PART_OF_VALUE, "{problem}", {"problem": problem})
            return part

        return core_schema.no_info_plain_validator_function(checked)


def wrong_tasks(
    num_outputs: Mapping[str, int], class_names: Mapping[str, list[str]], definitions: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Report class names and definitions in a file's description that do not belong to its tasks, a line for each problem."""
    tasks = ", ".join(num_outputs)
    problems = [f"class_names has {task}, expected tasks of {tasks}" for task in class_names if task not in num_outputs]
    problems += [
        f"class_names.{task} has {len(names)} names, expected {num_outputs[task]}, one for each channel"
        for task, names in class_names.items()
        if task in num_outputs and len(names) != num_outputs[task]
    ]
    return problems + [
        f"task_definitions.{task} defines {definition.get('name')!r}, expected {task}, one of {tasks}"
        for task, definition in definitions.items()
        if definition.get("name") != task or task not in num_outputs
    ]


@strict
@dataclass
class NetworkConfig:
    """A complete description of a network, without its weights.

    Attributes:
        num_outputs: channels of each task's logits, in task order.
        backbone: a name, or `{name, **arguments}`: `internimage_t`, `_s`, `_b`, `_l`, a timm name, or a custom class
            `package.module:Class`. For the arguments see :func:`bridgenet.model.backbones.build_backbone`.
        image_size: (H, W) of the training images [pixels].
        decoder: a name, or `{name, **arguments}`: `bridgenet`; `multi_task`, `single_task` or `dpt`, the
            baselines; or a custom class `package.module:Class`. The arguments are those of the class's constructor, see
            :class:`bridgenet.model.decoders.bridgenet.BridgeNetDecoder`.
        drop_path: drop-path rate of the backbone's last block.
        class_names: names of the classes, per task that has classes.
        class_values: stored value of each of these classes in label files, by task. Older files do not have them.
        swap: pairs of class names by task that change places in a mirrored picture.
        dataset: name of the data set that the tasks belong to, if any.
        task_definitions: :meth:`bridgenet.tasks.Task.as_dict` of each task that is not built in.
    """

    num_outputs: dict[str, Count]
    backbone: Part
    image_size: Size
    decoder: Part = field(default_factory=lambda: Part(name=BRIDGENET))
    drop_path: Rate = 0.0
    class_names: dict[str, list[str]] = field(default_factory=dict)
    class_values: dict[str, list[StoredValue]] = field(default_factory=dict)
    swap: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    dataset: str | None = None
    task_definitions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_names(self.num_outputs, "num_outputs")
        self.backbone, self.decoder = Part.of(self.backbone), Part.of(self.decoder)

    def as_dict(self) -> dict[str, Any]:
        """The description as JSON types, with every option of the decoder."""
        values = dataclasses.asdict(self)
        return values | {"backbone": dict(values["backbone"]), "decoder": dict(self.decoder.complete())}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NetworkConfig:
        """Parse the result of :meth:`as_dict`, also of earlier versions; UserError with all problems."""
        config, problems = validated(cls, in_parts(values)[0])
        if config is not None:
            problems = wrong_options(config.decoder.name, config.decoder.arguments) + config._wrong_classes()
            problems += wrong_tasks(config.num_outputs, config.class_names, config.task_definitions)
        if config is None or problems:
            newer = " Is it from a newer version?" if any(line.startswith("unknown key") for line in problems) else ""
            raise UserError(lines(problems, "the network's description: ") + newer)
        config.decoder = config.decoder.complete()
        return config

    def _wrong_classes(self) -> list[str]:
        """What in `class_values` and `swap` does not belong to the classes."""
        number = {task: len(names) for task, names in self.class_names.items()}
        values = [task for task, values in self.class_values.items() if len(values) != number.get(task)]
        known = {task: set(names) for task, names in self.class_names.items()}
        swap = [
            task
            for task, pairs in self.swap.items()
            if not {x for pair in pairs for x in pair} <= known.get(task, set())
        ]
        return [f"class_values.{task} does not fit the names of the classes" for task in values] + [
            f"swap.{task} names what is no class" for task in swap
        ]

    def custom_parts(self) -> dict[str, str]:
        """Dotted paths of code outside this package, by the part that it defines."""
        found = {"network.decoder": self.decoder.name} if self.decoder.name not in DECODERS else {}
        if extensions.is_path(self.backbone.name):
            found["network.backbone"] = self.backbone.name
        for task, definition in self.task_definitions.items():
            named = {key: definition.get(key) for key in ("loss", "metric", "decode")}
            found |= {f"{key} of {task}": text for key, text in named.items() if isinstance(text, str)}
        return {key: text for key, text in found.items() if not text.startswith("bridgenet.")}
