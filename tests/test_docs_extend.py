"""The page `docs/extend.md`, run as it stands: its files written, its commands and Python run, in the order of the page."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgenet import tasks
from bridgenet.cli.main import run
from bridgenet.tasks import registry

PAGE = (Path(__file__).parent.parent / "docs/extend.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL)
FEWER = ["--steps", "2", "--evaluate-every", "2", "--log-images", "0", "--trackers", "[]", "--data.workers", "0"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with the page's modules importable and forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "mine").mkdir()
    yield tmp_path
    forget()


def forget() -> None:
    """What a process of its own would not know: the page's modules and tasks."""
    for name in set(tasks.names()) - tasks.BUILT_IN:
        del registry._TASKS[name]
    for name in [name for name in sys.modules if name == "mine" or name.startswith("mine.")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def test_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = 0
    for language, text in BLOCKS:
        if match := re.match(r"# (\S+\.(?:py|yaml))\n", text):
            (folder / match[1]).write_text(text, encoding="utf-8")
        elif language == "bash":
            for line in text.replace("\\\n", " ").splitlines():
                forget()  # as in a process of its own
                words = shlex.split(line)
                assert words[0] == "bridgenet"
                if words[1] == "train":
                    words += FEWER
                elif words[1] == "evaluate":
                    words += ["--boundary-workers", "1"]
                assert run([*words[1:], *(() if words[1] == "data" else ("--device", "cpu"))]) == 0, (
                    f"{line}\n{capsys.readouterr().err}"
                )
                commands += 1
        else:
            exec(text, {})
    assert commands == 10
    assert (folder / "predictions/0004/depth.npy").is_file()
    assert "rmse_feet" in (folder / "runs/logs/metrics.jsonl").read_text()


def test_decoder_is_as_short_as_the_page_says() -> None:
    (decoder,) = (text for _, text in BLOCKS if "class SumDecoder" in text)
    assert len(decoder.splitlines()) < 60
