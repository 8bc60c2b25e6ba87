"""Configurations that are damaged, or are none: the error names the file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from bridgenet import UserError, config
from bridgenet.config.loading import MOST_BYTES
from bridgenet.training.folder import check_settings


@pytest.mark.parametrize("text", ["", "steps: 5\nbatch_size: 1", "- 1\n", "false\n", "steps: [\n", "steps: null\n"])
def test_a_run_whose_settings_are_damaged_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=re.escape(str(file))):
        config.load(tmp_path)


@pytest.mark.parametrize("cut", [1, 2, 15, 200, 600])
def test_half_of_a_runs_settings_are_not_resumed(tmp_path: Path, cut: int) -> None:
    """Half a file is valid YAML in many places, and the defaults would take the place of what is lost."""
    settings = config.RunConfig(steps=7)
    file = tmp_path / "config.yaml"
    whole = yaml.safe_dump(settings.as_dict(), sort_keys=False)
    file.write_text(whole)
    check_settings(settings, tmp_path)
    file.write_text(whole[:-cut])
    with pytest.raises(UserError, match=re.escape(str(file))):
        check_settings(settings, tmp_path)
    file.write_text(whole[:-cut].rpartition("\n")[0] + "\n")
    with pytest.raises(UserError, match=re.escape(str(file))):
        check_settings(settings, tmp_path)


@pytest.mark.parametrize("text", ["false", "0", "''", "[]", "a: &a [*a]", "a: " + "[" * 3000])
def test_what_is_no_mapping_is_no_default(tmp_path: Path, text: str) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=re.escape(str(file))):
        config.load(file)
    file.write_text("# nothing yet\n")
    assert config.load(file) == config.RunConfig()


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    with file.open("wb") as opened:
        opened.truncate(MOST_BYTES + 1)
    with pytest.raises(UserError, match=r"weights\.safetensors has 10000001 bytes, expected a YAML file"):
        config.load(file)
