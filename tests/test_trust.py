"""Code that files name: what a folder from someone else may not run, and what one's own training may."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import bridgenet
from bridgenet import UserError, trust
from bridgenet.cli.main import run
from bridgenet.config import load
from bridgenet.trust import is_remembered, remember
from tests.model.networks import build, config
from tests.test_extensions import forget, mine, train  # noqa: F401

EVIL = "open('PWNED', 'w').close()\nimport torch\nclass Decoder(torch.nn.Module): pass\n"


@pytest.fixture
def downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder from someone else, as the current folder: a run whose weights and settings name a module beside them."""
    folder = tmp_path / "downloaded"
    folder.mkdir()
    (folder / "mine_evil.py").write_text(EVIL)
    described = config(decoder="mine_evil:Decoder")
    for name in ("best", "last"):
        bridgenet.save(build(), folder / f"{name}.safetensors", config=described, information={"step": 1})
    (folder / "config.yaml").write_text("steps: 1\n")
    (folder / "photo.png").write_bytes(b"")
    monkeypatch.chdir(folder)
    yield folder
    assert not (folder / "PWNED").exists() and "mine_evil" not in sys.modules
    forget()


@pytest.mark.parametrize(
    "command",
    [["predict", ".", "photo.png"], ["predict", "best.safetensors", "photo.png"], ["evaluate", "."], ["export", ".", "x.pt2"],
     ["convert", ".", "x.safetensors"]],
)  # fmt: skip
def test_weights_in_a_folder_with_settings_run_nothing(
    downloaded: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command) == 2
    assert "names code of the module mine_evil" in capsys.readouterr().err


def test_inspect_runs_nothing(downloaded: Path) -> None:
    assert run(["inspect", "."]) != 0


SETTINGS = (
    {"network": {"decoder": "mine_evil:Decoder"}}, {"network": {"backbone": {"name": "mine_evil.x.Backbone"}}},
    {"metrics": {"depth": "mine_evil:Metric"}}, {"loss": {"functions": {"depth": "mine_evil:loss"}}}, {"data": "mine_evil:Rooms"},
    {"data": {"name": ["mine_evil:Rooms", "other.yaml"]}}, {"data": "data.yaml"}, {"data": {"name": ["nyud", "data.yaml"]}},
)  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("command", [["train", ".", "--resume"], ["train", ".", "--out", "new"], ["evaluate", "."]])
def test_settings_of_a_run_run_nothing(
    downloaded: Path, settings: dict[str, object], command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (downloaded / "images").mkdir()
    tasks = {"height": {"kind": "regression", "folder": "images", "loss": "mine_evil:loss"}}
    (downloaded / "data.yaml").write_text(yaml.safe_dump({"tasks": tasks}))
    (downloaded / "config.yaml").write_text(yaml.safe_dump(settings))
    assert run([*command, "--steps", "2"]) == 2
    assert "names code of the module mine_evil" in capsys.readouterr().err


@pytest.mark.parametrize("how", [[], ["-m"]])
def test_the_current_folder_is_not_on_the_path(downloaded: Path, how: list[str]) -> None:
    """Not even modules that libraries try to import are found in a folder that was downloaded."""
    for name in ("triton", "onnxruntime", "gradio", "yaml", "numpy", "torch", "timm", "huggingface_hub"):
        (downloaded / f"{name}.py").write_text(EVIL)
    start = (
        [*how, "bridgenet"]
        if how
        else ["-c", "import sys; sys.path.pop(0); from bridgenet.__main__ import main; main()"]
    )
    source = str(Path(bridgenet.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, *start, "inspect", "best.safetensors"],
        env=os.environ | {"PYTHONPATH": source},
        capture_output=True,
        text=True,
    )
    assert "mine_evil" in done.stdout + done.stderr, done.stderr
    assert not (downloaded / "PWNED").exists()


def test_ones_own_run_is_loaded_wherever_it_lies(mine: Path, tmp_path: Path) -> None:  # noqa: F811
    assert train(mine, network__decoder="mine_parts:Decoder", loss__functions={"depth": "mine_parts:loss"}) == 0
    forget()
    moved = (mine / "run").rename(tmp_path / "moved")
    assert type(bridgenet.load_network(moved).decoder).__name__ == "Decoder"
    forget()
    assert load(moved).network.decoder.name == "mine_parts:Decoder"
    forget()
    with pytest.raises(UserError, match="names code of the module mine_parts"):
        bridgenet.load(moved / "best.safetensors")


def test_a_module_of_the_same_name_elsewhere_is_another(
    mine: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert train(mine, network__decoder="mine_parts:Decoder") == 0
    forget()
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine_parts.py").write_text(EVIL)
    monkeypatch.chdir(other)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(mine)])
    for source in (mine / "run", str(mine / "run")):
        with pytest.raises(UserError, match="names code of the module mine_parts"):
            bridgenet.load(source)
    with pytest.raises(UserError, match="names code of the module mine_parts"):
        load(mine / "run")
    assert not (other / "PWNED").exists()


def test_notes_cannot_be_imitated_by_what_is_in_the_folder(mine: Path, tmp_path: Path) -> None:  # noqa: F811
    assert not is_remembered("mine_parts") and not is_remembered("not.there")
    remember(["mine_parts", "not_there"])
    assert is_remembered("mine_parts") and not is_remembered("not_there")
    place = [str((mine / "mine_parts.py").resolve())]
    (note,) = [path for path in trust.state_folder().rglob("*.json") if json.loads(path.read_text())["place"] == place]
    note.write_text("{}")
    assert not is_remembered("mine_parts")


def test_a_training_without_a_place_for_notes_says_so(
    mine: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(mine / "mine_parts.py"))
    assert train(mine, network__decoder="mine_parts:Decoder") == 0
    assert re.search("it cannot be noted that you have run .*mine_parts", capsys.readouterr().err)
