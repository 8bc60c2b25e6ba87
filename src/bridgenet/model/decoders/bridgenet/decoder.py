"""The BridgeNet decoder: TPP, then three stages of BFE and TFR from coarse to fine, summed at stride 4.

Source: the BridgeNet paper (Zhang et al., TPAMI 2025). Sizes: the coarsest stage works at (h, w), stage i at (h·2ⁱ, w·2ⁱ),
the output is at (8h, 8w); widths are C, C//2, C//4. A fourth stage, of width C//8 and at the output's size, is this project's
option: it reads the backbone's finest map, which the published decoder does not use. Fewer stages, and decoders without
TPP, BFE or TFR, are meant for ablations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bridgenet.model.decoders.bridgenet.bfe import BackboneSide, BridgeFeatureExtractor
from bridgenet.model.decoders.bridgenet.options import (
    NUM_STAGES,
    Chains,
    Depth,
    Divisor,
    Stages,
    Width,
    chains_of,
    check_widths,
    depths_of,
)
from bridgenet.model.decoders.bridgenet.tfr import BridgeSum, TaskFeatureRefiner
from bridgenet.model.decoders.bridgenet.tpp import TaskPatternPropagation
from bridgenet.model.layers import ConvBNReLU, resize, sum_of
from bridgenet.system.validation import CountOrNone, Rate


class UpBlock(nn.Module):
    """Resizes one task's map for the next stage: bilinear ×2, then two dilated 3×3 convolutions with BN and ReLU."""

    def __init__(self, in_dim: int, dim: int):
        super().__init__()
        self.conv1 = ConvBNReLU(in_dim, dim, 3, dilation=2)
        self.conv2 = ConvBNReLU(dim, dim, 3, dilation=2)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        height, width = x_BCHW.shape[-2:]
        return self.conv2(self.conv1(resize(x_BCHW, (2 * height, 2 * width))))


class Stage(nn.Module):
    """One scale: up blocks (except in the first stage), BFE, TFR, and the contribution to the output."""

    def __init__(
        self,
        index: int,
        tasks: Sequence[str],
        side_channels: int,
        dims: Sequence[int],
        dilations: Sequence[int],
        squeezes: Sequence[int],
        drop_path: float,
        *,
        bfe: bool,
        tfr: bool,
    ):
        super().__init__()
        dim, previous_dim = dims[index], dims[index - 1] if index else None
        self.up = nn.ModuleDict({task: UpBlock(previous_dim, dim) for task in tasks}) if previous_dim else None
        self.bfe: nn.Module = (
            BridgeFeatureExtractor(side_channels, dim, 2 ** (index + 1), previous_dim)
            if bfe
            else BackboneSide(side_channels, dim)
        )
        self.tfr: nn.Module = TaskFeatureRefiner(tasks, dim, dilations, squeezes, drop_path) if tfr else BridgeSum()
        self.norm = nn.LayerNorm(len(tasks) * dim)
        self.project = nn.ModuleDict({task: nn.Conv2d(dim, dims[0], 1) for task in tasks}) if index else None

    def forward(
        self, side_BCHW: Tensor, task_maps: dict[str, Tensor], bridge: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]:
        """Returns the refined task maps, the bridge feature and, for the output, the normed maps {task: (B, D, H, W)}."""
        if self.up is not None:
            task_maps = {task: up(task_maps[task]) for task, up in self.up.items()}
        bridge = self.bfe(side_BCHW, list(task_maps.values()), bridge)
        task_maps = self.tfr(task_maps, bridge)
        joint_BHWC = torch.cat(list(task_maps.values()), dim=1).permute(0, 2, 3, 1)
        normed = self.norm(joint_BHWC).permute(0, 3, 1, 2).chunk(len(task_maps), dim=1)
        return task_maps, bridge, dict(zip(task_maps, normed))


