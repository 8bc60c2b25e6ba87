"""Images that are too long for training are faults, not a crash of OpenCV; the longest are indexed rightly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridgenet.data.base import fit
from bridgenet.data.checks.check import check
from bridgenet.data.folders.folder import FolderSource
from bridgenet.data.pipeline.transforms import EvaluationTransform, TrainingTransform
from bridgenet.errors import UserError
from bridgenet.system.validation import LONGEST_SIDE
from tests.data.layouts import write


def make(folder: Path, width: int) -> Path:
    labels = np.arange(4 * width, dtype=np.uint32).reshape(4, width) // 100 % 3
    for name in "ab":
        write(folder / f"images/{name}.png", np.zeros((4, width, 3), np.uint8))
        write(folder / f"labels/{name}.png", labels.astype(np.uint8))
    path = folder / "data.yaml"
    path.write_text("split: {val: 0.5}\ntasks:\n  semseg: {folder: labels, classes: [a, b, c]}\n")
    return path


def test_longest_side(tmp_path: Path) -> None:
    path = make(tmp_path, LONGEST_SIDE)
    assert check(str(path), workers=1).faults == []
    dataset = FolderSource(path)(split="val")
    sample = dataset.load(0)
    padded = EvaluationTransform(dataset.info.size, ["semseg"])(sample)["semseg"]
    np.testing.assert_array_equal(padded[0, 14:18], sample["semseg"][..., 0])


def test_longer_side(tmp_path: Path) -> None:
    path = make(tmp_path, LONGEST_SIDE + 1)
    words = rf"a\.png: found 4×{LONGEST_SIDE + 1} pixels \(height×width\), expected sides of at most {LONGEST_SIDE}"
    texts = [fault.text for fault in check(str(path), workers=1).faults]
    assert any("expected sides of at most" in text for text in texts)
    with pytest.raises(UserError, match=words.replace("a", "[ab]", 1)):
        FolderSource(path)(split="train").load(0)
    path.write_text(path.read_text() + f"size: [32, {LONGEST_SIDE + 1}]\n")
    with pytest.raises(UserError, match=rf"size is \[32, {LONGEST_SIDE + 1}\], expected .*from 1 to {LONGEST_SIDE}"):
        FolderSource(path)
    for transform in (TrainingTransform, EvaluationTransform):
        with pytest.raises(UserError, match=f"sides may have at most {LONGEST_SIDE}. Give smaller --data.size"):
            transform((32, LONGEST_SIDE + 1), ["semseg"])


def test_labels_may_be_smaller_but_not_a_pixel() -> None:
    assert fit(np.zeros((3, 4), np.uint8), (48, 64), "nearest", Path("a.png")).shape == (48, 64)
    for shape in ((1, 1), (2, 3)):
        with pytest.raises(UserError, match=r"a\.png: found \d×\d pixels for an image of 48×64"):
            fit(np.zeros(shape, np.uint8), (48, 64), "nearest", Path("a.png"))
