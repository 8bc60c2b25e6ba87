"""Backbones: images in, four maps F₀..F₃ (fine to coarse, (B, C, H, W)) out.

See :class:`Backbone` for their interface.
"""

from __future__ import annotations

from typing import Any

from bridgenet import extensions
from bridgenet.errors import UserError, nearest
from bridgenet.model.backbones.base import Backbone
from bridgenet.model.backbones.custom import custom_backbone


def build_backbone(
    name: str,
    *,
    image_size: tuple[int, int],
    drop_path: float = 0.0,
    pretrained: bool = False,
    **kwargs: Any,
) -> Backbone:
    """Build a backbone by name: `internimage_t`, `_s`, `_b`, `_l`, any timm model, or a custom class `package.module:Class`.

    Args:
        image_size: (H, W) of the training images [pixels], which defines the grid of learned position embeddings.
        drop_path: drop-path rate of the last block, increasing linearly from 0.
        pretrained: download timm's pretrained weights (Hugging Face hub).
        kwargs: settings of the backbone, e.g. `embed_dim`, `depth`; `blocks_read` for a plain transformer.

    A custom class gets `image_size`, `drop_path` and `pretrained` if its constructor has arguments of these names.

    Raises:
        UserError: the backbone or a setting is unknown, or the pretrained weights cannot be loaded.
    """
    from bridgenet.model.backbones.internimage import SIZES, InternImage

    if extensions.is_path(name):
        offered = {"image_size": image_size, "drop_path": drop_path, "pretrained": pretrained}
        return custom_backbone(name, kwargs, offered)
    if name in SIZES:
        settings = [*SIZES[name], "layer_scale", "post_norm"]
        if unknown := set(kwargs) - set(settings):
            raise UserError(f"backbone '{name}' has no setting {sorted(unknown)[0]} (settings: {', '.join(settings)})")
        if pretrained:
            raise UserError(
                f"the weights of {name} are not on timm's hub: give OpenGVLab's file with network.backbone_checkpoint "
                "(the preset names it), or start from random weights with network.pretrained false"
            )
        return InternImage(**(SIZES[name] | kwargs), drop_path=drop_path)
    if name.startswith("internimage"):
        raise UserError(f"'{name}' is not a backbone{nearest(name, SIZES)} (InternImage sizes: {', '.join(SIZES)})")
    from bridgenet.model.backbones.timm_backbones import build_timm

    return build_timm(name, image_size=image_size, drop_path=drop_path, pretrained=pretrained, **kwargs)
