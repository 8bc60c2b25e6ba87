"""Backbones' own weight files: OpenGVLab's, timm's, and those of original publishers that timm can convert."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from bridgenet.checkpoints.detection import internimage_style
from bridgenet.checkpoints.files import State, check_state_dict, read_state, without_prefix
from bridgenet.checkpoints.reference import backbone_name
from bridgenet.errors import UserError
from bridgenet.model.backbones.per_task import BackbonePerTask
from bridgenet.model.backbones.timm_backbones import Pyramid, TimmBackbone

_CLASSIFIER = (
    "head.",
    "head_dist.",
    "fc.",
    "fc_norm.",
    "attn_pool.",
    "classifier.",
    "conv_head.",
    "norm.",
    "pre_logits.",
)


def backbone_settings(name: str, path: str | Path) -> dict[str, Any]:
    """The settings that a backbone needs, besides its name, for the weights in a file: InternImage's style of blocks."""
    if not name.startswith("internimage"):
        return {}
    state = without_prefix(read_state(Path(path), whole=False)[0], "backbone.", Path(path))
    return internimage_style(state) if any(".dcn." in key for key in state) else {}


def load_backbone(backbone: nn.Module, path: str | Path) -> None:
    """Load a backbone's own weights into it, all of them.

    Args:
        backbone: InternImage, or a timm backbone.
        path: OpenGVLab's `.pth` file, timm's file, or a file in the original publishers' names (DINOv2, DINOv3, Swin, …)
            that timm can convert. Position embeddings at another grid are resampled; a classification head is left out.

    Raises:
        UserError: the file cannot be read, or weights are missing, unexpected or of another shape (they are listed).
    """
    path = Path(path)
    if isinstance(backbone, BackbonePerTask):
        for part in backbone.parts:
            load_backbone(part, path)
        return
    state = without_prefix(read_state(path)[0], "backbone.", path)
    if isinstance(backbone, TimmBackbone):
        own = {name: key for key, name in backbone.timm_names().items()}
        state = _in_timm_names(backbone, state, path)
    else:
        own = {backbone_name(key): key for key in backbone.state_dict()}
    own = {name: key for name, key in own.items() if not name.endswith("num_batches_tracked")}
    wanted = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    expected = {name: backbone.state_dict()[key] for name, key in own.items()}
    wanted = {name: value for name, value in wanted.items() if name in own or not name.startswith(_CLASSIFIER)}
    check_state_dict(wanted, expected, path, "this backbone")
    backbone.load_state_dict({own[name]: value for name, value in wanted.items()}, strict=False)


def _in_timm_names(backbone: TimmBackbone, state: Mapping[str, Tensor], path: Path) -> State:
    """The weights in the backbone's timm names, without classification heads and anything else above a pyramid's last stage."""
    own = set(backbone.timm_names().values())
    try:
        converted = backbone.converted(state)
    except ValueError as error:
        if "pos_embed" in state and not any(str(error).startswith(key) for key in state):
            shape = tuple(state["pos_embed"].shape)
            raise UserError(f"{path}: its position embeddings {shape} do not fit this backbone ({error})") from None
        raise UserError(f"{path}: its weights do not fit this backbone ({error})") from None

    def unwanted(key: str) -> bool:
        above = isinstance(backbone, Pyramid) and not any(
            name.startswith(backbone.canonical(key.split(".")[0] + ".")) for name in own
        )
        return above or key.startswith(_CLASSIFIER)

    names = {key: backbone.canonical(key) for key in converted}
    return {names[key]: value for key, value in converted.items() if names[key] in own or not unwanted(key)}
