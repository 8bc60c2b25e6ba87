"""The pages and the README: their commands are ones that there are, their links lead somewhere, what is generated is up to date."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from bridgenet import config as configuration
from bridgenet.cli.main import build_parser, split_settings
from bridgenet.config.loading import KEYS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def commands(page: Path) -> list[str]:
    """The command lines of a page: what follows `bridgenet` or `-m bridgenet`, with continued lines joined."""
    found = []
    for language, text in FENCE.findall(page.read_text(encoding="utf-8")):
        if language not in ("", "bash"):
            continue
        for line in text.replace("\\\n", " ").splitlines():
            if match := re.match(r"(?:torchrun .* -m )?bridgenet (.*)", line):
                found.append(re.sub(r" > \S+", "", match[1]))  # where the output goes is the shell's matter
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_are_understood(page: Path) -> None:
    parser = build_parser()
    for command in commands(page):
        words = shlex.split(command, comments=True)
        takes_settings = words[0] in ("train", "evaluate")
        own, settings = split_settings(words) if takes_settings else (words, [])
        options, unknown = parser.parse_known_args(own)
        assert not unknown, command
        names = [word[2:].partition("=")[0].replace("-", "_") for word in settings if word.startswith("--")]
        for name in names:
            known = name in KEYS or any(name.startswith(f"{key}.") for key in KEYS)
            assert known or name == "data", command
        if options.command == "train" and re.match(r"(nyud|pascal|cityscapes|demo)", options.config):
            assert options.config in configuration.presets(), command


def test_there_are_commands() -> None:
    assert len(commands(ROOT / "README.md")) > 20
    assert all(len(commands(ROOT / f"docs/{name}.md")) > 3 for name in ("index", "train", "evaluate", "own-data"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"[\w-]+\.md", text))
    assert listed == {page.name for page in PAGES} - {"README.md"}
    assert yaml.safe_load(text)["site_name"] == "BridgeNet"


def test_recipes_are_those_of_the_presets() -> None:
    assert load("recipes").page() == (ROOT / "docs/recipes.md").read_text(encoding="utf-8"), (
        "python docs/recipes.py writes the page anew"
    )


def test_published_results_are_those_of_the_package() -> None:
    page, results = (ROOT / "docs/results.md").read_text(encoding="utf-8"), load("results")
    assert results.with_block(page, "published", results.published_tables()) == page, (
        "python docs/results.py writes the tables anew"
    )


def test_roles_of_docstrings_become_code() -> None:
    html = "see :func:<code>bridgenet.load</code> and <code>x</code>"
    assert load("hooks").on_page_content(html) == "see <code>bridgenet.load</code> and <code>x</code>"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / f"docs/{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
