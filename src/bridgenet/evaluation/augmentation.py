"""Test-time augmentation: predictions for scaled and mirrored images, averaged in the units of each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.model.bridgenet import BridgeNet, BridgeNetOutput
from bridgenet.model.layers import resize

SMALLEST, LARGEST = 0.1, 4.0


class TestTimeAugmentation(nn.Module):
    """A network that averages its predictions for scaled and mirrored versions of every image.

    Class maps are averaged as probabilities, probabilities as they are. Depth [m] is multiplied by the scale, since
    training divides it by the scale; disparity is divided by it. Normals are averaged as unit vectors, with x negated where
    mirrored, and normalised. The averages are returned as logits that decode to them.

    Args:
        network: the network, in evaluation mode.
        flip: predict the mirrored image of each scale, too.
        scales: factors of the image's height and width.
        definitions: tasks by name that differ from the registered ones, e.g. in the classes that change places in mirrors.

    Raises:
        UserError: there is no scale, or one below 0.1 or above 4.
    """

    __test__ = False  # pytest collects classes named Test… otherwise

    def __init__(
        self,
        network: BridgeNet,
        *,
        flip: bool = True,
        scales: Sequence[float] = (1.0,),
        definitions: Mapping[str, tasks.Task] | None = None,
    ) -> None:
        super().__init__()
        check_scales(scales)
        self.network = network
        self.training = network.training
        self.mean, self.deviation = network.mean, network.deviation
        self.flip = flip
        self.definitions = dict(definitions or {})
        self.scales = tuple(float(scale) for scale in scales)

    @property
    def tasks(self) -> dict[str, int]:
        """The tasks of the network."""
        return self.network.tasks

    @property
    def title(self) -> str:
        """A text on scales and flipping."""
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
                    task = self.definitions.get(name) or tasks.get(name)
                    value = resize(task.kind.averaged(task, x_BCHW.float()), size)
                    value = _mirrored(task, value) if mirrored else value
                    value = value * scale if task.divide_by_scale else value
                    value = value / scale if task.multiply_by_scale else value
                    sums[name] = sums[name] + value if name in sums else value
        count = len(self.scales) * (2 if self.flip else 1)
        return BridgeNetOutput({name: tasks.get(name).kind.logits_of(sums[name] / count) for name in sums}, {})


def check_scales(scales: Sequence[float]) -> None:
    """UserError unless there are scales and all are within 0.1 and 4."""
    if not scales or not all(SMALLEST <= scale <= LARGEST for scale in scales):
        raise UserError(
            f"--scales {' '.join(map(str, scales)) or '(none)'}: expected factors from {SMALLEST:g} to {LARGEST:g}"
        )


def _mirrored(task: tasks.Task, value: Tensor) -> Tensor:
    """Mirror the prediction for a mirrored image back."""
    value = value.flip(-1)
    if task.swap_on_flip:
        value = value[:, task.mirrored_classes(value.shape[1])]
    if channels := task.negate_on_flip:
        sign = torch.ones(value.shape[1], 1, 1, device=value.device)
        sign[list(channels)] = -1
        value = value * sign
    return value
