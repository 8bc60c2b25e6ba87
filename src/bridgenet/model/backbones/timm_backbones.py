"""timm models as backbones: plain transformers and pyramids."""

from __future__ import annotations

import contextlib
import io
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import timm
import torch
from timm.models import group_parameters
from torch import Tensor

from bridgenet.errors import UserError, nearest
from bridgenet.model.backbones.base import Backbone

PYRAMID_STRIDES = (4, 8, 16, 32)
_FILES = ("checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir", "pretrained_strict")
"""Arguments of `timm.create_model` that read files or the network, which a weight file's description must not do."""
_FIXED = (
    "features_only", "out_indices", "in_chans", "num_classes", "img_size", "dynamic_img_size", "strict_img_size",
    "scriptable", "exportable", "no_jit",
)  # fmt: skip
"""Arguments that are not a choice: what a network needs defines them."""


class TimmBackbone(Backbone):
    """A timm model with four maps as results.

    Args:
        model: the model that computes the maps.
        make_whole: creates timm's complete classifier, of which `model` is the lower part.
    """

    def __init__(self, model: Any, make_whole: Callable[[], Any]):
        super().__init__()
        self.model = model
        self._make_whole = make_whole

    def timm_names(self) -> dict[str, str]:
        """{own name: canonical timm name} of all weights and buffers, see :meth:`canonical`."""
        return {key: self.canonical(key.removeprefix("model.").removeprefix("model.")) for key in self.state_dict()}

    def canonical(self, timm_name: str) -> str:
        """The canonical form of a timm name, equal for the complete classifier and the model of this backbone."""
        return timm_name

    def converted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert weights in timm's or the original publishers' names to timm's names, by timm's conversion of the model.

        Position embeddings and bias tables of another grid are resampled.

        Raises:
            ValueError: timm cannot convert them.
        """
        whole = self._whole()
        convert = getattr(sys.modules[type(whole).__module__], "checkpoint_filter_fn", None)
        if convert is None:
            return dict(state)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # one of the conversions prints what it leaves out
                result = dict(convert(dict(state), whole))
        except KeyError as error:
            raise ValueError(f"{error.args[0]} is not expected, or missing") from None
        except (RuntimeError, IndexError, AttributeError, AssertionError, TypeError) as error:
            raise ValueError(" ".join(str(error).split())) from None
        biased = [key for key in state if key.endswith("qkv.bias") and state[key].any()]
        if biased and not any(key.endswith(("qkv.bias", "q_bias", "q_proj.bias")) for key in result):
            raise ValueError(
                f"it has no place for {biased[0]}; timm has models with that bias, their names end in _qkvb"
            )
        return result

    def layers(self) -> dict[str, int]:
        whole = self._whole()
        if not hasattr(whole, "group_matcher"):
            return super().layers()
        groups = group_parameters(whole, whole.group_matcher(coarse=False), reverse=True)
        numbers = {self.canonical(key): number for key, number in groups.items()}
        last = max(numbers.values()) - 1  # above it is the classifier
        names = self.timm_names()
        return {key: min(numbers[names[key]], last) for key, _ in self.named_parameters()}

    def _whole(self) -> Any:
        with torch.device("meta"):
            return self._make_whole()


class PlainTransformer(TimmBackbone):
    """Four maps at the patch's stride: outputs of three blocks without the final norm, and of the last block with it.

    Models that average their tokens have no final norm, and none is applied here.

    Args:
        model: a timm transformer.
        blocks_read: the three blocks that are read besides the last, counted from 1.
        make_whole: see :class:`TimmBackbone`.
    """

    base_divisor = 2

    def __init__(self, model: Any, blocks_read: Sequence[int], make_whole: Callable[[], Any]):
        super().__init__(model, make_whole)
        if hasattr(model, "prune_intermediate_layers"):  # parameters above the tokens would never get a gradient
            model.prune_intermediate_layers(1, prune_norm=False, prune_head=True)
        self.blocks_read = tuple(blocks_read)
        self.channels = (model.num_features,) * 4
        self.patch_size = int(model.feature_info[0]["reduction"])
        self.size_divisor = self.patch_size

    def set_checkpointing(self, enable: bool = True) -> None:
        super().set_checkpointing(enable)
        self.model.set_grad_checkpointing(enable)

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        tokens_BNC, maps = self.model.forward_intermediates(
            images_BCHW, indices=[block - 1 for block in self.blocks_read], norm=False, output_fmt="NCHW"
        )
        patches_BNC = tokens_BNC[:, self.model.num_prefix_tokens :]
        height, width = (side // self.patch_size for side in images_BCHW.shape[-2:])
        return [*maps, patches_BNC.transpose(1, 2).unflatten(2, (height, width))]


class Pyramid(TimmBackbone):
    """Four maps of a timm model made with `features_only`, each at twice the stride of the one before."""

    base_divisor = 1

    def set_checkpointing(self, enable: bool = True) -> None:
        """Not supported: batch norms, which many pyramids have, would count each batch twice."""
        if enable:
            raise UserError("checkpoint_backbone is for InternImage and plain transformers, not for timm's pyramids")

    def __init__(self, model: Any, make_whole: Callable[[], Any]):
        super().__init__(model, make_whole)
        self.channels = tuple(model.feature_info.channels())
        self.size_divisor = int(model.feature_info.reduction()[-1])
        self.depends_on_size = any(hasattr(module, "window_size") for module in model.modules())  # windows must fit
        self.gives_channels_last = getattr(model, "output_fmt", None) == "NHWC"  # e.g. Swin

    def canonical(self, timm_name: str) -> str:
        return timm_name.replace(".", "_")  # timm joins the names of a pyramid's stages with underscores

    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        maps = self.model(images_BCHW)
        return [x_BHWC.permute(0, 3, 1, 2) for x_BHWC in maps] if self.gives_channels_last else list(maps)


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
    strides: Sequence[int] | None = None,
    **kwargs: Any,
) -> PlainTransformer | Pyramid:
    """Build a backbone from a timm name; transformers and pyramids are distinguished by the model's strides.

    Args:
        blocks_read: for plain transformers, the three blocks read besides the last, counted from 1.
        strides: for pyramids, the strides of the four maps; 4, 8, 16, 32 by default. Small images need smaller strides.

    Raises:
        UserError: timm has no such model, the model has no suitable maps or does not accept every image size, it rejects
            the settings, or its weights cannot be loaded.
    """
    if not timm.is_model(name):
        raise UserError(f"backbone '{name}' is neither InternImage nor a timm model{nearest(name, timm.list_models())}")
    if foreign := [key for key in kwargs if key in _FILES]:
        raise UserError(
            f"network.backbone.{foreign[0]} is no setting of a backbone; weights are given with network.backbone_checkpoint"
        )
    if fixed := [key for key in kwargs if key in _FIXED]:
        raise UserError(
            f"network.backbone.{fixed[0]} is no setting of a backbone: the network defines it; leave it out"
        )
    if drop_path:  # not every model has this argument
        kwargs["drop_path_rate"] = drop_path

    probe = _create(name, kwargs, num_classes=0)
    reductions = [entry["reduction"] for entry in getattr(probe, "feature_info", [])]
    knows_its_size = hasattr(getattr(probe, "patch_embed", None), "strict_img_size")
    del probe  # frees a second set of weights
    backbone: PlainTransformer | Pyramid
    if len(set(reductions)) == 1:
        size = _round_up(image_size, int(reductions[0]))
        blocks = _checked_blocks(blocks_read or default_blocks_read(len(reductions)), len(reductions))
        any_size: dict[str, Any] = {"img_size": size, "dynamic_img_size": True}
        model = _create(name, kwargs, num_classes=0, pretrained=pretrained, **any_size)
        backbone = PlainTransformer(model, blocks, partial(_create, name, kwargs, num_classes=1, **any_size))
    elif set(strides or PYRAMID_STRIDES) <= set(reductions):
        if blocks_read is not None:
            raise UserError(f"backbone '{name}' is a pyramid: blocks_read is for plain transformers")
        strides = _checked_strides(strides or PYRAMID_STRIDES)
        indices = [len(reductions) - 1 - reductions[::-1].index(stride) for stride in strides]
        options: dict[str, Any] = {}
        if knows_its_size:  # Swin: its windows can accept other sizes
            options = {"img_size": _round_up(image_size, strides[-1]), "strict_img_size": False}
        model = _create(name, kwargs, features_only=True, out_indices=indices, pretrained=pretrained, **options)
        backbone = Pyramid(model, partial(_create, name, kwargs, num_classes=1, **options))
    else:
        raise UserError(
            f"backbone '{name}' has maps at strides {sorted(set(reductions))}; "
            f"a backbone needs one stride throughout (transformer) or {list(strides or PYRAMID_STRIDES)} (pyramid)"
        )
    _check_any_size(name, backbone)
    return backbone


def _create(name: str, kwargs: dict[str, Any], **options: Any) -> Any:
    """Create a timm model with the user's settings and this project's `options`; UserError if that fails."""
    try:
        return timm.create_model(name, **options, **kwargs)
    except TypeError as error:
        for option in ("img_size", "dynamic_img_size"):
            if option in options and f"'{option}'" in str(error):
                raise UserError(f"backbone '{name}' cannot take images of any size (it has no {option})") from None
        given = ", ".join(kwargs).replace("drop_path_rate", "drop_path_rate (network.drop_path; 0 leaves it out)")
        raise UserError(f"backbone '{name}' does not take these settings ({given}): {error}") from None
    except (AssertionError, ValueError, RuntimeError, OSError) as error:
        if options.get("pretrained"):
            raise UserError(
                f"no pretrained weights for backbone '{name}' ({' '.join(str(error).split())}). Without a connection, give "
                "them with network.backbone_checkpoint; to start from random weights, set network.pretrained to false"
            ) from None
        raise UserError(f"backbone '{name}' cannot be made with {kwargs}: {error}") from None


def _round_up(size: tuple[int, int], divisor: int) -> tuple[int, int]:
    """The size after padding to multiples of `divisor`."""
    return size[0] + -size[0] % divisor, size[1] + -size[1] % divisor


def _checked_blocks(blocks: Sequence[int], depth: int) -> Sequence[int]:
    if len(blocks) != 3 or sorted(set(blocks)) != list(blocks) or not (blocks[0] >= 1 and blocks[-1] <= depth):
        raise UserError(f"blocks_read is {list(blocks)}, expected three different blocks of 1..{depth}, ascending")
    return blocks


def _checked_strides(strides: Sequence[int]) -> Sequence[int]:
    if len(strides) != 4 or any(after != 2 * before for before, after in itertools.pairwise(strides)):
        raise UserError(
            f"strides is {list(strides)}, expected four, each twice the one before, e.g. {list(PYRAMID_STRIDES)}"
        )
    return strides


def _check_any_size(name: str, backbone: PlainTransformer | Pyramid) -> None:
    """UserError unless the backbone accepts a small image of another size and returns maps of its channels."""
    side = 2 * backbone.size_divisor
    backbone.eval()
    try:
        with torch.no_grad():
            maps = backbone(torch.zeros(1, 3, side, side + backbone.size_divisor))
        found = tuple(x.shape[1] for x in maps)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UserError(f"backbone '{name}' cannot take images of any size: {error}") from None
    finally:
        backbone.train()
    if found != backbone.channels:
        raise UserError(f"backbone '{name}' gives maps of {found} channels where it says {backbone.channels}")
