"""A report as one HTML page that needs nothing beside it: pictures inline, no network, readable without scripts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bridgenet.imaging.html import template
from bridgenet.report.blocks import Section

GENERATOR = "bridgenet report"
"""Marks a page as ours."""


def page(title: str, subtitle: str, sections: Sequence[Section], footer: str) -> str:
    """The whole document. All texts are plain, and escaped here."""
    anchored = [(_anchor(number, section), section) for number, section in enumerate(sections)]
    return template("bridgenet.report", "page.html.j2").render(
        generator=GENERATOR, title=title, subtitle=subtitle, sections=anchored, footer=footer
    )


def _anchor(number: int, section: Section) -> str:
    """A name for a section's heading that no other has."""
    return f"s{number}-{re.sub('[^a-z0-9]+', '-', section.title.lower()).strip('-')}"
