"""The report's tables: headlines beside published numbers, all metrics, gains, classes, how it was evaluated."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

import numpy as np

from bridgenet import tasks
from bridgenet.data.checks.coverage import labels_in_words
from bridgenet.report.blocks import Block, Cell, Column, Row, Table, Text
from bridgenet.report.sources import Source
from bridgenet.report.terms import heading, metric, number
from bridgenet.tasks import Headline
from bridgenet.tasks.scores import in_words

NOT_COMPUTED = "Not computed: evaluation.json does not hold it; bridgenet evaluate writes it."
MOST_CONFUSED = 12
ALL_LABELLED = "all, of all tasks"


@functools.cache
def published() -> dict[str, list[dict[str, Any]]]:
    """Published rows by the data set's name: `name`, `source`, `scores` as in evaluation.json."""
    return json.loads((resources.files("bridgenet.report") / "published.json").read_text(encoding="utf-8"))


def tasks_of(sources: Sequence[Source]) -> list[str]:
    """The tasks of all sources, in the canonical order."""
    return tasks.in_order({task for source in sources for task in source.scores})


def headlines(sources: Sequence[Source]) -> list[Block]:
    """A table for each set of images: runs, then published numbers of the same protocol."""
    blocks: list[Block] = []
    groups: dict[str, list[Source]] = {}
    for source in sources:
        groups.setdefault(source.images, []).append(source)
    for images, group in groups.items():
        table = _headline_table(images, group)
        blocks.append(table)
        if any(row.muted for row in table.rows):
            text = (
                "Grey rows: published by their authors or others, of the same protocol, not measured here; the last "
                "column names the source."
            )
            if any(source.evaluation.get("test_time_augmentation") for source in group):
                text += " They do not say whether test-time augmentation was used."
        elif group[0].synthetic:
            text = (
                "Beside synthetic images there are no published numbers: those are of photographs and do not compare."
            )
        else:
            text = "No published numbers beside these: they are not of the published set of images."
        if sum(not row.muted for row in table.rows) > 1:
            text += " The best of these runs is marked ★."
        blocks.append(Text(text, note=True))
    return blocks


def headline_columns(group: Sequence[Source]) -> list[tuple[str, Headline]]:
    """The tasks, and the headline of each that all sources with the task have."""
    return [
        (task, tasks.get(task).headline_in(*[source.scores[task] for source in group if task in source.scores]))
        for task in tasks_of(group)
    ]


def _headline_table(images: str, group: Sequence[Source]) -> Table:
    columns = headline_columns(group)
    values = [[source.scores.get(task, {}).get(score.key, math.nan) for task, score in columns] for source in group]
    best = [
        (max if score.higher_is_better else min)((value for value in column if math.isfinite(value)), default=None)
        for column, (_, score) in zip(zip(*values), columns)
    ]
    gains = any("gain" in source.evaluation for source in group)
    rows = []
    for source, row in zip(group, values):
        cells = [
            Cell(number(score, value), value, best=len(group) > 1 and value == top)
            for value, top, (_, score) in zip(row, best, columns)
        ]
        if gains:
            gain = source.evaluation.get("gain")
            cells.append(Cell("–" if gain is None else f"{100 * gain:+.2f}", gain))
        augmentation = source.evaluation.get("test_time_augmentation")
        made = "this evaluation" + (f", test-time augmentation: {augmentation}" if augmentation else "")
        rows.append(Row([Cell(source.name), *cells, Cell(made)]))
    info = group[0].info
    for entry in published().get(info.name, []) if info and group[0].compares_with_published else []:
        found = [entry["scores"].get(task, {}).get(score.key) for task, score in columns]
        if any(value is not None for value in found):
            cells = [Cell(number(score, value), value) for value, (_, score) in zip(found, columns)]
            cells += [Cell("–")] if gains else []
            rows.append(Row([Cell(entry["name"]), *cells, Cell(f"published: {entry['source']}")], muted=True))
    heads = [Column(tasks.get(task).title, heading(score)) for task, score in columns]
    heads += [Column("Gain Δm", "↑ [%]")] if gains else []
    return Table([Column("", numeric=False), *heads, Column("Numbers by", numeric=False)], rows, images)


