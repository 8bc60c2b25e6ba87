"""The usual baselines: a light convolutional head per task, on one shared backbone or on a backbone for each task.

Source: the multi-task and single-task baselines that papers on dense prediction compare with (e.g. Vandenhende et al.,
Multi-Task Learning for Dense Prediction Tasks: A Survey, TPAMI 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from annotated_types import Ge, Le, MultipleOf
from torch import Tensor, nn

from bridgenet.model.layers import ConvBNReLU, resize, sum_of
from bridgenet.system.validation import MOST, Words

HeadWidth = Annotated[int, Ge(8), Le(MOST), MultipleOf(8), Words(f"a positive multiple of 8, at most {MOST}")]


class ConvHead(nn.Module):
    """Projects the four maps to `width` (1×1), enlarges and sums them; then a 3×3 convolution, BN and ReLU.

    Equivalent to a 1×1 convolution of the concatenated enlarged maps.
    """

    def __init__(self, in_channels: Sequence[int], width: int):
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in in_channels)
        self.fuse = ConvBNReLU(width, width, 3)

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Maps (B, Bᵢ, Hᵢ, Wᵢ) → (B, width, *size)."""
        return self.fuse(sum_of(resize(lateral(x), size) for lateral, x in zip(self.laterals, features)))


class MultiTaskDecoder(nn.Module):
    """Computes, from a shared backbone's four maps, a feature for every task, of the size of BridgeNet's output.

    Args:
        in_channels: channels of the backbone maps, fine to coarse.
        num_outputs: channels of each task's logits, in task order.
        width: channels of the features.
        base_divisor: r, as in BridgeNet's decoder: the output is 8 times the coarsest map's size divided by r.
    """

    def __init__(
        self, in_channels: Sequence[int], num_outputs: Mapping[str, int], *, base_divisor: int, width: HeadWidth = 256
    ):
        super().__init__()
        self.out_channels = width
        self.base_divisor = base_divisor
        self.task_heads = nn.ModuleDict({task: ConvHead(in_channels, width) for task in num_outputs})

    def forward(self, features: Sequence[Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Maps F₀..F₃ (B, Bᵢ, Hᵢ, Wᵢ), fine to coarse → features {task: (B, width, 8h, 8w)}, no intermediate logits."""
        height, width = (8 * max(1, side // self.base_divisor) for side in features[-1].shape[-2:])
        maps = self._maps_of_tasks(features)
        return {task: head(maps[task], (height, width)) for task, head in self.task_heads.items()}, {}

    def _maps_of_tasks(self, features: Sequence[Tensor]) -> dict[str, Sequence[Tensor]]:
        return dict.fromkeys(self.task_heads, features)


class SingleTaskDecoder(MultiTaskDecoder):
    """The same heads, each on a separate backbone, so that tasks share nothing.

    The maps are those of :class:`bridgenet.model.backbones.per_task.BackbonePerTask`; `in_channels` are those of one task.
    """

    has_backbone_per_task = True

    def _maps_of_tasks(self, features: Sequence[Tensor]) -> dict[str, Sequence[Tensor]]:
        parts = [x_BCHW.chunk(len(self.task_heads), dim=1) for x_BCHW in features]
        return {task: [part[i] for part in parts] for i, task in enumerate(self.task_heads)}
