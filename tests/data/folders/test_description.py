"""The file that describes a folder: read whole, all its mistakes told together, each by file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridgenet import tasks
from bridgenet.data.folders.description import read_description
from bridgenet.errors import UserError
from tests.data.own import YAML, make_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_folder(tmp_path, names=("a", "b"))
    return tmp_path


def mistakes(folder: Path, yaml: str) -> list[str]:
    path = folder / "data.yaml"
    path.write_text(yaml)
    with pytest.raises(UserError) as error:
        read_description(path)
    lines = str(error.value).split("\n       ")
    assert all(line.startswith("data.yaml: ") for line in lines)
    return [line.removeprefix("data.yaml: ") for line in lines]


def test_what_is_said_is_read(folder: Path) -> None:
    said = read_description(folder / "data.yaml")
    by_task = {entry.task: entry for entry in said.tasks}
    assert (said.name, said.size, said.ratio, said.seed, said.lists) == ("roofs", (32, 32), 0.3, 0, {})
    assert by_task["semseg"].labels.values == (7, 11)
    assert by_task["semseg"].class_names == ("road", "building")
    assert by_task["depth"].labels.scale == 0.001
    assert by_task["depth"].labels.range == (0.1, 80)
    assert by_task["normals"].labels.axes == ("right", "down", "away")
    assert by_task["edge"].folder == folder / "edges"


def test_own_tasks_become_known(folder: Path) -> None:
    read_description(folder / "data.yaml")
    damage, height = tasks.get("roofs_damage"), tasks.get("roofs_height")
    assert (damage.kind, damage.loss_weight, damage.metric) == ("classes", 2.0, "bridgenet.metrics:Segmentation")
    assert (height.kind, height.title, height.unit, height.num_outputs) == ("regression", "Height", "m", 1)
    read_description(folder / "data.yaml")  # the same once more


def test_short_forms(folder: Path) -> None:
    (folder / "depth.yaml").write_text("tasks:\n  depth: {unit: 0.5, ignore: .nan}")
    said = read_description(folder / "depth.yaml")
    assert (said.name, said.images, said.size, said.ratio) == ("depth", folder / "images", None, 0.1)
    assert said.tasks[0].labels.scale == 0.5
    assert said.tasks[0].labels.ignores_nan


def test_names_of_classes_are_read_as_they_were_written(folder: Path) -> None:
    (folder / "words.yaml").write_text(
        "tasks:\n"
        "  semseg: {folder: labels, classes: [no, yes, 3, 1.50, 010, 1e3, 2024-01-01, off]}\n"
        "  no: {kind: classes, folder: damage, classes: {010: on, 0x10: true}}\n"
    )
    semseg, damage = read_description(folder / "words.yaml").tasks
    assert semseg.class_names == ("no", "yes", "3", "1.50", "010", "1e3", "2024-01-01", "off")
    assert (damage.task, damage.class_names, damage.labels.values) == ("no", ("on", "true"), (10, 16))


def test_letters_with_accents_have_one_form(folder: Path) -> None:
    (folder / "accents.yaml").write_text("tasks:\n  semseg: {folder: labels, classes: [Geba\u0308ude, Baum]}")
    assert read_description(folder / "accents.yaml").tasks[0].class_names == ("Geb\u00e4ude", "Baum")


def test_numbers_are_those_of_a_run(folder: Path) -> None:
    (folder / "numbers.yaml").write_text(
        "tasks:\n"
        "  depth: {unit: 1e-3, range: [1e-1, 8e1], ignore: [010, -1e0]}\n"
        "  numbers_height: {kind: regression, folder: height, scale: .5e-3}\n"
    )
    depth, height = read_description(folder / "numbers.yaml").tasks
    assert (depth.labels.scale, depth.labels.range, depth.labels.ignore) == (0.001, (0.1, 80), (10, -1))
    assert height.labels.scale == 0.0005


def test_three_mistakes_are_all_told(folder: Path) -> None:
    told = mistakes(
        folder,
        """
        nmae: roofs
        tasks:
          semseg: {folder: label, classes: [road, roof]}
          depth: {folder: depth}
        """,
    )
    assert told[0] == "unknown key nmae (did you mean name?)"
    assert told[1].startswith("tasks.semseg.folder is label, but ")
    assert told[1].endswith("is no folder (did you mean labels?)")
    assert told[2] == "tasks.depth.unit is missing, expected m, cm, mm, or the metres of one unit, like 0.001"
    assert len(told) == 3


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("semseg: {folder: labels}", "tasks.semseg.classes is missing, expected names in the order"),
        ("semseg: {folder: labels, classes: [a, a]}", "tasks.semseg.classes names a twice"),
        ("semseg: {folder: labels, classes: [a, b], ignore: [1]}", "tasks.semseg.ignore has 1, which is a class"),
        (f"semseg: {{folder: labels, classes: {[str(i) for i in range(256)]}}}", "has 256 classes, expected at most 255"),
        ("semseg: {folder: labels, classes: [a, b], weight: 2}", "set loss.weights in the run's configuration"),
        ("semseg: {folder: labels, classes: [a, b], unit: m}", "unknown key tasks.semseg.unit"),
        ("depth: {unit: inch}", "tasks.depth.unit is 'inch', expected m, cm, mm"),
        ("depth: {unit: m, range: [3, 1]}", "tasks.depth.range is [3, 1], expected [smallest, largest]"),
        ("depth: {unit: m, ignore: [none]}", "tasks.depth.ignore is ['none'], expected stored values"),
        ("normals: {axes: [right, left, up]}", "tasks.normals.axes is ['right', 'left', 'up'], expected where x, y"),
        ("thing: {folder: labels}", "tasks.thing.kind is missing: own tasks need one of classes, depth"),
        ("thing: {folder: labels, kind: clases}", "is 'clases' (did you mean classes?)"),
        ("thing: {folder: depth, kind: regression, channels: 0}", "tasks.thing.channels is 0, expected a whole number, at least 1"),
        ("thing: {folder: depth, kind: regression, scale: big}", "tasks.thing.scale is 'big', expected the number"),
        ("thing: {folder: depth, kind: regression, loss: nowhere.to:go}", "tasks.thing.loss: there is no module 'nowhere'"),
        ("thing: {folder: depth, task: 'json:dumps'}", "tasks.thing.task: json:dumps is the function dumps, expected a bridgenet.Task"),
        ("semseg: {folder: labels, classes: {1: roof}}", "classes has roof alone, which needs no learning: name what is around"),
        ("semseg: {folder: labels, classes: {70000: a}}", "is {'70000': 'a'}, expected names"),
        ("semseg: {folder: labels, classes: [a, null]}", "tasks.semseg.classes is ['a', None], expected names"),
        ("depth: {unit: m, scale: 2}", "unknown key tasks.depth.scale (known: folder, suffix, ignore, unit, range)"),
        ("semseg: 3", "tasks.semseg is 3, expected keys like {folder: semseg}"),
    ],
)  # fmt: skip
def test_mistakes_in_a_task(folder: Path, entry: str, told: str) -> None:
    found = mistakes(folder, f"tasks:\n  {entry}")
    assert len(found) == 1, found
    assert told in found[0]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("size: 512", "size is 512, expected [height, width] in pixels"),
        ("split: 0.1", "split is 0.1, expected {train: train.txt, val: val.txt}"),
        ("split: {val: 2}", "split.val is 2, expected a share between 0 and 1"),
        ("split: {train: t.txt, val: v/}", "split.train is t.txt, but"),
        ("images: pictures", "images is pictures, but"),
        ("root: /nowhere", "root is /nowhere, but /nowhere is no folder"),
    ],
)
def test_mistakes_elsewhere(folder: Path, line: str, told: str) -> None:
    assert told in mistakes(folder, f"{line}\ntasks:\n  depth: {{unit: m}}")[0]


def test_file_that_describes_nothing(folder: Path) -> None:
    assert mistakes(folder, "- a") == ["holds ['a'], expected keys like `images: images` and `tasks: …`"]
    assert "tasks is missing, expected at least one" in mistakes(folder, "name: x")[0]
    (folder / "data.yaml").write_text("a: [")
    with pytest.raises(UserError, match="is not valid YAML"):
        read_description(folder / "data.yaml")
    with pytest.raises(UserError, match=r"no\.yaml: No such file or directory\. `bridgenet data init FOLDER`"):
        read_description(folder / "no.yaml")


def test_own_task_of_the_same_name_must_be_the_same(folder: Path) -> None:
    read_description(folder / "data.yaml")
    told = mistakes(folder, YAML.replace("weight: 2.0", "weight: 3.0"))
    assert (
        "task 'roofs_damage' is known already and is another one (loss_weight is 2.0 in one, 3.0 in the other)"
        in told[0]
    )