def circumstances(sources: Sequence[Source]) -> list[Block]:
    """How the numbers were made: weights, images, canvas, augmentation, protocol."""
    rows: list[tuple[str, list[str]]] = [
        ("weights", [_word(source, "weights") for source in sources]),
        ("images", [source.images for source in sources]),
        ("labelled in training", [_word(source, "labelled_in_training", ALL_LABELLED) for source in sources]),
        ("labelled", [_labelled(source) for source in sources]),
        ("canvas", ["×".join(str(side) for side in source.evaluation.get("canvas") or "–") for source in sources]),
        ("precision", [_word(source, "precision") for source in sources]),
        ("test-time augmentation", [_word(source, "test_time_augmentation", "none") for source in sources]),
        ("boundaries", [boundary_protocol(source) for source in sources]),
        ("reference of the gain", [_word(source, "reference") for source in sources]),
    ]
    rows = [(name, texts) for name, texts in rows if set(texts) != {ALL_LABELLED}]
    columns = [Column("", numeric=False), *(Column(source.name, numeric=False) for source in sources)]
    return [Table(columns, [Row([Cell(name), *map(Cell, texts)]) for name, texts in rows])]


def _labelled(source: Source) -> str:
    """A text on how many of the scored images have labels of each task."""
    counts, images = source.evaluation.get("labelled"), source.evaluation.get("images", 0)
    return labels_in_words(counts or {}, images) or ALL_LABELLED


def boundary_protocol(source: Source) -> str:
    """The protocol of the boundary scores and the best threshold."""
    found = source.evaluation.get("boundaries")
    if not found:
        return "not computed"
    return f"{found.get('protocol', 'protocol not recorded')}; best threshold {found.get('threshold', math.nan):g}"


def _word(source: Source, key: str, missing: str = "–") -> str:
    value = source.evaluation.get(key)
    return missing if value is None else str(value)


def all_metrics(task: str, sources: Sequence[Source]) -> Table:
    """A table of all metrics of a task with their definition; compatible and clean variants are below each other."""
    having = [source for source in sources if task in source.scores]
    rows = []
    for key in dict.fromkeys(key for source in having for key in source.scores[task]):
        score = metric(task, key)
        values = [source.scores[task].get(key, math.nan) for source in having]
        rows.append(
            Row([Cell(heading(score)), *(Cell(number(score, value), value) for value in values), Cell(score.text)])
        )
    columns = [Column("metric", numeric=False), *(Column(source.name) for source in having)]
    return Table([*columns, Column("what it is", numeric=False)], rows)


def gains(sources: Sequence[Source]) -> list[Block]:
    """The gain of each task over the reference of the evaluation; empty without a reference."""
    having = [source for source in sources if source.evaluation.get("gains")]
    if not having:
        return []
    shown = tasks_of(having)
    rows = [
        Row(
            [
                Cell(source.name),
                *(_gain(source.evaluation["gains"].get(task)) for task in shown),
                _gain(source.evaluation.get("gain")),
                Cell(str(source.evaluation.get("reference", "–"))),
            ]
        )
        for source in having
    ]
    columns = [Column("", numeric=False), *(Column(tasks.get(task).title, "[%]") for task in shown)]
    columns += [Column("Δm", "[%]"), Column("reference", numeric=False)]
    note = Text(
        "Relative improvement of each headline over the reference, more is better; Δm is their mean.", note=True
    )
    return [Table(columns, rows), note]


def _gain(value: float | None) -> Cell:
    return Cell("–") if value is None else Cell(f"{100 * value:+.2f}", value)


