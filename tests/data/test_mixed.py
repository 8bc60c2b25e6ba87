from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from bridgenet import data
from bridgenet.data.checks.show import chosen_samples, sheet
from bridgenet.data.mixed import MixedDataset
from bridgenet.errors import UserError
from bridgenet.tasks import IGNORE
from tests.data.layouts import make_nyud
from tests.data.own import make_folder

LABELS = "name: roofs\nsplit: {val: 0.3}\nsize: [32, 24]\ntasks: {semseg: {folder: labels, classes: {7: road, 11: house}, ignore: [255]}}"
SHAPES = "name: shapes\nsplit: {val: 0.3}\nsize: [16, 48]\ntasks: {depth: {unit: mm}, edge: {folder: edges}}"


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    """Two folders of six images: with semseg alone, with depth and edge alone."""
    return [str(make_folder(tmp_path / name, text)) for name, text in [("one", LABELS), ("two", SHAPES)]]


def opened(names: list[str], tasks: list[str] | None = None, root: Path | str = "") -> MixedDataset:
    dataset = data.get(names)(root, "train", tasks)
    assert isinstance(dataset, MixedDataset)
    return dataset


def test_info(names: list[str]) -> None:
    info = data.info(names)
    assert (info.name, info.title, info.tasks) == ("roofs+shapes", "roofs + shapes", ("semseg", "depth", "edge"))
    assert info.num_outputs == {"semseg": 2, "depth": 1, "edge": 1}
    assert info.size == (32, 48)
    assert not info.needs_root


def test_samples_have_their_own_labels_and_no_others(names: list[str]) -> None:
    dataset = opened(names)
    assert len(dataset) == sum(dataset.parts) == 8
    assert dataset.ids[0].startswith("roofs/") and dataset.ids[-1].startswith("shapes/")
    first, last = dataset.load(0), dataset.load(7)
    assert list(first) == list(last) == ["image", "semseg", "depth", "edge"]
    assert np.isnan(first["depth"]).all() and np.isnan(first["edge"]).all()
    assert set(np.unique(first["semseg"])) <= {0, 1, IGNORE}
    assert (last["semseg"] == IGNORE).all()
    assert 1 <= last["depth"].min() <= last["depth"].max() <= 9
    assert dataset.labelled().tolist() == [[True] * 4 + [False] * 4] + 2 * [[False] * 4 + [True] * 4]
    assert dataset.target_paths("depth", 0) == []
    assert dataset.target_paths("depth", 7)[0].is_file()


def test_boundaries_are_those_of_the_members(names: list[str]) -> None:
    dataset = opened(names)
    assert dataset.boundary_indices() == [4, 5, 6, 7]
    assert dataset.boundary_labels(5).shape == (12, 16)


def test_published_and_own_together(names: list[str], tmp_path: Path) -> None:
    make_nyud(tmp_path)
    dataset = opened(["nyud", names[1]], root=tmp_path)
    assert dataset.info.needs_root
    assert dataset.tasks == ["semseg", "depth", "normals", "edge"]
    assert dataset.labelled().sum(axis=1).tolist() == [3, 7, 3, 7]
    assert dataset.boundary_labels(0).shape == (8, 10)


def test_tasks_may_be_chosen(names: list[str]) -> None:
    dataset = opened(names, ["depth"])
    assert dataset.tasks == ["depth"] and dataset.parts == (4,)  # a set without the task is left out


def test_can_be_sent_to_other_processes(names: list[str]) -> None:
    dataset = opened(names)
    sent = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(sent.load(6)["depth"], dataset.load(6)["depth"])


def test_names_that_are_alike_are_numbered(names: list[str], tmp_path: Path) -> None:
    other = make_folder(tmp_path / "three", LABELS)
    assert data.info([names[0], str(other)]).name == "roofs1+roofs2"


def test_show_has_every_task(names: list[str]) -> None:
    dataset = opened(names)
    chosen = chosen_samples(dataset, 1)
    assert dataset.labelled()[:, chosen].any(axis=1).all()
    assert sheet(dataset, chosen).width > 100


def test_sets_that_disagree(names: list[str], tmp_path: Path) -> None:
    other = make_folder(tmp_path / "three", LABELS.replace("road", "street").replace("roofs", "towns"))
    with pytest.raises(UserError, match=r"different classes of semseg \(roofs: road, house; towns: street, house\)"):
        data.info([names[0], str(other)])


def test_sets_that_define_a_task_differently(tmp_path: Path) -> None:
    task = "tasks: {towns_noise: {kind: %s, folder: height}}"
    one, two = (make_folder(tmp_path / kind, f"{task % kind}") for kind in ("regression", "probability"))
    with pytest.raises(
        UserError, match=f"'towns_noise' is known already.*{re.escape(str(one))} has it, and {re.escape(str(two))}"
    ):
        data.get([str(one), str(two)])


def test_wrong_names(names: list[str]) -> None:
    with pytest.raises(UserError, match="named twice"):
        data.get([names[0], names[0]])
    with pytest.raises(UserError, match="empty list"):
        data.get([])
    with pytest.raises(UserError, match=r"'nyu' is not a data set \(did you mean nyud\?\)"):
        data.get([names[0], "nyu"])
    assert data.get([names[0]]).info.name == "roofs"


def test_meaning_of_classes_is_joined(tmp_path: Path) -> None:
    sides = LABELS.replace("{7: road, 11: house}", "{7: left, 11: right}")
    one = sides.replace("ignore", "swap: [[left, right]], ignore")
    other = sides.replace("roofs", "others").replace("7: left", "5: left")
    names = [str(make_folder(tmp_path / name, text)) for name, text in [("one", one), ("two", other)]]
    info = data.info(names)
    assert info.swap == {"semseg": (("left", "right"),)}
    assert data.get(names)("", "train").task("semseg").swap_on_flip == ((0, 1),)
    assert info.stored_values("semseg") == [0, 1]  # 7 and 11, or 5 and 11
    assert data.info(names[:1]).stored_values("semseg") == [7, 11]
    assert info.meaning["others.semseg"]["classes"] == ["5: left", "11: right"]
