"""A report as Markdown: the same texts and tables; for its pictures it points to the page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bridgenet.report.blocks import Block, Cell, Figure, Figures, Row, Section, Table, Text
from bridgenet.report.page import GENERATOR


def markdown(title: str, subtitle: str, sections: Sequence[Section], footer: str, *, pictures: str) -> str:
    """The whole document. `pictures`: name of the page that has them."""
    lines = [f"<!-- {GENERATOR} -->", "", f"# {_escape(title)}", "", _escape(subtitle)]
    for section in sections:
        lines += ["", f"{'#' * section.level} {_escape(section.title)}"]
        for block in section.blocks:
            if text := _block(block):
                lines += ["", text]
    lines += ["", f"Pictures and plots: {_escape(pictures)}.", "", _escape(footer), ""]
    return "\n".join(lines)


def _escape(text: str) -> str:
    """Plain text: nothing in it is taken for Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return _escape(block.text)
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Figure | Figures):
        figures = block.figures if isinstance(block, Figures) else [block]
        return "\n".join(f"- plot: {_escape(figure.alt)}" for figure in figures)
    return ""


def _table(table: Table) -> str:
    titles = [f"{_escape(column.title)} {_escape(column.below)}".strip() for column in table.columns]
    lines = [f"**{_escape(table.title)}**", ""] if table.title else []
    lines += [_line(titles), _line(["---:" if column.numeric else "---" for column in table.columns])]
    lines += [_line([_cell(cell, row) for cell in row.cells]) for row in table.rows]
    return "\n".join(lines)


def _cell(cell: Cell, row: Row) -> str:
    text = _escape(cell.text)
    if cell.best:
        return f"**{text}** ★"
    return f"*{text}*" if row.muted and text else text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
