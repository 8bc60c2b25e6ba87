"""Settings that nobody means: null, numbers that are none, and numbers far beyond any machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bridgenet import UserError, config
from bridgenet.config.loading import LEAVES
from bridgenet.config.settings import NetworkSettings
from bridgenet.model.decoders import default_options

MAY_BE_NULL = {
    "init_from",
    "network.backbone_checkpoint",
    *(f"data.{name}" for name in ("weights", "root", "tasks", "size", "eval_size", "shrink", "cache_folder")),
}
ALL = config.RunConfig().as_dict()


def read(tmp_path: Path, key: str, value: Any) -> config.RunConfig:
    """The configuration of a file with this setting only."""
    for name in reversed(key.split(".")):
        value = {name: value}
    path = tmp_path / "my.yaml"
    path.write_text(yaml.safe_dump(value))
    return config.load(path)


@pytest.mark.parametrize("key", [*LEAVES, "network", "data", "optimizer", "loss"])
def test_null_only_where_it_has_a_meaning(tmp_path: Path, key: str) -> None:
    if key in MAY_BE_NULL:
        read(tmp_path, key, None)
        return
    with pytest.raises(UserError, match=f"{key} is nothing, expected "):
        read(tmp_path, key, None)


@pytest.mark.parametrize("option", sorted(set(default_options("bridgenet")) - {"base_divisor"}))
@pytest.mark.parametrize("place", ["decoder", "decoder_kwargs"])
@pytest.mark.filterwarnings("ignore:.*decoder_kwargs")
def test_no_null_for_an_option_of_the_decoder(tmp_path: Path, option: str, place: str) -> None:
    with pytest.raises(UserError, match=f"network.decoder.{option} is nothing, expected "):
        read(tmp_path, f"network.{place}.{option}", None)


@pytest.mark.parametrize("part", ["backbone", "decoder"])
@pytest.mark.filterwarnings("ignore:.*_kwargs")
def test_null_with_arguments_is_no_default(tmp_path: Path, part: str) -> None:
    with pytest.raises(UserError, match=f"network.{part} is nothing, expected a name"):
        read(tmp_path, "network", {part: None, f"{part}_kwargs": {"depth": 2}})


def numbers() -> list[str]:
    """The settings that are numbers, and some with numbers inside."""
    inside = ["loss.weights.depth", "network.backbone.depth", "network.backbone.mlp.deep"]
    found = [key for key in LEAVES if isinstance(_default(key), int | float) and not isinstance(_default(key), bool)]
    options = [name for name, value in default_options("bridgenet").items() if type(value) in (int, float)]
    return [*found, *inside, *(f"network.decoder.{name}" for name in options)]


def _default(key: str) -> Any:
    value: Any = ALL
    for name in key.split("."):
        value = value[name]
    return value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 10**22, 1e30])
@pytest.mark.parametrize("key", numbers())
def test_no_absurd_number(tmp_path: Path, key: str, value: float) -> None:
    if key.startswith("network.backbone.") and value == -1:
        return  # an argument of timm's may mean it
    with pytest.raises(UserError, match=rf"my\.yaml: {key} is .*, expected "):
        read(tmp_path, key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.size", [100_000, 100_000]),
        ("data.eval_size", [1, 32768]),
        ("data.size", [0, 64]),
        ("data.weights", [1.0, 0.0]),
        ("data.weights", [-1.0]),
        ("data.shrink", 10**9),
        ("data.workers", 10**5),
        ("network.decoder.refine_depth", [1, 2, 10**6]),
        ("network.decoder.dilations", [1, 10**6]),
        ("optimizer.betas", [0.9, 1.0]),
        ("optimizer.layer_decay", 0),
        ("optimizer.layer_decay", 1.01),
        ("optimizer.layer_decay", -0.5),
        ("data.root", ""),
        ("data.cache_folder", "a\0b"),
        ("network.backbone_checkpoint", ""),
    ],
)
def test_bounds(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"{key}(\.\d)? is .*, expected "):
        read(tmp_path, key, value)


@pytest.mark.parametrize("value", [1e-9, 0.65, 1.0])
def test_layer_decay_is_above_0_and_at_most_1(tmp_path: Path, value: float) -> None:
    assert read(tmp_path, "optimizer.layer_decay", value).optimizer.layer_decay == value


def test_arguments_of_custom_parts_are_theirs(tmp_path: Path) -> None:
    settings = read(tmp_path, "network.backbone", {"name": "mine.parts:Backbone", "words": 10**7, "cache": None})
    assert settings.network.backbone["words"] == 10**7
    with pytest.raises(UserError, match=r"network\.backbone\.rates\.1 is nan, expected a finite number"):
        read(tmp_path, "network.backbone", {"name": "mine.parts:Backbone", "rates": [0.0, float("nan")]})


def test_large_but_possible() -> None:
    flags = {"--seed": 2**63 - 1, "--steps": 10**8, "--data.size": [32, 32736], "--network.decoder.embed_dim": 4096}
    settings = config.load(None, [word for name, value in flags.items() for word in (name, str(value))])
    assert settings.seed == 2**63 - 1
    assert isinstance(settings.network, NetworkSettings)


def test_a_task_given_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.tasks names depth twice"):
        read(tmp_path, "data.tasks", ["depth", "semseg", "depth"])


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 300 + "/y", "x" * 300 + ".yaml", "a\0b", "1" * 300])
def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"data\.name is .*, expected "):
        read(tmp_path, "data.name", name)


def test_a_path_of_digits_is_text() -> None:
    """Flags of paths are not read as YAML."""
    settings = config.load(None, ["--data.root", "2024", "--data.cache_folder", "1e5"])
    assert (settings.data.root, settings.data.cache_folder) == ("2024", "1e5")
