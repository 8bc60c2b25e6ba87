"""`bridgenet report`: evaluations of one or several runs as one HTML page, and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.report import figures, tables
from bridgenet.report.blocks import Block, File, Section, Strip, Text
from bridgenet.report.examples import examples
from bridgenet.report.page import GENERATOR, markdown, page
from bridgenet.report.sources import Source, read_sources
from bridgenet.system.files import write_atomically
from bridgenet.version import __version__

NUM_EXAMPLES = 3
"""Best images, and as many worst, that are shown of each task."""

Progress = Callable[[int, int], None]


def report(
    runs: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    images: bool = True,
    device: str = "auto",
    progress: Callable[[str], Progress] | None = None,
) -> Path:
    """Write the report of evaluated runs: an HTML page, and Markdown beside it under the same name.

    Args:
        runs: folders of runs, folders with an evaluation.json, or such files. What else is missing (weights, data,
            metrics.jsonl, per_image.csv, details) is noted in the report.
        out: the page, or a folder to write `report.html` into; by default the folder of a single run, of several the
            working directory. Other files than reports are not overwritten.
        images: load weights and data and draw the best and worst images.
        device: that predicts them, `"auto"` or `"cpu"`.
        progress: makes the progress callback of a stage from its name.

    Returns:
        The path of the page.

    Raises:
        UserError: a run without evaluation, a damaged one, one that is given twice; `out` cannot be used.
    """
    sources = read_sources(runs)
    target = _target(out, sources)
    title = "BridgeNet: " + (sources[0].name if len(sources) == 1 else f"{len(sources)} runs")
    subtitle = "; ".join(dict.fromkeys(source.images for source in sources)) + "."
    sections = contents(sources, _pictures(sources, device, progress) if images else None)
    footer = f"bridgenet {__version__}"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, page(title, subtitle, sections, footer))
    text = markdown(title, subtitle, sections, footer, pictures=target.name)
    write_atomically(target.with_suffix(".md"), text)
    return target


def _target(out: str | Path | None, sources: Sequence[Source]) -> Path:
    target = Path(out) if out is not None else sources[0].folder if len(sources) == 1 else Path()
    if target.is_dir():
        target /= "report.html"
    if target.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {target}: expected the name of a page, .html, or a folder that is there")
    for file in (target, target.with_suffix(".md")):
        if file.exists() and not (file.is_file() and GENERATOR in file.read_text("utf-8", errors="replace")[:400]):
            raise UserError(f"{file} is there and is no report of this command; choose another --out")
    return target


Pictures = dict[str, dict[str, list[Strip]] | str]
"""By the source's name: strips by task, or why there are none."""


def _pictures(sources: Sequence[Source], device: str, progress: Callable[[str], Progress] | None) -> Pictures:
    found: Pictures = {}
    for source in sources:
        show = progress(f"pictures of {source.name}") if progress is not None else None
        try:
            found[source.name] = examples(source, NUM_EXAMPLES, device=device, progress=show)
        except UserError as error:
            found[source.name] = str(error)
    return found


def contents(sources: Sequence[Source], pictures: Pictures | None) -> list[Section]:
    """The sections of the report; without pictures of images if they are None."""
    sections = [
        Section("Results", tables.headlines(sources)),
        Section("How it was evaluated", tables.circumstances(sources)),
    ]
    if gains := tables.gains(sources):
        sections.append(Section("Gain over the reference", gains))
    curves = figures.learning_curves(sources)
    missing = Text("No learning curves: there is no metrics.jsonl beside the evaluation.", note=True)
    sections.append(Section("Learning curves", [curves or missing]))
    for task in tables.tasks_of(sources):
        sections += _task(task, [source for source in sources if task in source.scores], pictures)
    sections.append(Section("Scores of each image", [block for source in sources for block in _per_image(source)]))
    return sections


def _task(task: str, sources: Sequence[Source], pictures: Pictures | None) -> list[Section]:
    sections = [Section(tasks.get(task).title, [tables.all_metrics(task, sources)])]
    if tasks.get(task).kind.has_classes:
        classes: list[Block] = tables.per_class(task, sources)
        for source in sources:
            classes += [block for block in (figures.confusion(task, source), tables.confusions(task, source)) if block]
        sections.append(Section(f"{tasks.get(task).title}: classes", classes, level=3))
    if tasks.get(task).full_headline is not None:
        curve = figures.precision_recall(sources)
        text = Text(f"Precision and recall. {tables.NOT_COMPUTED}", note=True)
        sections.append(Section(f"{tasks.get(task).title}: precision and recall", [curve or text], level=3))
    examples = [block for source in sources for block in _examples(task, source, pictures)]
    if examples:
        sections.append(Section(f"{tasks.get(task).title}: best and worst images", examples, level=3))
    return sections


def _examples(task: str, source: Source, pictures: Pictures | None) -> list[Block]:
    ranking = tables.best_and_worst(task, source, NUM_EXAMPLES)
    blocks: list[Block] = [ranking] if ranking else []
    if pictures is None:
        return blocks
    found = pictures[source.name]
    if isinstance(found, str):
        return [*blocks, Text(f"No pictures of {source.name}: {found}", note=True)]
    if source.evaluation.get("test_time_augmentation"):
        blocks.append(Text("The pictures are predicted without test-time augmentation.", note=True))
    return [*blocks, *found.get(task, [])]


def _per_image(source: Source) -> list[Block]:
    if not source.per_image_csv:
        return [Text(f"{source.name}: not computed; bridgenet evaluate writes per_image.csv.", note=True)]
    name = f"{source.name.replace('/', '-')}-per_image.csv"
    rows = max(0, len(source.per_image_csv.splitlines()) - 1)
    return [File(name, source.per_image_csv, f"{name}: the scores of {rows} images, a table to save")]
