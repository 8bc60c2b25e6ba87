from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgenet.data.checks.check import check
from bridgenet.data.folders.folder import FolderSource
from bridgenet.data.folders.lists import listed_ids
from bridgenet.errors import UserError
from tests.data.layouts import write

YAML = "split: {train: t.txt, val: v.txt}\nsize: [32, 32]\ntasks:\n  semseg: {folder: labels, classes: [a, b]}"
KNOWN = ("Größe", "b.1", "north/c")


def make(folder: Path, names: tuple[str, ...], yaml: str = "") -> Path:
    for name in names:
        write(folder / f"images/{name}.png", np.zeros((4, 4, 3), np.uint8))
        write(folder / f"labels/{name}.png", np.eye(4, dtype=np.uint8))
    (folder / "data.yaml").write_text(yaml or YAML.replace("{train: t.txt, val: v.txt}", "{val: 0.4}"))
    return folder / "data.yaml"


@pytest.mark.parametrize(
    "line",
    [
        "{}", "{}.png", "./{}", "images/{}.png", "data/images/{}.png", "/elsewhere/images/{}.png", "images\\{}.png",
        '"{}"', "'images/{}.png'", "  {}  ", ".\\{}.png",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", KNOWN)
def test_ways_to_write_an_id(line: str, name: str, tmp_path: Path) -> None:
    for written in (name, name.replace("/", "\\"), unicodedata.normalize("NFD", name)):
        (tmp_path / "t.txt").write_text(f"\n{line.format(written)}\r\n", encoding="utf-8")
        assert listed_ids(tmp_path / "t.txt", tmp_path / "images", "", KNOWN) == [name]


def test_suffix_of_the_description(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a_rgb.png\nb\nc.png")
    assert listed_ids(tmp_path / "t.txt", tmp_path, "_rgb.png", ["a", "b"]) == ["a", "b", "c.png"]


@pytest.mark.parametrize("line", ["images/b.1.png labels/b.1.png", "b.1,0.5", "b.1\tx\ty"])
def test_columns_are_told(line: str, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(f"north/c\n{line}")
    with pytest.raises(UserError, match=r"t\.txt has \d columns in line 2 .*expected one id a line"):
        listed_ids(tmp_path / "t.txt", tmp_path / "images", "", KNOWN)


@given(st.one_of(st.binary(max_size=60), st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace"))))
def test_any_file_is_a_list_or_told(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(content)
    try:
        found = listed_ids(path, path.parent / "images", ".png", KNOWN)
    except UserError as error:
        assert str(path) in str(error) and str(error).isprintable()
    else:
        assert all(name.strip() for name in found) and len(found) <= len(content)


def test_names_in_two_unicode_forms_belong_together(tmp_path: Path) -> None:
    path = make(tmp_path, ("Größe_1", "Größe_2", "Straße"))
    for file in (tmp_path / "labels").iterdir():
        file.rename(file.with_name(unicodedata.normalize("NFD", file.name)))
    assert check(str(path), workers=1).faults == []
    path.write_text(YAML.replace("labels,", "Größe,"))
    (tmp_path / "labels").rename(tmp_path / unicodedata.normalize("NFD", "Größe"))
    (tmp_path / "t.txt").write_text(unicodedata.normalize("NFD", "Größe_2\nStraße"))
    (tmp_path / "v.txt").write_text("Größe_1")
    assert check(str(path), workers=1).faults == []


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
class TestLinks:
    def test_a_link_upwards_adds_nothing(self, tmp_path: Path) -> None:
        path = make(tmp_path, ("a", "b", "c"))
        for folder in ("images", "labels"):
            (tmp_path / folder / "again").symlink_to(f"../{folder}")
        report = check(str(path), workers=1)
        assert sum(report.counts.values()) == 3
        assert ["is a link to a folder above it" in fault.text for fault in report.faults] == [True, True]
        source = FolderSource(path)
        assert len(source("", "train")) + len(source("", "val")) == 3

    def test_each_image_counts_once_and_labels_may_be_shared(self, tmp_path: Path) -> None:
        path = make(tmp_path, ("a", "b", "c"))
        (tmp_path / "images/z.png").symlink_to("a.png")
        (tmp_path / "labels/z.png").symlink_to("a.png")
        (tmp_path / "labels/b.png").unlink()
        (tmp_path / "labels/b.png").symlink_to("a.png")
        report = check(str(path), workers=1)
        assert sum(report.counts.values()) == 3 and report.faults == []
        assert "1 (z) are links to other images here: each image counts once" in report.notes
        path.write_text(YAML)
        (tmp_path / "t.txt").write_text("a\nb\n")
        (tmp_path / "v.txt").write_text("z\nc\n")
        assert [fault.text for fault in check(str(path), workers=1).faults] == [
            "a is in train and in val: the scores would mean less"
        ]

    @pytest.mark.parametrize("folder", ["images", "labels"])
    def test_what_is_no_file_is_a_fault(self, folder: str, tmp_path: Path) -> None:
        path = make(tmp_path, ("a", "b", "c"))
        file = tmp_path / folder / "a.png"
        file.unlink()
        for place, words in [
            (lambda: os.mkfifo(file), "a.png is a named pipe, expected a file"),
            (lambda: file.symlink_to("nowhere"), "a.png is a dead link: nowhere does not exist"),
            (lambda: file.symlink_to("a.png"), "a.png is a link that leads to itself"),
            (lambda: file.mkdir(), "a.png is a folder, expected a file"),
        ]:
            place()
            assert sum(words in fault.text for fault in check(str(path), workers=1).faults) == 1
            with pytest.raises(UserError, match=f"data.yaml: (images|semseg): .*{words}.*bridgenet data check"):
                for split in ("train", "val"):
                    FolderSource(path)("", split)
            file.rmdir() if file.is_dir() else file.unlink()

    def test_names_that_are_no_text_are_a_fault(self, tmp_path: Path) -> None:
        path = make(tmp_path, ("a", "b", "c"))
        (tmp_path / "images/a.png").rename(tmp_path / "images/a\udcff.png")
        words = "has a name that is not UTF-8. Rename it"
        assert sum(words in fault.text for fault in check(str(path), workers=1).faults) == 1
        with pytest.raises(UserError, match=words):
            FolderSource(path)("", "train")
