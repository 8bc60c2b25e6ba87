"""The elements of a report in any format: sections with texts, tables, figures, images and files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image


@dataclass(frozen=True)
class Text:
    """A paragraph; plain text. A `note` is printed smaller."""

    text: str
    note: bool = False


@dataclass(frozen=True)
class Column:
    """Of a table: its heading, a second line below it, and whether it holds numbers."""

    title: str
    below: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """Of a table.

    Attributes:
        text: what stands in it.
        value: what it is sorted by, if that is not its text.
        best: the best of its column.
        share: length of a bar beside the text, 0..1.
    """

    text: str
    value: float | None = None
    best: bool = False
    share: float | None = None


@dataclass(frozen=True)
class Row:
    """Of a table; a `muted` one stands back, as it does not belong to the runs."""

    cells: Sequence[Cell]
    muted: bool = False


@dataclass(frozen=True)
class Table:
    """A table; its first column names the rows."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    title: str = ""


@dataclass(frozen=True)
class Figure:
    """A plot, drawn for a width of `width` [CSS pixels], by default as wide as there is room; `alt` describes it."""

    picture: Image.Image
    alt: str
    caption: str = ""
    width: int | None = 560


@dataclass(frozen=True)
class Figures:
    """Plots side by side as far as there is room."""

    figures: Sequence[Figure]


@dataclass(frozen=True)
class Key:
    """What the colours of a picture mean: swatches with names, or a ramp of colours with the values at its ends."""

    swatches: Sequence[tuple[str, str]] = ()
    ramp: Sequence[str] = ()
    ends: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Tile:
    """One picture of a sample. A `photograph` may be stored with loss."""

    title: str
    picture: Image.Image
    alt: str
    key: Key | None = None
    photograph: bool = True


@dataclass(frozen=True)
class Strip:
    """Pictures of one sample, side by side."""

    caption: str
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class File:
    """A file that the page carries, to be saved from there."""

    name: str
    content: str
    text: str


Block = Text | Table | Figure | Figures | Strip | File


@dataclass
class Section:
    """A heading and what stands below it; level 2 or 3."""

    title: str
    blocks: list[Block] = field(default_factory=list)
    level: int = 2
