"""InternImage (Wang et al., CVPR 2023): a pyramid of post-norm blocks around DCNv3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bridgenet.errors import UserError
from bridgenet.model.backbones.base import Backbone
from bridgenet.model.layers import ChannelNorm, Mlp, drop_path_schedule
from bridgenet.ops import dcnv3

EPS = 1e-6

SIZES: dict[str, dict[str, Any]] = {
    "internimage_t": {"channels": 64, "depths": (4, 4, 18, 4), "groups": (4, 8, 16, 32), "offset_scale": 1.0},
    "internimage_s": {"channels": 80, "depths": (4, 4, 21, 4), "groups": (5, 10, 20, 40), "offset_scale": 1.0},
    "internimage_b": {"channels": 112, "depths": (4, 4, 21, 4), "groups": (7, 14, 28, 56), "offset_scale": 1.0},
    "internimage_l": {"channels": 160, "depths": (5, 5, 22, 5), "groups": (10, 20, 40, 80), "offset_scale": 2.0},
}


class Stem(nn.Module):
    """Reduces images to stride 4 by two 3×3 convolutions of stride 2 with layer norm."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels // 2, 3, stride=2, padding=1)
        self.norm1 = ChannelNorm(channels // 2, eps=EPS)
        self.conv2 = nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1)
        self.norm2 = ChannelNorm(channels, eps=EPS)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, H/4, W/4, C), channels last."""
        x_BCHW = F.gelu(self.norm1(self.conv1(image_BCHW)))
        return self.norm2(self.conv2(x_BCHW)).permute(0, 2, 3, 1)


class DeformableConv(nn.Module):
    """The DCNv3 module, which predicts offsets and mask from a depthwise convolution of its input; channels last."""

    def __init__(self, channels: int, groups: int, offset_scale: float):
        super().__init__()
        self.groups = groups
        self.offset_scale = offset_scale
        self.value = nn.Linear(channels, channels)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPS)
        self.offset = nn.Linear(channels, groups * 9 * 2)
        self.mask = nn.Linear(channels, groups * 9)
        self.softmax = nn.Softmax(dim=-1)
        self.output = nn.Linear(channels, channels)
        for layer in (self.offset, self.mask):  # a new module computes an ordinary 3×3 average
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x_BHWC: Tensor) -> Tensor:
        u_BHWC = F.gelu(self.norm(self.depthwise(x_BHWC.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)))
        mask = self.softmax(self.mask(u_BHWC).unflatten(-1, (self.groups, 9))).flatten(-2)
        y_BHWC = dcnv3(
            self.value(x_BHWC), self.offset(u_BHWC), mask, num_groups=self.groups, offset_scale=self.offset_scale
        )
        return self.output(y_BHWC)


class Block(nn.Module):
    """x += drop_path(γ₁·LN(DCNv3(x))); x += drop_path(γ₂·LN(MLP(x))).

    Without `post_norm` the norms are applied first, DCNv3(LN(x)); without `layer_scale` there is no γ.
    """

    gamma1: nn.Parameter | None
    gamma2: nn.Parameter | None

    def __init__(
        self,
        channels: int,
        groups: int,
        offset_scale: float,
        drop_path: float,
        *,
        layer_scale: bool = True,
        post_norm: bool = True,
    ):
        super().__init__()
        self.post_norm = post_norm
        self.dcn = DeformableConv(channels, groups, offset_scale)
        self.norm1 = nn.LayerNorm(channels, eps=EPS)
        self.mlp = Mlp(channels)
        self.norm2 = nn.LayerNorm(channels, eps=EPS)
        for name in ("gamma1", "gamma2"):
            self.register_parameter(name, nn.Parameter(torch.ones(channels)) if layer_scale else None)
        self.drop_path = DropPath(drop_path)

    def forward(self, x_BHWC: Tensor) -> Tensor:
        """(B, H, W, C) → (B, H, W, C)."""
        x_BHWC = x_BHWC + self.drop_path(self._branch(x_BHWC, self.dcn, self.norm1, self.gamma1))
        return x_BHWC + self.drop_path(self._branch(x_BHWC, self.mlp, self.norm2, self.gamma2))

    def _branch(self, x_BHWC: Tensor, mix: nn.Module, norm: nn.Module, gamma: Tensor | None) -> Tensor:
        y_BHWC = norm(mix(x_BHWC)) if self.post_norm else mix(norm(x_BHWC))
        return y_BHWC if gamma is None else gamma * y_BHWC


class Downsample(nn.Module):
    """Doubles the channels by a 3×3 convolution of stride 2, followed by layer norm; channels last."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False)
        self.norm = nn.LayerNorm(2 * channels, eps=EPS)

    def forward(self, x_BHWC: Tensor) -> Tensor:
        return self.norm(self.conv(x_BHWC.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class Level(nn.Module):
    """The blocks of one stride, a final norm for pre-norm blocks, and downsampling except in the last level."""

    def __init__(
        self, channels: int, groups: int, offset_scale: float, rates: Sequence[float], last: bool, **style: bool
    ):
        super().__init__()
        self.blocks = nn.ModuleList(Block(channels, groups, offset_scale, rate, **style) for rate in rates)
        self.norm = nn.Identity() if style.get("post_norm", True) else nn.LayerNorm(channels, eps=EPS)
        self.downsample = None if last else Downsample(channels)


class InternImage(Backbone):
    """Images (B, 3, H, W) → four maps (B, channels·2ⁱ, H/2ⁱ⁺², W/2ⁱ⁺²).

    Args:
        channels: width of the first level; it doubles from level to level.
        depths: blocks of the four levels.
        groups: DCNv3 groups of the four levels.
        offset_scale: factor of DCNv3's offsets.
        drop_path: drop-path rate of the last block, increasing linearly from 0 over all blocks.
        layer_scale: whether blocks have the learned factors γ.
        post_norm: whether norms follow the layers of a block; otherwise they precede them and end each level.
    """

    size_divisor = 32
    base_divisor = 1

    def __init__(
        self,
        channels: int,
        depths: Sequence[int],
        groups: Sequence[int],
        offset_scale: float,
        drop_path: float = 0.4,
        layer_scale: bool = True,
        post_norm: bool = True,
    ):
        super().__init__()
        self.channels = tuple(channels * 2**i for i in range(4))
        if len(depths) != 4 or len(groups) != 4 or any(c % g for c, g in zip(self.channels, groups)):
            raise UserError(
                f"InternImage of {channels} channels, depths {list(depths)} and groups {list(groups)}: "
                f"four levels are expected, with groups that divide their channels {list(self.channels)}"
            )
        rates = iter(drop_path_schedule(drop_path, sum(depths)))
        style = {"layer_scale": layer_scale, "post_norm": post_norm}
        self.stem = Stem(channels)
        self.levels = nn.ModuleList(
            Level(self.channels[i], groups[i], offset_scale, [next(rates) for _ in range(depth)], i == 3, **style)
            for i, depth in enumerate(depths)
        )

    def layers(self) -> dict[str, int]:
        """Layer numbers: the stem is 0, each block one more; norm and downsampling of a level belong to its last block."""
        depths: list[Any] = [len(level.blocks) for level in self.levels]  # type: ignore[arg-type]
        below = [sum(depths[:i]) for i in range(len(depths) + 1)]
        numbers = {}
        for name, _ in self.named_parameters():
            part = name.split(".")
            if part[0] == "stem":
                numbers[name] = 0
            elif part[2] == "blocks":
                numbers[name] = below[int(part[1])] + int(part[3]) + 1
            else:
                numbers[name] = below[int(part[1]) + 1]
        return numbers

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        x_BHWC = self.stem(images_BCHW)
        maps = []
        level: Any  # a ModuleList has no type of its modules
        for level in self.levels:
            for block in level.blocks:
                if self.checkpointing and torch.is_grad_enabled():
                    x_BHWC = checkpoint(block, x_BHWC, use_reentrant=False)
                else:
                    x_BHWC = block(x_BHWC)
            x_BHWC = level.norm(x_BHWC)
            maps.append(x_BHWC.permute(0, 3, 1, 2))
            if level.downsample is not None:
                x_BHWC = level.downsample(x_BHWC)
        return maps
