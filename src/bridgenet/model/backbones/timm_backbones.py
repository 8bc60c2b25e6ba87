"""Any timm model as a backbone: plain transformers (ViT's path) and pyramids of strides 4, 8, 16, 32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
from torch import Tensor, nn

from bridgenet.errors import UserError, nearest
from bridgenet.model.backbones.base import Backbone

PYRAMID_STRIDES = (4, 8, 16, 32)


class PlainTransformer(Backbone):
    """Four maps, all at the patch's stride: three blocks' outputs without the final norm, and the last after it.

    Args:
        model: a timm transformer without a head.
        blocks_read: which three blocks are read besides the last, counted from 1.
    """

    base_divisor = 2

    def __init__(self, model: Any, blocks_read: Sequence[int]):
        super().__init__()
        self.model = model
        self.blocks_read = tuple(blocks_read)
        self.channels = (model.num_features,) * 4
        self.patch_size = int(model.feature_info[0]["reduction"])
        self.size_divisor = self.patch_size * self.base_divisor

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        tokens_BNC, maps = self.model.forward_intermediates(
            images_BCHW, indices=[block - 1 for block in self.blocks_read], norm=False, output_fmt="NCHW"
        )
        patches_BNC = tokens_BNC[:, self.model.num_prefix_tokens :]
        height, width = (side // self.patch_size for side in images_BCHW.shape[-2:])
        return [*maps, patches_BNC.transpose(1, 2).unflatten(2, (height, width))]


class Pyramid(Backbone):
    """Four maps at strides 4, 8, 16, 32 of a timm model made with `features_only`."""

    base_divisor = 1
    size_divisor = 32

    def __init__(self, model: Any):
        super().__init__()
        self.model = model
        self.channels = tuple(model.feature_info.channels())

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        return list(self.model(images_BCHW))


def default_blocks_read(depth: int) -> tuple[int, int, int]:
    """Blocks at a quarter, a half and three quarters of the depth: 3, 6, 9 of 12 and 6, 12, 18 of 24, as published."""
    return tuple(max(1, round(depth * part / 4)) for part in (1, 2, 3))  # type: ignore[return-value]


def build_timm(
    name: str,
    *,
    image_size: tuple[int, int],
    drop_path: float,
    pretrained: bool = False,
    blocks_read: Sequence[int] | None = None,
    **kwargs: Any,
) -> PlainTransformer | Pyramid:
    """Make a backbone from a timm name; transformer or pyramid is told from the model itself.

    Raises:
        UserError: the name is not timm's, the model gives no suitable maps, or its weights cannot be had.
    """
    if not timm.is_model(name):
        raise UserError(f"backbone '{name}' is neither InternImage nor a timm model{nearest(name, timm.list_models())}")

    def create(**options: Any) -> nn.Module:
        try:
            return timm.create_model(name, drop_path_rate=drop_path, **options, **kwargs)
        except TypeError as error:
            raise UserError(f"backbone '{name}' does not take these settings: {error}") from None

    info = timm.create_model(name, num_classes=0, **kwargs).feature_info
    reductions = [entry["reduction"] for entry in info]
    if len(set(reductions)) == 1:
        model = create(num_classes=0, img_size=image_size, dynamic_img_size=True, pretrained=pretrained)
        return PlainTransformer(model, blocks_read or default_blocks_read(len(reductions)))
    if not set(PYRAMID_STRIDES) <= set(reductions):
        raise UserError(
            f"backbone '{name}' has maps at strides {sorted(set(reductions))}; "
            f"a backbone needs one stride throughout (transformer) or {list(PYRAMID_STRIDES)} (pyramid)"
        )
    indices = [len(reductions) - 1 - reductions[::-1].index(stride) for stride in PYRAMID_STRIDES]
    return Pyramid(create(features_only=True, out_indices=indices, pretrained=pretrained))
