"""The findings of the check of a data folder and their report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridgenet import tasks as task_registry
from bridgenet.data.folders.no_data import Mark
from bridgenet.data.info import DataSetInfo
from bridgenet.errors import UserError
from bridgenet.tasks.statistics import Statistics

SHOWN = 5
"""Number of faults of one kind that are printed by default."""


@dataclass(frozen=True)
class Fault:
    """A fault of a data set.

    Attributes:
        split: ``"train"``, ``"val"``, or ``"both"``.
        subject: ``"list"``, ``"image"``, or the task.
        text: a description that names the file.
    """

    split: str
    subject: str
    text: str


@dataclass(kw_only=True)
class Findings:
    """The findings of one sample, several, or all.

    Attributes:
        sizes: number of images of each (height, width).
        turned: number of images that are turned by their EXIF orientation.
        tasks: statistics of the labels by task.
        faults: all faults; empty if the folder is sound.
        known: number of pixels with a label by split and task, of those with label files.
        before_range: sum and number of depths by task, including those outside of the stated range.
        left_out: what is unknown by task though the description does not say so, see :meth:`bridgenet.tasks.Kind.left_out`.
        no_data: number of labelled pixels by task and mark of no data that they hold.
        image_notes: number of images by what was left out in them.
    """

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    turned: int = 0
    tasks: dict[str, Statistics] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    before_range: dict[str, tuple[float, int]] = field(default_factory=dict)
    left_out: dict[str, Counter[Any]] = field(default_factory=dict)
    no_data: dict[str, Counter[Mark]] = field(default_factory=dict)
    image_notes: Counter[str] = field(default_factory=Counter)
    known: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, other: Findings) -> None:
        """Add the findings of other samples."""
        self.sizes.update(other.sizes)
        self.turned += other.turned
        self.faults.extend(other.faults)
        self.known.update(other.known)
        for task, statistics in other.tasks.items():
            self.tasks.setdefault(task, Statistics()).add(statistics)
        for task, (total, number) in other.before_range.items():
            before = self.before_range.get(task, (0.0, 0))
            self.before_range[task] = before[0] + total, before[1] + number
        for task, values in other.left_out.items():
            self.left_out.setdefault(task, Counter()).update(values)
        for task, marks in other.no_data.items():
            self.no_data.setdefault(task, Counter()).update(marks)
        self.image_notes.update(other.image_notes)

    @contextmanager
    def noting(self, split: str, subject: str, prefix: str = "") -> Iterator[None]:
        """Turn a UserError of the block into a fault, without the `prefix` of its text."""
        try:
            yield
        except UserError as error:
            self.faults.append(Fault(split, subject, str(error).removeprefix(prefix)))


@dataclass(kw_only=True)
class Report(Findings):
    """The outcome of :func:`bridgenet.data.checks.check.check`.

    Attributes:
        info: the data set.
        folder: its folder.
        chosen: the checked tasks.
        synthetic: whether `bridgenet data generate` made it, so that it need not have the published counts and sizes.
        counts: samples listed by split.
        notes: further information.
        description: the description of a custom folder, else None.
        is_custom_class: whether a custom class reads it, so that there is nowhere to download it again.
        labelled: number of images with a label by task; empty if all must have one.
    """

    info: DataSetInfo
    folder: Path
    chosen: list[str]
    synthetic: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    description: Path | None = None
    is_custom_class: bool = False
    labelled: dict[str, int] = field(default_factory=dict)

    def text(self, *, everything: bool = False) -> str:
        """Faults, notes, a table and advice; of many faults of one kind the first five unless `everything`."""
        return "\n".join(
            [*self._faults(everything), *(f"note: {note}" for note in self.notes), *self._table(), *self._end()]
        )

    def _faults(self, everything: bool) -> Iterator[str]:
        groups: dict[tuple[str, str], list[str]] = {}
        for fault in self.faults:
            groups.setdefault((fault.subject, fault.split), []).append(fault.text)
        for (subject, split), texts in sorted(groups.items(), key=lambda group: self._place(group[0][0])):
            yield f"{subject}, {'train and val' if split == 'both' else split}: {_count(len(texts), 'fault')}"
            shown = texts if everything else texts[:SHOWN]
            yield from (f"  {text.removeprefix(f'{self.folder}/')}" for text in shown)
            if len(shown) < len(texts):
                yield f"  … and {len(texts) - len(shown)} more (--all prints them)"

    def _place(self, subject: str) -> int:
        return ["list", "image", *self.chosen].index(subject)

    def _table(self) -> Iterator[str]:
        faults = Counter(fault.subject for fault in self.faults)
        listed = ", ".join(f"{split} {count}" for split, count in self.counts.items())
        sizes = [f"{height}×{width}" for height, width in self.sizes]
        spread = sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes"
        if len(sizes) > 1:
            heights, widths = zip(*self.sizes)
            spread += f", {min(heights)}..{max(heights)}×{min(widths)}..{max(widths)}"
        width = max(12, *map(len, self.chosen))
        yield f"{'':<{width}} faults  labelled"
        yield f"{'list':<{width}} {faults['list']:>6}  {'':>8}  {listed}"
        yield f"{'image':<{width}} {faults['image']:>6}  {'':>8}  {spread}"
        for task in self.chosen:
            found = self.tasks.get(task, Statistics())
            share = f"{100 * found.known / found.pixels:.1f} %" if found.pixels else "–"
            described = found.describe(task_registry.get(task), self.info.num_outputs[task])
            if task in self.labelled:
                of = f"{self.labelled[task]} of {sum(self.counts.values())} images"
                described = f"{of}: {described}" if described else of
            yield f"{task:<{width}} {faults[task]:>6}  {share:>8}  {described}".rstrip()

    def _end(self) -> Iterator[str]:
        what = self.description or self.folder
        if not self.faults:
            yield f"→ {what} is sound"
            return
        if self.description or self.is_custom_class:
            yield f"→ {what}: {_count(len(self.faults), 'fault')}. Fix what is named above, and check again"
            return
        faulty = {fault.subject for fault in self.faults}
        sound = [task for task in self.chosen if task not in faulty]
        again = (
            f"download {self.info.name} --root" if not self.synthetic else f"generate --layout {self.info.name} --out"
        )
        yield f"→ {self.folder}: {_count(len(self.faults), 'fault')}. Fix or replace what is named above, or move the"
        yield f"  folder away and get it again: bridgenet data {again} {self.folder.parent}"
        if sound and len(sound) < len(self.chosen) and not faulty & {"list", "image"}:
            yield f"  Not touched by it: --data.tasks '[{', '.join(sound)}]'"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