def per_class(task: str, sources: Sequence[Source]) -> list[Block]:
    """A table with bars of the IoU of each class, matched by name, and its fraction of the truth."""
    having = [source for source in sources if source.details(task).get("per_class_iou")]
    if not having:
        return [Text(f"IoU per class. {NOT_COMPUTED}", note=True)]
    longest = max((source.class_names(task) for source in having), key=len)

    def by_class(source: Source, values: Iterable[Any]) -> dict[str, Any]:
        names = source.class_names(task) or longest
        return {_class(names, index): value for index, value in enumerate(values)}

    found = [by_class(source, source.details(task)["per_class_iou"]) for source in having]
    shares = _true_shares(having[0].details(task).get("confusion"))
    shares_of = by_class(having[0], [] if shares is None else shares)
    rows = []
    for name in dict.fromkeys(name for values in found for name in values):
        cells = [Cell(name)]
        for values in found:
            value = values.get(name)
            cells.append(Cell("does not occur") if value is None else Cell(f"{100 * value:.1f}", value, share=value))
        if name in shares_of:
            cells.append(Cell(f"{100 * shares_of[name]:.2f}", float(shares_of[name])))
        rows.append(Row(cells))
    columns = [Column("class", numeric=False), *(Column(source.name, "IoU ↑ [%]") for source in having)]
    columns += [Column("true pixels", "[%]")] if shares is not None else []
    return [Table(columns, rows, "IoU per class")]


def confusions(task: str, source: Source) -> Table | None:
    """The pairs of classes that are confused most often, by fraction of all pixels; None without a confusion matrix."""
    confusion = confusion_of(source, task)
    if confusion is None or confusion.sum() == 0:
        return None
    names = source.class_names(task)
    wrong = confusion.astype(np.float64)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSED]
    rows = []
    for true, predicted in zip(*np.unravel_index(order, wrong.shape)):
        pixels = wrong[true, predicted]
        if pixels == 0:
            break
        of_all, of_class = pixels / confusion.sum(), pixels / confusion[true].sum()
        cells = [Cell(_class(names, true)), Cell(_class(names, predicted))]
        cells += [Cell(f"{100 * of_class:.1f}", of_class, share=of_class), Cell(f"{100 * of_all:.2f}", of_all)]
        rows.append(Row(cells))
    columns = [Column("truth", numeric=False), Column("taken for", numeric=False)]
    columns += [Column("of the class", "[%]"), Column("of all pixels", "[%]")]
    return Table(columns, rows, f"Most frequent mistakes of {source.name}")


def confusion_of(source: Source, task: str) -> np.ndarray | None:
    """The square (n, n) confusion matrix of pixels, true by predicted; None if it was not recorded."""
    confusion = source.details(task).get("confusion")
    if not confusion:
        return None
    matrix = np.asarray(confusion)
    return matrix if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] else None


def _true_shares(confusion: Any) -> np.ndarray | None:
    if not confusion or not (total := np.sum(confusion)):
        return None
    return np.sum(confusion, axis=1) / total


def _class(names: Sequence[str], index: int) -> str:
    return names[index] if index < len(names) else f"class {index}"


def image_score(task: str, source: Source) -> tuple[Headline, dict[str, float]] | None:
    """The score that images are ranked by, and its value by image id; None without one in per_image.csv."""
    columns = source.per_image
    own = tasks.get(task)
    keys = [own.full_headline.key, "F"] if own.full_headline else []
    keys.append(getattr(tasks.resolve(own.metric), "image_score", own.headline))
    for key in [*keys, own.headline]:
        if columns.get(f"{task}.{key}"):
            return metric(task, key), columns[f"{task}.{key}"]
    return None


def ranked(score: Headline, values: dict[str, float], count: int) -> tuple[list[str], list[str]]:
    """Ids of the `count` best images, best first, and of the `count` worst, worst first; no image is in both."""
    order = sorted(values, key=lambda name: (-values[name] if score.higher_is_better else values[name], name))
    best = order[:count]
    return best, [name for name in reversed(order) if name not in best][:count]


def best_and_worst(task: str, source: Source, count: int) -> Table | None:
    """The best and the worst images of a task, with their score."""
    found = image_score(task, source)
    if found is None:
        return None
    score, values = found
    best, worst = ranked(score, values, count)
    rows = [
        Row([Cell(f"{place} {number}"), Cell(name), Cell(in_words(score, values[name]), values[name])])
        for place, names in (("best", best), ("worst", worst))
        for number, name in enumerate(names, 1)
    ]
    columns = [Column("", numeric=False), Column("image", numeric=False), Column(heading(score).split(" [")[0])]
    return Table(columns, rows, f"{source.name}: best and worst images")
