"""The report's page and Markdown: what stands in them, what is missing and told, and that the page needs nothing else."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bridgenet import UserError, data
from bridgenet.cli import main as cli
from bridgenet.report import report
from bridgenet.report.blocks import Table
from bridgenet.report.sources import read_sources
from bridgenet.report.tables import per_class, published
from tests.report import runs

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Every element closed in its order; what is loaded; rows of tables by their first cell."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.scripts = 0
        self.rows: list[tuple[str | None, list[str]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        assert tag not in ("link", "iframe", "object")
        if tag not in VOID:
            self.open.append(tag)
        self.loads += [value or "" for name, value in attributes if name in ("src", "href")]
        self.images += [values] if tag == "img" else []
        self.scripts += tag == "script"
        if tag == "tr":
            self.rows.append((values.get("class"), []))
        if tag in ("td", "th"):
            self.rows[-1][1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:  # type: ignore[override]
        if "tr" in self.open and text.strip():
            self.rows[-1][1][-1] += text

    def row(self, name: str) -> list[str]:
        return next(cells for _, cells in self.rows if cells[0] == name)


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_page_needs_nothing_beside_it_and_is_well_formed(tmp_path: Path) -> None:
    folder = runs.write(tmp_path / "run")
    runs.write_log(folder)
    (folder / "per_image.csv").write_text("id,semseg.mIoU,edge.F\n0001,0.5,0.25\n0002,,0.5\n")
    page = read(report([folder]))
    assert all(re.match(r"data:|#", target) for target in page.loads)
    assert len(page.images) == 7 and all(image["alt"] for image in page.images)  # 5 curves, confusion, precision–recall
    assert "://" not in (folder / "report.html").read_text()
    assert any(target.startswith("data:text/csv;") for target in page.loads)


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    folder = runs.write(tmp_path / "<b>run</b>", test_time_augmentation='"flip" & <i>')
    page = read(report([folder]))
    assert page.scripts == 1  # our own
    assert "<script>alert(1)</script>" in [cells[0] for _, cells in page.rows]
    text = (folder / "report.md").read_text()
    assert "<script>" not in text and "<b>" not in text
    assert "a\\|b" in text


def test_published_rows_stand_beside_the_published_images_only(tmp_path: Path) -> None:
    same = read(report([runs.write(tmp_path / "same")], tmp_path / "same.html"))
    muted = [cells for kind, cells in same.rows if kind == "muted"]
    assert len(muted) == len(published()["nyud"])
    assert ["ATRC", "46.33", "0.5363", "20.18", "77.94", "published: page of InvPT"] in muted
    assert same.row("same")[1:5] == ["50.00", "0.6000", "20.00", "70.00"]

    other = report([runs.write(tmp_path / "other", images=12)], tmp_path / "other.html")
    assert not any(kind == "muted" for kind, _ in read(other).rows)
    assert "not of the published set" in other.with_suffix(".md").read_text()


def test_without_odsf_the_loss_is_compared(tmp_path: Path) -> None:
    scores = {"edge": {"loss": 0.05}}
    page = read(report([runs.write(tmp_path / "run", scores=scores, boundaries=...)], tmp_path / "r.html"))
    muted = [cells for kind, cells in page.rows if kind == "muted"]
    assert muted == [["BridgeNet, released weights", "0.04706", "published: authors' page"]]


def test_published_numbers_are_scores_in_the_units_of_evaluations() -> None:
    ranges = {"mIoU": (0.4, 0.9), "rmse": (0.4, 0.6), "mean": (13, 21), "maxF": (0.8, 0.9), "odsF": (0.7, 0.8)}
    for name, rows in (("nyud", published()["nyud"]), ("pascal", published()["pascal"])):
        for row in rows:
            assert row["source"] and list(row["scores"]) == list(data.info(name).tasks)
            for key, value in [pair for values in row["scores"].values() for pair in values.items()]:
                low, high = ranges.get(key, (0.04, 0.05))  # the loss
                assert low < value < high, (row["name"], key)


def test_several_runs_are_told_apart_and_the_best_is_marked(tmp_path: Path) -> None:
    better = {task: dict(values) for task, values in runs.SCORES.items()} | {"depth": {"rmse": 0.5}}
    first = runs.write(tmp_path / "a" / "run")
    second = runs.write(
        tmp_path / "b" / "run", scores=better, gain=0.1, gains={"depth": 0.1}, reference="single/evaluation.json"
    )
    runs.write_log(first)
    page = read(report([first, second / "evaluation.json"], tmp_path / "report.html"))
    assert page.row("a/run")[2] == "0.6000" and page.row("b/run")[2] == "★ 0.5000"
    assert page.row("b/run")[1] == "★ 50.00"  # as good as the other
    text = (tmp_path / "report.md").read_text()
    assert "**0.5000** ★" in text and "single/evaluation.json" in text and "+10.00" in text


def test_clean_and_compatible_variants_are_named(tmp_path: Path) -> None:
    page = read(report([runs.write(tmp_path / "run")]))
    assert page.row("loss ↓")[2].startswith("as in published tables")
    assert page.row("loss, clean ↓")[2].startswith("clean definition")
    assert page.row("boundaries")[1].startswith("SEISM boundaries, NYUD-v2, 654 images, maxDist 0.011")


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    folder = runs.write(tmp_path / "run", details=..., boundaries=..., class_names=..., canvas=...)
    text = report([folder]).with_suffix(".md").read_text()
    assert text.count("Not computed") == 2  # classes; precision and recall
    assert "No learning curves" in text
    assert "No pictures of run" in text and "is not the folder of a run" in text


def test_classes(tmp_path: Path) -> None:
    folder = runs.write(tmp_path / "run")
    file = report([folder], images=False)
    values = re.findall(r'data-value="([^"]*)"', file.read_text())
    assert "0.375" in values and [float(value) for value in values]  # what the page's script sorts by
    page = read(file)
    assert page.row("wall")[1:] == ["25.0", "50.00"]
    assert page.row("<script>alert(1)</script>")[1:] == ["does not occur", "0.00"]
    mistakes = [cells for _, cells in page.rows if len(cells) == 4 and cells[1] in ("wall", "a|b")]
    assert mistakes == [["a|b", "wall", "37.5", "18.75"], ["wall", "a|b", "25.0", "12.50"]]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "bridgenet evaluate"),
        (lambda path: None, "no run at"),
        (lambda path: path.write_text("[1]"), "holds no scores"),
        (lambda path: path.write_text("{"), "holds no scores"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, make: object, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "run")  # type: ignore[operator]
    assert cli.run(["report", str(tmp_path / "run"), "--out", str(tmp_path / "x.html")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()


def test_other_files_are_not_replaced(tmp_path: Path) -> None:
    run = runs.write(tmp_path / "run")
    with pytest.raises(UserError, match="given twice"):
        report([run, run / "evaluation.json"])
    with pytest.raises(UserError, match=r"\.html"):
        report([run], tmp_path / "report.pdf")
    (tmp_path / "README.md").write_text("my own")
    with pytest.raises(UserError, match="is no report"):
        report([run], tmp_path / "README.html")
    assert report([run], tmp_path) == report([run], tmp_path)  # its own it does
    assert (tmp_path / "README.md").read_text() == "my own"


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.write(tmp_path / "run")
    (run / "per_image.csv").write_text("number\n1\n")
    arguments = ["report", str(run), "--no-images"]
    assert cli.run(arguments) == 2 and "no column id" in capsys.readouterr().err
    (run / "per_image.csv").write_text("id,depth.rmse\n0001,0.5\n0002,0.25\n0003,nan\n")
    assert cli.run(arguments) == 0
    assert str(run / "report.html") in capsys.readouterr().out
    assert read(run / "report.html").row("best 1") == ["best 1", "0002", "0.250 m"]
    assert json.loads((run / "evaluation.json").read_text())["images"] == 654  # only read


def test_classes_of_runs_are_matched_by_name(tmp_path: Path) -> None:
    first = runs.write(tmp_path / "first", class_names={"semseg": ["wall", "floor", "sofa"]})
    other = {"semseg": {"per_class_iou": [0.9, 0.8, 0.7]}}
    second = runs.write(tmp_path / "second", class_names={"semseg": ["sofa", "wall", "lamp"]}, details=other)
    table = per_class("semseg", read_sources([first, second]))[0]
    assert isinstance(table, Table)
    assert [[cell.text for cell in row.cells] for row in table.rows] == [
        ["wall", "25.0", "80.0", "50.00"],
        ["floor", "does not occur", "does not occur", "0.00"],
        ["sofa", "50.0", "90.0", "50.00"],
        ["lamp", "does not occur", "70.0"],
    ]
