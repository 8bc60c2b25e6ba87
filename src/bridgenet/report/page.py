"""A report as one HTML page that needs nothing beside it (pictures inline, no network, readable without scripts), and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup

from bridgenet.imaging.pages import template
from bridgenet.report.blocks import Section

GENERATOR = "bridgenet report"
"""Marks a page as ours."""


def page(title: str, subtitle: str, sections: Sequence[Section], footer: str) -> str:
    """The whole HTML document. All texts are plain, and escaped here."""
    anchored = [(_anchor(number, section), section) for number, section in enumerate(sections)]
    return template("bridgenet.report", "page.html.j2").render(
        generator=GENERATOR, title=title, subtitle=subtitle, sections=anchored, footer=footer
    )


def markdown(title: str, subtitle: str, sections: Sequence[Section], footer: str, *, pictures: str) -> str:
    """The same texts and tables as Markdown. `pictures`: name of the page that has the pictures."""
    return template("bridgenet.report", "page.md.j2").render(
        generator=GENERATOR,
        title=title,
        subtitle=subtitle,
        sections=sections,
        footer=footer,
        pictures=pictures,
        plain=_plain,
    )


def _anchor(number: int, section: Section) -> str:
    """A name for a section's heading that no other has."""
    return f"s{number}-{re.sub('[^a-z0-9]+', '-', section.title.lower()).strip('-')}"


def _plain(text: str) -> Markup:
    """Text in Markdown: nothing in it is taken for Markdown or HTML."""
    escaped = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text)
    return Markup(escaped.replace("&", "&amp;").replace("<", "&lt;").replace("\n", " "))