class BridgeNetDecoder(nn.Module):
    """Computes, from four backbone maps, a feature map (8h, 8w) and intermediate logits (h, w) for each task.

    Args:
        in_channels: channels of the backbone maps, fine to coarse.
        num_outputs: channels of each task's logits, in task order.
        embed_dim: width E of the task features in TPP.
        extra_channels: C − E; C is the width of the first stage and of the output.
        num_stages: 3 as published; 1 or 2; 4 adds a stage on the backbone's finest map.
        refine_depth: refiner blocks d, the same for all stages or one number each.
        dilations: of the refiner blocks, repeated over them, or one list per stage, which is repeated.
        squeezes: as `dilations`: the refiner blocks' width over their hidden width (2 as published).
        base_divisor: r; the first stage works at the coarsest map's size divided by r (floor). None is 1; in
            descriptions it is the backbone's (plain transformer 2, pyramid 1).
        drop_path: drop-path rate of the last refiner block, increasing linearly from 0 within each stage.
        tpp: False predicts the intermediate logits directly from the preliminary features.
        bfe: False gives the refiner only the backbone feature.
        tfr: False adds the bridge feature to the task maps, without refiner blocks.

    Raises:
        UserError: options contradict each other.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_outputs: Mapping[str, int],
        *,
        embed_dim: Width = 512,
        extra_channels: CountOrNone = 64,
        num_stages: Stages = NUM_STAGES,
        refine_depth: Depth = 18,
        dilations: Chains = (1, 2, 5),
        squeezes: Chains = (2,),
        base_divisor: Divisor | None = None,
        drop_path: Rate = 0.15,
        tpp: bool = True,
        bfe: bool = True,
        tfr: bool = True,
    ):
        super().__init__()
        check_widths(embed_dim, extra_channels, num_stages)
        depths = depths_of(refine_depth, num_stages)
        dilations_of_stages = chains_of("dilations", dilations, depths)
        squeezes_of_stages = chains_of("squeezes", squeezes, depths)
        tasks = list(num_outputs)
        width = embed_dim + extra_channels
        dims = [width // 2**i for i in range(num_stages)]
        self.base_divisor = base_divisor or 1
        self.out_channels = width
        coarsest, *finer = reversed(in_channels)
        # The published three stages do not use the finest map, so it has no lateral (the authors' one is never used).
        self.laterals = nn.ModuleList(nn.Conv2d(channels, dim, 3, padding=1) for channels, dim in zip(finer, dims[:-1]))
        self.tpp = TaskPatternPropagation(coarsest, embed_dim, width, num_outputs, propagate=tpp)
        self.stages = nn.ModuleList(
            Stage(i, tasks, side, dims, dilations_of_stages[i], squeezes_of_stages[i], drop_path, bfe=bfe, tfr=tfr)
            for i, side in enumerate([coarsest, *dims[:-1]])
        )
        self.projections = nn.ModuleDict({task: ConvBNReLU(width, width, 3, bias=True) for task in tasks})
        stage: Any  # ModuleList and ModuleDict have no types of their modules
        for stage in self.stages:
            # Except `project`: as published, the rest keeps PyTorch's default initialisation.
            for part in (stage.up, stage.bfe, stage.tfr):
                if part is not None:
                    part.apply(_init_stage)
        projection: Any
        for projection in self.projections.values():
            nn.init.trunc_normal_(projection.conv.weight, std=0.02)

    def forward(self, features: Sequence[Tensor]) -> tuple[Mapping[str, Tensor], dict[str, Tensor]]:
        """Maps F₀..F₃ (B, Bᵢ, Hᵢ, Wᵢ), fine to coarse → features {task: (B, C, 8h, 8w)}, logits {task: (B, n_t, h, w)}."""
        maps, intermediate_logits, size = self.run_stages(features)
        found = {}
        for task, final in self.projections.items():
            projected = (project(x) if project else x for project, x in zip(self.projects_of(task), maps[task]))
            found[task] = final(sum_of(resize(x, size) for x in projected))
        return found, intermediate_logits

    def run_stages(
        self, features: Sequence[Tensor]
    ) -> tuple[dict[str, list[Tensor]], dict[str, Tensor], tuple[int, int]]:
        """TPP and the stages: each task's normed maps, coarse to fine; intermediate logits; the output's size (8h, 8w)."""
        # Channels last: 1×1 and depthwise convolutions, norms and resizing are faster in this format.
        read = features[: -len(self.stages) - 1 : -1]  # coarse to fine
        coarsest, *finer = (x.contiguous(memory_format=torch.channels_last) for x in read)
        height, width = (max(1, side // self.base_divisor) for side in coarsest.shape[-2:])
        task_maps, intermediate_logits = self.tpp(resize(coarsest, (height, width)))
        sides = [coarsest, *(lateral(x) for lateral, x in zip(self.laterals, finer))]
        bridge = None
        maps: dict[str, list[Tensor]] = {task: [] for task in task_maps}
        for stage, side in zip(self.stages, sides):
            task_maps, bridge, normed = stage(side, task_maps, bridge)
            for task, x_BCHW in normed.items():
                maps[task].append(x_BCHW)
        return maps, intermediate_logits, (8 * height, 8 * width)

    def projects_of(self, task: str) -> list[nn.Conv2d | None]:
        """The projection of a task's map of each stage to the output's width; None for the first stage, which has it."""
        stages: list[Any] = list(self.stages)
        return [stage.project[task] if stage.project is not None else None for stage in stages]

    def set_checkpointing(self, enable: bool = True) -> None:
        """Enable gradient checkpointing of the refiner blocks."""
        stage: Any
        for stage in self.stages:
            stage.tfr.is_checkpointed = enable


def _init_stage(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.001)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
