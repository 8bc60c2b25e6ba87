"""Labels that lack in a published layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridgenet.data import NYUDv2
from bridgenet.data.checks.coverage import check_labels, count_labels, labels_in_words
from bridgenet.errors import UserError
from tests.data.layouts import make_nyud


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three training images, the first without depth and edges."""
    folder = make_nyud(tmp_path)
    (folder / "depth/0001.npy").unlink()
    (folder / "edge/0001.png").unlink()
    return tmp_path


def test_whole_data_are_expected_unless_said_otherwise(root: Path) -> None:
    with pytest.raises(UserError, match=r"1 of 3 train files for depth are missing: .* --data\.partial true"):
        NYUDv2(root, "train")


def test_missing_label_is_ignored_throughout(root: Path) -> None:
    sample = NYUDv2(root, "train", partial=True).load(0)
    assert np.isnan(sample["depth"]).all() and np.isnan(sample["edge"]).all()
    assert not np.isnan(sample["normals"]).any()


def test_missing_picture_is_an_error_in_any_case(root: Path) -> None:
    (root / "NYUDv2/images/0002.png").unlink()
    with pytest.raises(
        UserError, match=r"1 of 3 train files for image are missing: images/0002\.png\. Unpack the archive again$"
    ):
        NYUDv2(root, "train", partial=True)


def test_counts(root: Path) -> None:
    dataset = NYUDv2(root, "train", partial=True)
    counts = count_labels(dataset)
    assert counts == {"semseg": 3, "depth": 2, "normals": 3, "edge": 2}
    assert dataset.boundary_indices() == [1, 2]
    assert labels_in_words(counts, 3) == "semseg 3, depth 2, normals 3, edge 2 of 3 images"
    assert labels_in_words({"semseg": 3}, 3) == ""


def test_task_without_any_label(root: Path) -> None:
    for name in ("0002", "0003"):
        (root / f"NYUDv2/edge/{name}.png").unlink()
    with pytest.raises(
        UserError,
        match=r"no training image of NYUD-v2 has a label of edge; choose other tasks \(--data\.tasks '\[semseg, depth, normals\]'\)",
    ):
        check_labels(NYUDv2(root, "train", partial=True))
    with pytest.raises(UserError, match="of edge; give data that have"):
        check_labels(NYUDv2(root, "train", ["edge"], partial=True))
