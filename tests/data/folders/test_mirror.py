"""Mirrored pictures: left and right change places, and components that say so change their sign."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bridgenet import data, tasks
from bridgenet.data.checks.check import check
from bridgenet.data.folders.description import read_description
from bridgenet.data.folders.folder import FolderSource
from bridgenet.data.folders.initial import write_description
from bridgenet.data.pipeline.loading import training_loader
from bridgenet.data.pipeline.transforms import TrainingTransform
from bridgenet.errors import UserError
from bridgenet.evaluation.augmentation import TestTimeAugmentation
from bridgenet.model.bridgenet import BridgeNetOutput
from bridgenet.tasks.kinds.classes import mirrored_pairs
from tests.data.layouts import write, write_list

SIZE = (32, 64)
YAML = """
name: sides
split: {val: 0.3}
size: [32, 64]
tasks:
  sides_parts:
    {kind: classes, folder: parts, classes: [none, left_hand, right_hand], swap: [[left_hand, right_hand]], ignore: [9]}
  sides_flow:
    {kind: regression, folder: flow, channels: 2, unit: px, negate_on_flip: [0], multiply_by_scale: true}
"""


def make_sides(folder: Path, yaml: str = YAML) -> Path:
    """Six pictures: the left hand on the left quarter, the right hand on the right one, flow (3, 1) [px] everywhere."""
    parts = np.zeros(SIZE, np.uint8)
    parts[:, :16], parts[:, 48:], parts[0] = 1, 2, 9
    for name in "abcdef":
        write(folder / f"images/{name}.png", np.full((*SIZE, 3), 99, np.uint8))
        write(folder / f"parts/{name}.png", parts)
        write(folder / f"flow/{name}.npy", np.broadcast_to(np.float32((3, 1)), (*SIZE, 2)))
    path = folder / "data.yaml"
    path.write_text(yaml)
    return path


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_training_samples(tmp_path: Path, kind: type) -> None:
    dataset = FolderSource(make_sides(tmp_path))("", "train")
    assert dataset.task("sides_parts").mirrored_classes(3) == [0, 2, 1]
    sample = dataset.compact(0)
    sample["sides_parts"] = sample["sides_parts"].astype(kind)
    transform = TrainingTransform(SIZE, dataset.tasks)
    both, signs = 0, set()
    for seed in range(40):
        found = transform.prepare(sample, np.random.default_rng(seed))
        parts = found["sides_parts"][0]
        assert set(np.unique(parts)) <= {0, 1, 2, 255}
        left, right = np.nonzero(parts == 1)[1], np.nonzero(parts == 2)[1]
        if len(left) and len(right):
            both += 1
            assert left.max() < right.min()
        x, y = (found["sides_flow"][channel][~np.isnan(found["sides_flow"][channel])] for channel in (0, 1))
        assert np.allclose(abs(x), 3 * y)
        assert (x < 0).all() == bool(found["mirrored"])
        signs.add(bool(found["mirrored"]))
    assert both > 10 and signs == {False, True}


def test_classes_of_published_tasks_change_places_in_their_own_data_alone(tmp_path: Path) -> None:
    path = make_sides(tmp_path, YAML.replace("sides_parts", "semseg").replace("kind: classes, ", ""))
    dataset = FolderSource(path)("", "train", ["semseg"])
    how = {"size": SIZE, "batch_size": 2, "seed": 1, "num_workers": 0, "start_step": 0, "end_step": 8}
    seen = 0
    for batch in training_loader(dataset, **how):
        for labels in batch["semseg"][:, 0].numpy():
            left, right = np.nonzero(labels == 1)[1], np.nonzero(labels == 2)[1]
            if len(left) and len(right):
                seen += 1
                assert left.max() < right.min()
    assert seen
    assert dataset.task("semseg").swap_on_flip == ((1, 2),)
    assert tasks.get("semseg").swap_on_flip == ()


def test_own_task_may_have_its_classes_in_another_order(tmp_path: Path) -> None:
    first = FolderSource(make_sides(tmp_path))("", "train").task("sides_parts")
    other = YAML.replace("[none, left_hand, right_hand]", "[left_hand, right_hand, none]")
    second = FolderSource(make_sides(tmp_path, other))("", "train").task("sides_parts")
    assert (first.swap_on_flip, second.swap_on_flip) == (((1, 2),), ((0, 1),))
    assert tasks.from_dict(json.loads(json.dumps(second.as_dict()))) == second


def test_mirroring_alone_is_switched_off(tmp_path: Path) -> None:
    dataset = FolderSource(make_sides(tmp_path))("", "train")

    def batches(mirror: bool) -> list[dict[str, Tensor]]:
        how = {"size": SIZE, "batch_size": 2, "seed": 1, "num_workers": 0, "start_step": 0, "end_step": 8}
        return list(training_loader(dataset, **how, mirror=mirror))

    with_mirrors, without = batches(True), batches(False)
    assert any(batch["mirrored"].any() for batch in with_mirrors)
    assert not any(batch["mirrored"].any() for batch in without)
    for one, other in zip(with_mirrors, without):  # all else is the same
        kept = ~one["mirrored"]
        assert torch.equal(one["image"][kept], other["image"][kept])
        assert torch.equal(one["sides_parts"][kept], other["sides_parts"][kept])


class Sides(nn.Module):
    """Knows left from right: predicts the left hand on the left half of whatever it sees, and flow to the right in mirrors."""

    mean = deviation = torch.zeros(3, 1, 1)
    tasks = {"sides_parts": 3, "sides_flow": 2}

    def forward(self, images: Tensor) -> BridgeNetOutput:
        half = images.shape[-1] // 2
        parts = torch.zeros(len(images), 3, *images.shape[-2:])
        parts[:, 1, :, :half] = parts[:, 2, :, half:] = 9
        flow = torch.ones(len(images), 2, *images.shape[-2:])
        flow[:, 0] = images[:, 0]
        return BridgeNetOutput({"sides_parts": parts, "sides_flow": flow}, {})


def test_mirrored_predictions(tmp_path: Path) -> None:
    path = make_sides(tmp_path)
    data.get(str(path))
    images = torch.ones(1, 3, 8, 16)
    network = TestTimeAugmentation(Sides(), flip=True)  # type: ignore[arg-type]
    logits = network(images).logits
    classes = logits["sides_parts"].argmax(dim=1)
    assert (classes[..., :8] == 1).all() and (classes[..., 8:] == 2).all()
    probability = logits["sides_parts"].softmax(dim=1)[:, 1, :, :8]
    assert torch.allclose(probability, Sides()(images).logits["sides_parts"].softmax(dim=1)[:, 1, :, :8], atol=1e-5)
    assert torch.allclose(logits["sides_flow"][:, 0], torch.zeros(1), atol=1e-6)  # +1, and −1 of the mirror image
    assert torch.allclose(logits["sides_flow"][:, 1], torch.ones(1))


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    for change, told in [
        ("swap: [[left_hnd, right_hand]]", "swap has left_hnd, which is no class (did you mean left_hand?)"),
        ("swap: [[left_hand, left_hand]]", "swap has left_hand twice"),
        ("swap: [left_hand]", "expected pairs of class names, like [[left_hand, right_hand]]"),
    ]:
        with pytest.raises(UserError, match="sides_parts") as error:
            read_description(make_sides(tmp_path, YAML.replace("swap: [[left_hand, right_hand]]", change)))
        assert told in str(error.value)
    with pytest.raises(UserError, match=r"sides_flow\.negate_on_flip has 2, expected channels from 0 to 1"):
        read_description(make_sides(tmp_path, YAML.replace("negate_on_flip: [0]", "negate_on_flip: [2]")))


def test_pairs_are_seen(tmp_path: Path) -> None:
    assert mirrored_pairs(["none", "Left Arm", "right arm", "l_eye", "r_eye", "leftover", "lamp"]) == [
        ("Left Arm", "right arm"),
        ("l_eye", "r_eye"),
    ]
    path = make_sides(tmp_path, YAML.replace("swap: [[left_hand, right_hand]], ", ""))
    assert "state `swap: [[left_hand, right_hand]]`, or --data.mirror false" in " ".join(
        check(str(path), workers=1).notes
    )
    assert "mirror" not in " ".join(check(str(make_sides(tmp_path)), workers=1).notes)
    write_list(tmp_path / "classes.txt", ["none", "left_hand", "right_hand", *"abcdef", "unclear"])
    assert "`swap`" in write_description(tmp_path, overwrite=True)
    assert read_description(tmp_path / "data.yaml").entry("human_parts").swap == (("left_hand", "right_hand"),)
