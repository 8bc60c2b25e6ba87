"""Puts tables into docs/results.md, between their markers: python docs/results.py [NAME=FOLDER of bridgenet compare …]

Published rows come from the package, a comparison's tables from its comparison.md, a plot of it into docs/figures.
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridgenet import tasks
from bridgenet.report.tables import published
from bridgenet.report.terms import heading, number

HERE = Path(__file__).parent
DATA_SETS = {
    "nyud": "NYUD-v2 (795 training and 654 test images; not the depth benchmark's protocol)",
    "pascal": "PASCAL-Context (4998 training and 5105 test images, boundaries on 2498)",
}
PLOTS = {"loss-weighting": -1}
"""Which plot of a comparison is shown: against GMAC (the first), or training time (the last) where the networks are one."""


def published_tables() -> str:
    """Other people's numbers, each with its source."""
    parts = []
    for name, title in DATA_SETS.items():
        rows = published()[name]
        shown = tasks.in_order({task for row in rows for task in row["scores"]})
        heads = {task: _headline(task, rows) for task in shown}
        titles = [f"{tasks.get(task).title} {heading(head)}" for task, head in heads.items()]
        lines = [f"**{title}**", "", f"| | {' | '.join(titles)} | source |", "|---" * (len(shown) + 2) + "|"]
        for row in rows:
            cells = [_score(row["scores"].get(task, {}), head) for task, head in heads.items()]
            lines.append(f"| {row['name']} | {' | '.join(cells)} | {row['source']} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _headline(task: str, rows: Sequence[dict[str, Any]]) -> tasks.Headline:
    """The score that most rows have."""
    return tasks.get(task).headline_in(
        {key: value for row in rows for key, value in row["scores"].get(task, {}).items()}
    )


def _score(scores: dict[str, float], head: tasks.Headline) -> str:
    if (value := scores.get(head.key)) is None:
        return " ".join(["–", *(f"({key} {other:.5f})" for key, other in scores.items())])
    return number(head, value)


def comparison(name: str, folder: Path) -> str:
    """The tables of a comparison as `bridgenet compare` wrote them, one heading deeper, and a plot."""
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    plots = re.findall(
        r'<img [^>]*src="data:image/png;base64,([^"]+)"', (folder / "comparison.html").read_text("utf-8")
    )
    (HERE / f"figures/results-{name}.png").write_bytes(base64.b64decode(plots[PLOTS.get(name, 0)]))
    body = text[text.index("\n## ") : text.index("\nPictures and plots:")].replace("\n## ", "\n### ")
    plots_told = re.compile(r"\n### Quality against cost\n.*?(?=\n### )", re.DOTALL)
    shown = f"\n![Quality against cost](figures/results-{name}.png)\n"
    return plots_told.sub(lambda _: shown, body).strip()


def with_block(text: str, name: str, block: str) -> str:
    """The page with what lies between the markers of `name` replaced."""
    found = re.subn(
        rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", lambda m: f"{m[1]}\n{block}\n\n{m[2]}", text, flags=re.S
    )
    if found[1] != 1:
        raise SystemExit(f"docs/results.md has {found[1]} places for {name}, expected 1")
    return found[0]


def main(arguments: list[str]) -> None:
    """The page, written anew."""
    page = HERE / "results.md"
    text = with_block(page.read_text(encoding="utf-8"), "published", published_tables())
    for argument in arguments:
        name, _, folder = argument.partition("=")
        text = with_block(text, name, comparison(name, Path(folder)))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
