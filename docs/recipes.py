"""Writes docs/recipes.md from the cards at the head of the presets: python docs/recipes.py"""

from __future__ import annotations

from pathlib import Path

import yaml

HERE = Path(__file__).parent
PRESETS = HERE.parent / "src/bridgenet/config/presets"
INTRODUCTION = """# Recipes

A preset says only what differs from the defaults (`bridgenet train NAME --print-config` prints all). Cards and settings as they stand in
the package:
"""


def page() -> str:
    """All presets: the card as a table, the settings as YAML."""
    parts = [INTRODUCTION]
    for path in sorted(PRESETS.glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        number = next(number for number, line in enumerate(lines) if not line.startswith("#"))
        title, *card = (line.removeprefix("#") for line in lines[:number])
        parts += [f"## {path.stem}\n", f"{title.strip()}\n", "```text", *(line[1:] for line in card), "```\n"]
        settings = "\n".join(lines[number:])
        yaml.safe_load(settings)
        parts += ["```yaml", settings, "```\n"]
    return "\n".join(parts)


if __name__ == "__main__":
    (HERE / "recipes.md").write_text(page(), encoding="utf-8")
