from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from bridgenet import data
from bridgenet.data import PASCALContext
from bridgenet.errors import UserError
from tests.data.layouts import make_pascal, parts_annotation, write, write_mat

ID = "2008_000002"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_pascal(tmp_path)


def load(folder: Path, task: str) -> np.ndarray:
    return PASCALContext(folder.parent, "train", [task]).load(0)[task]


def write_parts(folder: Path, *objects: tuple[int, dict[str, np.ndarray]]) -> Path:
    return write_mat(folder / f"human_parts/{ID}.mat", anno=parts_annotation(objects))


def mask(*rows: int) -> np.ndarray:
    array = np.zeros((8, 10), np.uint8)
    array[list(rows)] = 1
    return array


def test_info_and_sample(folder: Path) -> None:
    assert data.info("pascal").num_outputs == {"semseg": 21, "human_parts": 7, "sal": 2, "normals": 3, "edge": 1}
    sample = PASCALContext(folder.parent, "val").load(0)
    assert {name: array.shape[2] for name, array in sample.items()} == {
        "image": 3,
        "semseg": 1,
        "human_parts": 1,
        "sal": 1,
        "normals": 3,
        "edge": 1,
    }
    assert all(array.shape[:2] == (8, 10) and array.dtype == np.float32 for array in sample.values())


def test_semseg_prefers_voc_and_falls_back(folder: Path) -> None:
    write(folder / f"semseg/VOC12/{ID}.png", np.full((8, 10), 20, np.uint8))
    write(folder / f"semseg/pascal-context/{ID}.png", np.full((8, 10), 255, np.uint8))
    assert (load(folder, "semseg") == 20).all()
    (folder / f"semseg/VOC12/{ID}.png").unlink()
    assert (load(folder, "semseg") == 255).all()
    (folder / f"semseg/pascal-context/{ID}.png").unlink()
    with pytest.raises(UserError, match=f"semseg/VOC12/{ID}.png or semseg/pascal-context/{ID}.png"):
        load(folder, "semseg")


def test_semseg_of_another_label_set_is_refused(folder: Path) -> None:
    write(folder / f"semseg/VOC12/{ID}.png", np.full((8, 10), 21, np.uint8))
    with pytest.raises(UserError, match=r"found the label\(s\) 21, expected 0..20 and 255"):
        load(folder, "semseg")


def test_saliency_is_more_than_half(folder: Path) -> None:
    write(folder / f"sal_distill/{ID}.png", np.repeat(np.uint8([[127], [128]]), [4, 4], axis=0).repeat(10, axis=1))
    target = load(folder, "sal")[:, 0, 0]
    assert target.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_edge_is_the_thinned_change_of_label(folder: Path) -> None:
    labels = np.full((8, 10), 7, np.uint16)
    labels[:, 5:] = 300
    write_mat(folder / f"pascal-context/trainval/{ID}.mat", LabelMap=labels)
    edge = load(folder, "edge")[..., 0]
    # the Laplacian answers on both sides of the step, columns 4 and 5; thinning leaves one of them
    assert set(np.unique(edge)) == {0, 1}
    assert not edge[:, :4].any()
    assert not edge[:, 6:].any()
    assert (edge[1:-1].sum(axis=1) == 1).all()
    np.testing.assert_array_equal(PASCALContext(folder.parent, "train").boundary_labels(0), labels)


def test_normals_are_kept_for_trusted_classes_only(folder: Path) -> None:
    labels = np.zeros((8, 10), np.uint16)
    labels[0] = 3  # trusted
    labels[1] = 5  # not
    write_mat(folder / f"pascal-context/trainval/{ID}.mat", LabelMap=labels)
    write(folder / f"normals_distill/{ID}.png", np.full((8, 10, 3), 255, np.uint8))
    target = load(folder, "normals")
    assert (target[0] == 1).all()
    assert not target[1:].any()


def test_label_map_of_another_image_is_refused(folder: Path) -> None:
    path = write_mat(folder / f"pascal-context/trainval/{ID}.mat", LabelMap=np.zeros((10, 8), np.uint16))
    for task in ("normals", "edge"):
        with pytest.raises(UserError, match=f"{path}: found 10×8 pixels for an image of 8×10"):
            load(folder, task)


def test_human_parts_later_masks_lie_over_earlier(folder: Path) -> None:
    write_parts(
        folder,
        (15, {"hair": mask(0, 1), "torso": mask(1, 2)}),
        (15, {}),
        (3, {"beak": mask(5)}),
        (15, {"rlleg": mask(2)}),
    )
    assert load(folder, "human_parts")[:, 0, 0].tolist() == [1, 2, 6, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("objects", [[], [(3, {"beak": mask(1)})], [(15, {})]], ids=["none", "bird", "no parts"])
def test_human_parts_without_parts_are_zero(folder: Path, objects: list[tuple[int, dict[str, np.ndarray]]]) -> None:
    write_parts(folder, *objects)
    target = load(folder, "human_parts")
    assert target.shape == (8, 10, 1)
    assert not target.any()


def test_wrong_parts_are_named(folder: Path) -> None:
    path = write_parts(folder, (15, {"wing": mask(1)}))
    with pytest.raises(UserError, match=f"{path}: 'wing' is not a part of a person"):
        load(folder, "human_parts")
    write_parts(folder, (15, {"hair": mask(1), "nose": np.ones((4, 5))}))
    with pytest.raises(UserError, match=f"{path}: masks of"):
        load(folder, "human_parts")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"labels": np.zeros((8, 10), np.uint16)}, "found labels, expected the variable LabelMap"),
        ({"LabelMap": np.full((8, 10), 460, np.uint16)}, "LabelMap holds 460..460, expected 0..459"),
        ({"LabelMap": np.full((8, 10), 0.5)}, "expected .* of integers"),
    ],
)
def test_wrong_label_map_is_named(folder: Path, variables: dict[str, np.ndarray], message: str) -> None:
    path = write_mat(folder / f"pascal-context/trainval/{ID}.mat", **variables)
    with pytest.raises(UserError, match=f"{path}: .*{message}"):
        load(folder, "edge")


@pytest.mark.parametrize("task", ["human_parts", "edge"])
def test_truncated_mat_is_named(folder: Path, task: str) -> None:
    path = PASCALContext(folder.parent, "train").target_paths(task, 0)[0]
    os.truncate(path, path.stat().st_size - 20)
    with pytest.raises(UserError, match=f"{path} cannot be read"):
        load(folder, task)


def test_annotation_of_another_structure_is_named(folder: Path) -> None:
    path = write_mat(folder / f"human_parts/{ID}.mat", anno={"people": 1})
    with pytest.raises(UserError, match=f"{path} cannot be read"):
        load(folder, "human_parts")


def test_only_files_of_the_chosen_tasks_are_needed(folder: Path) -> None:
    for name in ("human_parts", "pascal-context", "normals_distill"):
        shutil.rmtree(folder / name)
    assert PASCALContext(folder.parent, "train", ["semseg", "sal"]).load(0)["sal"].shape == (8, 10, 1)
    with pytest.raises(UserError, match=r"for normals are missing: normals_distill.*leave out the task normals"):
        PASCALContext(folder.parent, "train", ["normals"])


def test_folder_is_only_read(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        PASCALContext(folder.parent, "train").load(0)
        assert sorted(folder.rglob("*")) == before
    finally:
        for path in before:
            path.chmod(0o755 if path.is_dir() else 0o644)
