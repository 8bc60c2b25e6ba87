"""A report as one HTML page that needs nothing beside it: pictures inline, no network, readable without scripts."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Sequence

from PIL import Image

from bridgenet.report.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    File,
    Key,
    Row,
    Section,
    Strip,
    Table,
    Text,
    Tile,
)

GENERATOR = "bridgenet report"
"""Marks a page as ours."""

STYLE = """
:root { color-scheme: light }
* { box-sizing: border-box }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #1d2329; background: #fff;
  max-width: 76rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; overflow-wrap: anywhere }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .5rem; padding-top: .75rem; border-top: 1px solid #d9dee3 }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .25rem }
p { margin: .5rem 0; max-width: 46rem }
.note { color: #57606a; font-size: .875rem }
nav { margin: .75rem 0; font-size: .9rem } nav a { display: inline-block; margin: 0 1rem .25rem 0 }
a { color: #0060a0 }
.box { overflow-x: auto; margin: .75rem 0; max-width: 100% }
table { border-collapse: separate; border-spacing: 0; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal }
caption { text-align: left; font-weight: 600; padding: .25rem .6rem .4rem 0 }
th, td { padding: .35rem .6rem; text-align: left; border-bottom: 1px solid #e4e8ec; vertical-align: top }
th { vertical-align: bottom; font-weight: 600 } th small { display: block; font-weight: 400; color: #57606a }
thead th { border-bottom: 2px solid #b8c0c8 }
tbody th { font-weight: 600; white-space: nowrap; vertical-align: top; position: sticky; left: 0; background: #fff }
td.number, th.number { text-align: right }
td.number { white-space: nowrap }
td.text { min-width: 9rem; max-width: 26rem }
td.best { font-weight: 700; color: #00694b; background: #e3f4ee }
tr.muted > * { color: #666; background: #f5f6f7; font-weight: 400 }
.bar { display: inline-block; width: 7rem; height: .6rem; background: #e9edf1 }
.beside { display: inline-block; min-width: 2.75rem }
.bar i { display: block; height: 100%; background: #0072b2 }
button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; text-align: inherit }
button:hover, button:focus-visible { text-decoration: underline }
figure { margin: .75rem 0; min-width: 0 } img { max-width: 100%; height: auto; display: block }
figcaption { color: #57606a; font-size: .85rem; margin-top: .25rem }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: .5rem 1.25rem }
.wide img { max-width: none }
.strip { margin: 1.25rem 0 } .strip > p { font-weight: 600; font-size: .9rem; margin: 0 0 .35rem }
.tiles { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: .6rem }
.tiles figure { margin: 0 } .tiles img { width: 100% }
.tiles .exact img { image-rendering: pixelated }
.key { display: flex; flex-wrap: wrap; gap: 0 .6rem; align-items: center; margin-top: .15rem; font-size: .78rem; color: #3d454d }
.key span { display: inline-flex; align-items: center; gap: .3rem }
.key b { width: .75rem; height: .75rem; border: 1px solid #8b949e; flex: none }
.key u { width: 5rem; height: .75rem; border: 1px solid #8b949e; flex: none }
footer { margin-top: 3rem; color: #57606a; font-size: .85rem }
@media (max-width: 44rem) {
  body { padding: 1rem .9rem 3rem } .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)) } th, td { padding: .3rem .45rem }
  tbody th { white-space: normal; min-width: 7rem; max-width: 9rem; overflow-wrap: break-word }
  td.text { min-width: 14rem } .bar { width: 4.5rem }
}
@media print { body { max-width: none } .box { overflow: visible } }
"""

# Headings become buttons that sort the rows of the runs; published rows stay where they are, at the end.
SCRIPT = """
document.querySelectorAll("table.sortable thead th").forEach(function (head, column) {
  var table = head.closest("table"), place = Array.prototype.indexOf.call(head.parentNode.children, head);
  var button = document.createElement("button");
  button.type = "button"; button.title = "sort";
  while (head.firstChild) button.appendChild(head.firstChild);
  head.appendChild(button);
  button.addEventListener("click", function () {
    var up = head.getAttribute("aria-sort") !== "ascending", body = table.tBodies[0];
    table.querySelectorAll("thead th").forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    var key = function (row) {
      var cell = row.children[place], value = cell.getAttribute("data-value");
      return value === null ? cell.textContent : parseFloat(value);
    };
    Array.prototype.slice.call(body.rows).sort(function (a, b) {
      if (a.className !== b.className) return a.className === "muted" ? 1 : -1;
      var x = key(a), y = key(b);
      if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
      var order = typeof x === "number" ? x - y : x.localeCompare(y);
      return up ? order : -order;
    }).forEach(function (row) { body.appendChild(row); });
  });
});
"""


def page(title: str, subtitle: str, sections: Sequence[Section], footer: str) -> str:
    """The whole document. All texts are plain and escaped here."""
    anchors = _anchors(sections)
    links = " ".join(
        f'<a href="#{anchor}">{_escape(section.title)}</a>'
        for section, anchor in zip(sections, anchors)
        if section.level == 2
    )
    body = "\n".join(_section(section, anchor) for section, anchor in zip(sections, anchors))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="{GENERATOR}">
<title>{_escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{_escape(title)}</h1>
<p>{_escape(subtitle)}</p>
<nav aria-label="Sections">{links}</nav>
</header>
<main>
{body}
</main>
<footer>{_escape(footer)}</footer>
<script>{SCRIPT}</script>
</body>
</html>
"""


def inline(picture: Image.Image, *, photograph: bool = False) -> str:
    """A picture as a data URI: PNG, or JPEG for a photograph, where a tenth of the size shows the same."""
    buffer = io.BytesIO()
    if photograph:
        picture.convert("RGB").save(buffer, format="JPEG", quality=88)
    else:
        picture.save(buffer, format="PNG", optimize=True)
    kind = "jpeg" if photograph else "png"
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()


def _escape(text: str) -> str:
    return html.escape(text, quote=True)


def _anchors(sections: Sequence[Section]) -> list[str]:
    """A name for each section's heading that no other has."""
    return [f"s{number}-{re.sub('[^a-z0-9]+', '-', s.title.lower()).strip('-')}" for number, s in enumerate(sections)]


def _section(section: Section, anchor: str) -> str:
    blocks = "\n".join(_block(block) for block in section.blocks)
    return f'<h{section.level} id="{anchor}">{_escape(section.title)}</h{section.level}>\n{blocks}'


def _block(block: Block) -> str:
    if isinstance(block, Text):
        note = ' class="note"' if block.note else ""
        return f"<p{note}>{_escape(block.text)}</p>"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Figure):
        return _figure(block)
    if isinstance(block, Figures):
        return f'<div class="figures">{"".join(map(_figure, block.figures))}</div>'
    if isinstance(block, Strip):
        tiles = "".join(map(_tile, block.tiles))
        return f'<div class="strip"><p>{_escape(block.caption)}</p><div class="tiles">{tiles}</div></div>'
    return _file(block)


def _table(table: Table) -> str:
    caption = f"<caption>{_escape(table.title)}</caption>" if table.title else ""
    head = "".join(map(_heading, table.columns))
    body = "\n".join(_row(row, table.columns) for row in table.rows)
    sortable = ' class="sortable"' if len(table.rows) > 1 else ""
    name = _escape(table.title or "table")
    return (  # scrolls by itself, and so by the keyboard too
        f'<div class="box" tabindex="0" role="region" aria-label="{name}"><table{sortable}>{caption}\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _heading(column: Column) -> str:
    below = f"<small>{_escape(column.below)}</small>" if column.below else ""
    number = ' class="number"' if column.numeric else ""
    return f'<th scope="col"{number}>{_escape(column.title)}{below}</th>'


def _row(row: Row, columns: Sequence[Column]) -> str:
    first, *others = row.cells
    cells = "".join(_cell(cell, column) for cell, column in zip(others, columns[1:]))
    muted = ' class="muted"' if row.muted else ""
    return f'<tr{muted}><th scope="row">{_escape(first.text)}</th>{cells}</tr>'


def _cell(cell: Cell, column: Column) -> str:
    names = ["number" if column.numeric else "text"] + (["best"] if cell.best else [])
    value = f' data-value="{cell.value!r}"' if cell.value is not None and cell.value == cell.value else ""
    star = '<span title="best of these runs">★ </span>' if cell.best else ""
    bar = "" if cell.share is None else f'<span class="bar"><i style="width:{100 * cell.share:.1f}%"></i></span>'
    text = _escape(cell.text) if cell.share is None else f'<span class="beside">{_escape(cell.text)}</span>'
    return f'<td class="{" ".join(names)}"{value}>{star}{bar}{text}</td>'


def _figure(figure: Figure) -> str:
    caption = f"<figcaption>{_escape(figure.caption)}</figcaption>" if figure.caption else ""
    source, alt = inline(figure.picture), _escape(figure.alt)
    width = "" if figure.width is None else f' width="{figure.width}"'
    image = f'<img src="{source}" alt="{alt}"{width}>'
    if figure.width is not None and figure.width > 600:  # text in it would be too small on a phone
        image = f'<div class="box wide" tabindex="0" role="region" aria-label="{alt}">{image}</div>'
    return f"<figure>{image}{caption}</figure>"


def _tile(tile: Tile) -> str:
    exact = "" if tile.photograph else ' class="exact"'
    source = inline(tile.picture, photograph=tile.photograph)
    return (
        f'<figure{exact}><img src="{source}" alt="{_escape(tile.alt)}">'
        f"<figcaption>{_escape(tile.title)}{_key(tile.key) if tile.key else ''}</figcaption></figure>"
    )


def _key(key: Key) -> str:
    swatch = '<b style="background:{}"></b>'
    parts = [f"<span>{swatch.format(colour) if colour else ''}{_escape(name)}</span>" for colour, name in key.swatches]
    if key.ramp:
        low, high = map(_escape, key.ends)
        gradient = f"linear-gradient(to right, {', '.join(key.ramp)})"
        parts.insert(0, f'<span>{low}<u style="background:{gradient}"></u>{high}</span>')
    return f'<span class="key">{"".join(parts)}</span>'


def _file(file: File) -> str:
    content = base64.b64encode(file.content.encode()).decode()
    name = _escape(file.name)
    return f'<p><a download="{name}" href="data:text/csv;charset=utf-8;base64,{content}">{_escape(file.text)}</a></p>'
