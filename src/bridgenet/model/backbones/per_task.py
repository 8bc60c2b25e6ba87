"""A separate backbone for each task, as in single-task networks, behind the interface of one backbone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from bridgenet.model.backbones.base import Backbone


class BackbonePerTask(Backbone):
    """Equal backbones, one per task; each of the four maps is the concatenation of theirs along the channels.

    Args:
        backbones: backbones by task, in task order.
    """

    def __init__(self, backbones: Mapping[str, Backbone]):
        super().__init__()
        self.of_task = nn.ModuleDict(dict(backbones))
        first = next(iter(backbones.values()))
        self.channels = tuple(len(backbones) * channels for channels in first.channels)
        self.size_divisor, self.base_divisor = first.size_divisor, first.base_divisor
        self.depends_on_size = first.depends_on_size

    @property
    def parts(self) -> Iterable[Backbone]:
        return self.of_task.values()  # type: ignore[return-value]

    def set_checkpointing(self, enable: bool = True) -> None:
        super().set_checkpointing(enable)
        for part in self.parts:
            part.set_checkpointing(enable)

    def layers(self) -> dict[str, int]:
        return {
            f"of_task.{task}.{name}": number
            for task, part in zip(self.of_task, self.parts)
            for name, number in part.layers().items()
        }

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        return [torch.cat(maps, dim=1) for maps in zip(*(part(images_BCHW) for part in self.parts))]
