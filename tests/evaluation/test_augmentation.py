"""Test-time augmentation: what is averaged, in which units."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bridgenet import UserError
from bridgenet.evaluation.augmentation import TestTimeAugmentation
from bridgenet.model.bridgenet import BridgeNetOutput
from bridgenet.tasks.decoding import decode
from tests.model.networks import NUM_OUTPUTS, build, images

SIZE = (32, 48)


class Painter(nn.Module):
    """Logits that follow from the picture pixel by pixel; depth shrinks as the picture grows, as in training."""

    mean = deviation = None  # ImageNet's

    def __init__(self) -> None:
        super().__init__()
        self.tasks = NUM_OUTPUTS
        generator = torch.Generator().manual_seed(0)
        self.mix = {task: torch.randn(n, 3, 1, 1, generator=generator) for task, n in NUM_OUTPUTS.items()}

    def forward(self, pictures: Tensor) -> BridgeNetOutput:
        logits = {task: F.conv2d(pictures, weight) for task, weight in self.mix.items()}
        logits["depth"] = torch.full_like(logits["depth"], 3.0 * SIZE[1] / pictures.shape[-1])
        # Normals lean to the side on which the picture is brighter: mirrored with it.
        slope = pictures.mean(dim=1)[..., -1].mean() - pictures.mean(dim=1)[..., 0].mean()
        logits["normals"] = (
            torch.stack([slope.sign(), slope * 0 + 0.5, slope * 0 + 1])
            .view(1, 3, 1, 1)
            .expand(len(pictures), 3, *pictures.shape[-2:])
        )
        return BridgeNetOutput(logits, {})


@pytest.fixture
def pictures() -> Tensor:
    return images(2, SIZE) + torch.linspace(-2, 2, SIZE[1])


def test_nothing_more_than_one_look_changes_nothing() -> None:
    network, x = build(num_tasks=6).eval(), images(1)
    with torch.no_grad():
        once, plain = TestTimeAugmentation(network, flip=False)(x).logits, network(x).logits
    for task in plain:
        if task == "semseg":
            assert torch.equal(decode(task, once[task]), decode(task, plain[task]))
        torch.testing.assert_close(decode(task, once[task]), decode(task, plain[task]), atol=1e-5, rtol=1e-5)


def test_a_network_that_is_the_same_in_the_mirror(pictures: Tensor) -> None:
    """Pixel by pixel, so mirrored predictions are the same once brought back: normals' x with its sign changed."""
    painter = Painter()
    plain, both = painter(pictures).logits, TestTimeAugmentation(painter, flip=True)(pictures).logits  # type: ignore[arg-type]
    for task in NUM_OUTPUTS:
        torch.testing.assert_close(decode(task, both[task]), decode(task, plain[task]), atol=1e-5, rtol=1e-5)


def test_depth_of_scaled_pictures_is_in_the_metres_of_the_scene(pictures: Tensor) -> None:
    augmented = TestTimeAugmentation(Painter(), flip=False, scales=(0.5, 1.0, 1.5))(pictures).logits  # type: ignore[arg-type]
    torch.testing.assert_close(augmented["depth"], torch.full_like(augmented["depth"], 3.0))
    assert {tuple(x.shape[-2:]) for x in augmented.values()} == {SIZE}


class Alternating(nn.Module):
    """Answers with the given logits in turn."""

    mean = deviation = None  # ImageNet's

    def __init__(self, task: str, answers: list[list[float]]):
        super().__init__()
        self.task, self.answers = task, iter(answers)

    def forward(self, pictures: Tensor) -> BridgeNetOutput:
        logits = torch.tensor(next(self.answers)).view(1, -1, 1, 1).expand(1, -1, *pictures.shape[-2:])
        return BridgeNetOutput({self.task: logits}, {})


def average(task: str, answers: list[list[float]]) -> Tensor:
    network = TestTimeAugmentation(Alternating(task, answers), flip=True, scales=(1.0,))  # type: ignore[arg-type]
    return decode(task, network(torch.zeros(1, 3, 2, 2)).logits[task])[0, 0, 0]


def test_what_is_averaged() -> None:
    """Probabilities, not logits; unit vectors, not vectors of any length; depths at least 0."""
    assert average("semseg", [[0.0, 1.0, 0.9], [0.0, 1.0, 5.0]]) == 2
    confident, unsure = torch.tensor([0.0, 8.0]).softmax(0)[1], torch.tensor([0.0, -2.0]).softmax(0)[1]
    assert average("sal", [[0.0, 8.0], [0.0, -2.0]]) == pytest.approx((confident + unsure).item() / 2, abs=1e-6)
    assert average("edge", [[4.0], [-1.0]]) == pytest.approx(
        torch.tensor([4.0, -1.0]).sigmoid().mean().item(), abs=1e-6
    )
    assert average("depth", [[4.0], [-2.0]]) == 2
    # The second look is at the mirror image: its x is turned.
    expected = F.normalize(torch.tensor([1.0, 0, 0]) + F.normalize(torch.tensor([-3.0, 0, 4.0]), dim=0), dim=0)
    torch.testing.assert_close(average("normals", [[2.0, 0, 0], [3.0, 0, 4.0]]), expected)


def test_title() -> None:
    network = build(num_tasks=1)
    assert TestTimeAugmentation(network, flip=False, scales=(0.75, 1)).title == "scales 0.75, 1"
    assert TestTimeAugmentation(network).title == "scales 1, each mirrored as well"
    with pytest.raises(UserError, match=r"--scales 0 1: expected factors from 0\.1 to 4"):
        TestTimeAugmentation(network, scales=(0, 1))
