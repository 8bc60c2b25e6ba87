"""The folder of a run: one writer, and what a process that was killed leaves in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridgenet import UserError
from bridgenet.checkpoints import LAST, read_information
from bridgenet.system.locks import LOCK, only_writer
from bridgenet.training.run import train
from tests.training.tiny import tiny_config


@pytest.mark.parametrize("flags", [{}, {"resume": True}, {"overwrite": True}])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_run_that_another_process_writes_is_left_alone(
    nyud_root: Path, tmp_path: Path, flags: dict, is_there: bool
) -> None:
    config, out = tiny_config(nyud_root, steps=1), tmp_path / "run"
    if is_there:
        train(config, out, device="cpu")
    before = {path: path.read_bytes() for path in out.rglob("*")}
    with only_writer(out), pytest.raises(UserError, match="is written by process"):
        train(config, out, device="cpu", **flags)
    assert {path: path.read_bytes() for path in out.rglob("*")} == before


def test_a_missing_file_of_the_backbone_names_the_setting(nyud_root: Path, tmp_path: Path) -> None:
    config = tiny_config(nyud_root, steps=1)
    for name in ("none.pth", "x" * 5000):
        config.network.backbone_checkpoint = name
        with pytest.raises(UserError, match=r"network\.backbone_checkpoint: "):
            train(config, tmp_path / "run", device="cpu")


@pytest.mark.parametrize("flags", [{}, {"resume": True}, {"overwrite": True}])
@pytest.mark.parametrize("left", [[".config.yaml.partial-123"], [LOCK], [LOCK, ".config.yaml.partial-99999999-00ff"]])
def test_a_folder_killed_before_it_had_settings_starts_anew(
    nyud_root: Path, tmp_path: Path, flags: dict, left: list[str]
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    for name in left:
        (out / name).touch()
    train(tiny_config(nyud_root, steps=1), out, device="cpu", **flags)
    assert read_information(out / LAST)["step"] == 1
    assert not list(out.glob(".*"))


def test_leftovers_of_a_killed_save_are_cleared_on_resuming(nyud_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(tiny_config(nyud_root, steps=1), out, device="cpu")
    for name in (".last.safetensors.partial-99999999", ".best.safetensors.partial-123-00ff", LOCK):
        (out / name).touch()
    with pytest.raises(UserError, match="Use --resume to continue"):
        train(tiny_config(nyud_root, steps=2), out, device="cpu")
    train(tiny_config(nyud_root, steps=2), out, resume=True, device="cpu")
    assert not list(out.glob(".*"))
