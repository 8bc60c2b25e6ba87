"""The sources of a report: evaluations of runs, and other files of their folders."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridgenet import data
from bridgenet.checkpoints import LAST
from bridgenet.config.loading import load as load_config
from bridgenet.config.settings import RunConfig
from bridgenet.downloads.pictures import refuse_address
from bridgenet.errors import UserError
from bridgenet.synthetic import SCENES
from bridgenet.tasks.scores import Scores, read_scores
from bridgenet.training.rows import METRICS, read_rows

BOUNDARY_KEYS = ("protocol", "odsF", "odsP", "odsR", "threshold", "precision", "recall")


@dataclass
class Source:
    """One evaluation.

    Attributes:
        name: a short one that no other source of the report has.
        folder: that evaluation.json is in.
        evaluation: its content; see :func:`bridgenet.evaluation.command.evaluate_source`.
        scores: of the tasks, NaN where there is none.
        config: settings of the run; None if the folder is not a run's.
        rows: of metrics.jsonl.
        per_image_csv: content of per_image.csv, empty if there is none.
    """

    name: str
    folder: Path
    evaluation: dict[str, Any]
    scores: Scores
    config: RunConfig | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    per_image_csv: str = ""

    @property
    def info(self) -> data.DataSetInfo | None:
        """The data set; None if it is unknown."""
        title = self.evaluation.get("data")
        return next((entry.info for entry in data.DATASETS.values() if entry.info.title == title), None)

    @property
    def synthetic(self) -> bool:
        """Whether the images are rendered, as far as it is known from the evaluation or the data folder."""
        if isinstance(recorded := self.evaluation.get("synthetic"), bool):
            return recorded
        if self.config is None or self.info is None:
            return False
        try:
            root = data.data_root(self.config.data.root)
        except UserError:
            return False
        return (root / self.info.folder / "scenes.json").is_file()

    @property
    def images(self) -> str:
        """A text on the scored images, which comparable sources share."""
        title, number = self.evaluation.get("data", "unknown data"), self.evaluation.get("images", "?")
        if self.synthetic:
            scenes = SCENES.get(self.info.name, "rooms") if self.info else "rooms"
            return f"{number} synthetic {scenes} in {title}'s layout"
        published = self.info.counts.get(self.evaluation.get("split", "val")) if self.info else None
        of = f" (published: {published})" if published and published != number else ""
        return f"{title}, {number} {self.evaluation.get('split', '')} images{of}"

    @property
    def compares_with_published(self) -> bool:
        """Whether published numbers are of the same images; False if their origin is unknown."""
        counts = self.info.counts if self.info else {}
        return self.evaluation.get("synthetic") is False and self.evaluation.get("images") == counts.get("val")

    def class_names(self, task: str) -> list[str]:
        """The known names of the classes, in their order."""
        names = self.evaluation.get("class_names") or (self.info.class_names if self.info else {})
        return [str(name) for name in names.get(task, ())]

    def details(self, task: str) -> Mapping[str, Any]:
        """The recorded details of a task besides its scores."""
        return (self.evaluation.get("details") or {}).get(task) or {}

    @property
    def per_image(self) -> dict[str, dict[str, float]]:
        """{column: {id: value}} of per_image.csv, cells without a number left out.

        Raises UserError for a table without ids.
        """
        if not self.per_image_csv:
            return {}
        reader = csv.DictReader(io.StringIO(self.per_image_csv))
        if "id" not in (reader.fieldnames or ()):
            raise UserError(f"{self.folder / 'per_image.csv'} has no column id; bridgenet evaluate writes it anew")
        columns: dict[str, dict[str, float]] = {name: {} for name in reader.fieldnames or () if name != "id"}
        for row in reader:
            for name, values in columns.items():
                try:
                    value = float(row[name])
                except (TypeError, ValueError):
                    continue
                if math.isfinite(value):
                    values[row["id"]] = value
        return columns


def read_sources(paths: Sequence[str | Path]) -> list[Source]:
    """The evaluations of run folders, folders that `bridgenet evaluate --out` wrote, or evaluation.json files.

    Raises:
        UserError: no evaluation there, a damaged one, or the same given twice.
    """
    for path in paths:
        refuse_address(path)
    files = [_evaluation_file(Path(path)) for path in paths]
    resolved = [file.resolve() for file in files]
    for number, path in enumerate(resolved):
        if path in resolved[:number]:
            raise UserError(f"{paths[number]} is given twice")
    return [_read(file, name) for file, name in zip(files, short_names(resolved))]


def short_names(files: Sequence[Path]) -> list[str]:
    """A short unique name for each file, from its parent folders."""
    for number in range(1, max(len(file.parts) for file in files)):
        names = ["/".join(file.parent.parts[-number:]).lstrip("/") for file in files]
        if len(set(names)) == len(names):
            return names
    return [str(file) for file in files]


def _evaluation_file(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"no run at {path}")
    if path.is_file():
        return path
    if not (path / "evaluation.json").is_file():
        raise UserError(f"{path} holds no evaluation.json; bridgenet evaluate {path} makes it")
    return path / "evaluation.json"


def _read(file: Path, name: str) -> Source:
    scores = read_scores(file)
    evaluation = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(evaluation.get("scores"), dict):
        evaluation = {"scores": evaluation}
    if problem := _malformed(evaluation):
        raise UserError(f"{file} is no whole evaluation ({problem}); bridgenet evaluate writes it anew")
    folder = file.parent
    is_run = (folder / "config.yaml").is_file() and (folder / LAST).is_file()
    table = folder / "per_image.csv"
    return Source(
        name=name,
        folder=folder,
        evaluation=evaluation,
        scores=scores,
        config=load_config(folder) if is_run else None,
        rows=read_rows(folder / METRICS),
        per_image_csv=table.read_text(encoding="utf-8") if table.is_file() else "",
    )


def _malformed(evaluation: Mapping[str, Any]) -> str | None:
    """Describe the first malformed entry of an evaluation; None if there is none."""
    for key in ("details", "class_names", "gains", "boundaries", "labelled"):
        if not isinstance(evaluation.get(key) or {}, dict):
            return f"{key} is no group"
    if not all(isinstance(value, int | float) for value in (evaluation.get("gains") or {}).values()):
        return "gains are no numbers"
    if not all(isinstance(value, int) for value in (evaluation.get("labelled") or {}).values()):
        return "labelled are no numbers"
    boundaries = evaluation.get("boundaries") or {}
    if missing := [key for key in BOUNDARY_KEYS if boundaries and key not in boundaries]:
        return f"boundaries lack {missing[0]}"
    for task, values in (evaluation.get("details") or {}).items():
        if not isinstance(values, dict):
            return f"details of {task} are no group"
        rows = values.get("confusion") or []
        if not (isinstance(rows, list) and all(isinstance(row, list) and len(row) == len(rows) for row in rows)):
            return f"the confusion matrix of {task} is not square"
    return None
