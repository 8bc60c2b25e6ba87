"""Test-time augmentation: several looks at each image, their predictions averaged in the units of each task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.model.bridgenet import BridgeNet, BridgeNetOutput
from bridgenet.model.layers import resize

SMALLEST, LARGEST = 0.1, 4.0


class TestTimeAugmentation(nn.Module):
    """A network that looks at every image at several scales, and mirrored, and averages what it predicts.

    Classes: probabilities. Probabilities: themselves. Depth: metres, of a scaled image times the scale, as training
    divides depth by it (disparity divided by it, as that is multiplied). Normals: unit vectors, x negated where mirrored; the mean is brought to unit length. The means
    are given as logits that decode to them.

    Args:
        network: in evaluation mode is meant.
        flip: look at each scale's mirror image as well.
        scales: factors of the image's sides.

    Raises:
        UserError: a scale below 0.1 or above 4, or none.
    """

    __test__ = False  # pytest takes every Test… for a test

    def __init__(self, network: BridgeNet, *, flip: bool = True, scales: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        check_scales(scales)
        self.network = network
        self.training = network.training
        self.mean, self.deviation = network.mean, network.deviation
        self.flip = flip
        self.scales = tuple(float(scale) for scale in scales)

    @property
    def tasks(self) -> dict[str, int]:
        """As the network's."""
        return self.network.tasks

    @property
    def title(self) -> str:
        """What is done, in words."""
        scales = ", ".join(f"{scale:g}" for scale in self.scales)
        return f"scales {scales}" + (", each mirrored as well" if self.flip else "")

    def forward(self, images: Tensor) -> BridgeNetOutput:
        """(B, 3, H, W) normalised images → logits at image size; there are no intermediate logits."""
        size = images.shape[-2:]
        sums: dict[str, Tensor] = {}
        for scale in self.scales:
            scaled = resize(images, [max(1, round(side * scale)) for side in size])  # type: ignore[arg-type]
            for mirrored in (False, True) if self.flip else (False,):
                logits = self.network(scaled.flip(-1) if mirrored else scaled).logits
                for name, x_BCHW in logits.items():
                    task = tasks.get(name)
                    value = resize(task.kind.averaged(task, x_BCHW.float()), size)
                    value = _mirrored(task, value) if mirrored else value
                    value = value * scale if task.divide_by_scale else value
                    value = value / scale if task.multiply_by_scale else value
                    sums[name] = sums[name] + value if name in sums else value
        count = len(self.scales) * (2 if self.flip else 1)
        return BridgeNetOutput({name: tasks.get(name).kind.logits_of(sums[name] / count) for name in sums}, {})


def check_scales(scales: Sequence[float]) -> None:
    """UserError unless these are factors that an image's sides can reasonably have."""
    if not scales or not all(SMALLEST <= scale <= LARGEST for scale in scales):
        raise UserError(
            f"--scales {' '.join(map(str, scales)) or '(none)'}: expected factors from {SMALLEST:g} to {LARGEST:g}"
        )


def _mirrored(task: tasks.Task, value: Tensor) -> Tensor:
    """A prediction for a mirror image, brought back."""
    value = value.flip(-1)
    if channels := task.negate_on_flip:
        sign = torch.ones(value.shape[1], 1, 1, device=value.device)
        sign[list(channels)] = -1
        value = value * sign
    return value
