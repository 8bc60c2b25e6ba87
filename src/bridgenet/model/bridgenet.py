"""The network as a whole: backbone, decoder, heads. Tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bridgenet.errors import UserError
from bridgenet.hub import HubMixin
from bridgenet.model.backbones.base import Backbone
from bridgenet.model.layers import resize

if TYPE_CHECKING:
    from bridgenet.model.description import NetworkConfig
    from bridgenet.prediction import Prediction


@dataclass
class BridgeNetOutput:
    """What one forward pass gives; every map at the size of the images.

    Attributes:
        logits: {task: (B, n_t, H, W)}.
        intermediate_logits: {task: (B, n_t, H, W)}, TPP's own predictions; empty for decoders without them.
    """

    logits: dict[str, Tensor]
    intermediate_logits: dict[str, Tensor]


class Heads(nn.ModuleDict):
    """One 1×1 convolution per task, from the decoder's width to the task's channels."""

    def __init__(self, in_channels: int, num_outputs: Mapping[str, int]):
        super().__init__({task: nn.Conv2d(in_channels, channels, 1) for task, channels in num_outputs.items()})
        self.num_outputs = dict(num_outputs)

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {task: head(features[task]) for task, head in self.items()}


class BridgeNet(nn.Module, HubMixin):
    """Backbone, decoder and heads, joined.

    `save_pretrained`, `from_pretrained` and `push_to_hub` are the Hugging Face hub's usual ones; see :mod:`bridgenet.hub`.

    Args:
        backbone: (B, 3, H, W) → four maps, fine to coarse.
        decoder: four maps → (features per task, intermediate logits per task).
        heads: features per task → logits per task.
    """

    backbone: Backbone
    decoder: nn.Module
    heads: Heads
    config: NetworkConfig | None = None
    """How the network was built (set by `build_network`, for saving and labelling; the forward pass never reads it)."""

    information: Mapping[str, Any] = MappingProxyType({})
    """What is recorded beside the weights: step, scores, origin, licence (set by `load`, kept by `save`)."""

    optimized: bool = False
    """Whether :func:`bridgenet.optimize_for_inference` made it ready for inference, and so for nothing else."""

    optimize_on_predict: bool = False
    """Whether :meth:`predict` does so first (set by `load`)."""

    def __init__(self, backbone: Backbone, decoder: nn.Module, heads: Heads):
        super().__init__()
        self.backbone = backbone
        self.decoder = decoder
        self.heads = heads

    @property
    def tasks(self) -> dict[str, int]:
        """Channels n_t of each task's logits, in task order."""
        return dict(self.heads.num_outputs)

    def forward(self, images: Tensor) -> BridgeNetOutput:
        """Run the network.

        Args:
            images: (B, 3, H, W) RGB, normalised with the ImageNet mean and deviation; any H and W ≥ 1. What the
                backbone needs beyond that is padded with 0 below and to the right, and cut off the results.
        """
        height, width = images.shape[-2:]
        divisor = self.backbone.size_divisor
        padded = F.pad(images, (0, -width % divisor, 0, -height % divisor))
        size = padded.shape[-2:]

        features, intermediate = self.decoder(self.backbone(padded))
        logits = self.heads(features)

        def at_image_size(maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
            # Half precision ends here: a bfloat16 depth of 5 m has steps of 3 cm.
            full = {task: x.float() if x.dtype in (torch.bfloat16, torch.float16) else x for task, x in maps.items()}
            return {task: resize(x_BCHW, size)[..., :height, :width] for task, x_BCHW in full.items()}

        return BridgeNetOutput(at_image_size(logits), at_image_size(intermediate))

    def train(self, mode: bool = True) -> BridgeNet:
        if mode:
            self._refuse_if_optimized("trained")
        return super().train(mode)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_if_optimized("saved")
        return super().state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_if_optimized("given other weights")
        return super().load_state_dict(*args, **kwargs)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._refuse_if_optimized("moved or converted")
        return super()._apply(fn, recurse)

    def _refuse_if_optimized(self, done: str) -> None:
        if self.optimized:
            raise UserError(
                f"this network is ready for inference (after its first predict, or optimize_for_inference): it cannot be "
                f"{done} any more. Load it again, and predict with network.predict(image, optimize=False) until then"
            )

    def predict(self, image: Any, *, tasks: list[str] | None = None, optimize: bool = True, **how: Any) -> Prediction:
        """Decode one image's predictions; see :func:`bridgenet.prediction.predict_image`, which gets `how` (e.g. `tile="auto"`).

        A network that :func:`bridgenet.load` gave is made ready for inference by its first prediction, which makes it
        faster and keeps it from being trained or saved; not so with `optimize=False`.
        """
        from bridgenet.imaging.reading import read_picture
        from bridgenet.model.inference import optimize_for_inference, preparing
        from bridgenet.prediction import check_request, predict_image

        check_request(self.tasks, tasks)
        picture = read_picture(image)
        with preparing:  # of several threads, one
            is_float32 = self.optimized or next(self.parameters()).dtype == torch.float32
            if optimize and self.optimize_on_predict and not self.optimized and not self.training and is_float32:
                optimize_for_inference(self)
        return predict_image(self, picture, tasks=tasks, **how)
