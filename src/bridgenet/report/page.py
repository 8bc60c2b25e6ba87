"""A report as a self-contained HTML page (inline images, no network, readable without scripts), and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup

from bridgenet.imaging.pages import template
from bridgenet.report.blocks import Section

GENERATOR = "bridgenet report"
"""Marks pages of this command."""


def page(title: str, subtitle: str, sections: Sequence[Section], footer: str) -> str:
    """Create the HTML document. Texts are plain, and are escaped here."""
    anchored = [(_anchor(number, section), section) for number, section in enumerate(sections)]
    return template("bridgenet.report", "page.html.j2").render(
        generator=GENERATOR, title=title, subtitle=subtitle, sections=anchored, footer=footer
    )


def markdown(title: str, subtitle: str, sections: Sequence[Section], footer: str, *, pictures: str) -> str:
    """Create the same texts and tables as Markdown. `pictures`: name of the page with the images."""
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
    """A unique anchor for a section's heading."""
    return f"s{number}-{re.sub('[^a-z0-9]+', '-', section.title.lower()).strip('-')}"


def _plain(text: str) -> Markup:
    """Escape plain text for Markdown and HTML."""
    escaped = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text)
    return Markup(escaped.replace("&", "&amp;").replace("<", "&lt;").replace("\n", " "))
