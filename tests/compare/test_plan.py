"""Plans: what stands in them, and all that can be wrong with them."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from bridgenet import UserError
from bridgenet.compare.checks import check_configs, check_data
from bridgenet.compare.job import as_config
from bridgenet.compare.plan import read_plan
from bridgenet.config.resolved import network_config
from bridgenet.config.settings import LossSettings
from bridgenet.model.build import build_network

GOOD = {
    "base": "demo",
    "settings": {"steps": 3, "data": {"size": [32, 48]}, "loss": {"weights": {"edge": 7}}},
    "seeds": [3, 1],
    "reference": "alone",
    "configurations": {
        "bridgenet": None,
        "no-tpp": {"network": {"decoder": {"tpp": False}}},
        "alone": {"network": {"decoder": {"name": "single_task", "width": 16}}, "steps": 5},
    },
}


def written(folder: Path, **changes: object) -> Path:
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **changes}, sort_keys=False), encoding="utf-8")
    return path


def test_settings_come_from_base_then_common_then_own(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path))
    assert (plan.seeds, plan.reference, plan.against, plan.boundaries) == ((3, 1), "alone", "bridgenet", True)
    assert plan.title == "plan"
    whole, part, alone = plan.configs.values()
    assert whole.network.backbone == {"name": "resnet10t", "strides": [2, 4, 8, 16]}
    assert (whole.steps, part.steps, alone.steps) == (3, 3, 5)
    assert "tpp" not in whole.network.decoder and part.network.decoder["tpp"] is False
    assert whole.data.size == (32, 48) and whole.loss.weights == {"edge": 7}
    assert alone.network.decoder == {"name": "single_task", "width": 16}


def test_settings_survive_the_way_to_the_runs_process(tmp_path: Path) -> None:
    for config in read_plan(written(tmp_path)).configs.values():
        assert as_config(config.as_dict()).as_dict() == config.as_dict()


def test_base_beside_the_plan(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("steps: 77\n")
    path = written(tmp_path, base="mine.yaml", settings=None)
    assert read_plan(path).configs["bridgenet"].steps == 77


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": [1]}, r"unknown key seed \(did you mean seeds\?\)"),
        ({"seeds": [1, 1]}, r"seeds is \[1, 1\], expected different whole numbers"),
        ({"seeds": []}, r"seeds is \[\]"),
        ({"seeds": 3}, "seeds is 3"),
        ({"configurations": {}}, "configurations is .*, expected at least one, by name"),
        ({"configurations": {"a/b": None}}, "'a/b' is no name that a folder may have"),
        ({"configurations": {"..": None}}, r"'\.\.' is no name"),
        ({"reference": "alon"}, r"reference: 'alon' is not a configuration \(did you mean alone\?\)"),
        ({"reference": ["alone"]}, r"reference: '\['alone'\]' is not a configuration"),
        ({"benchmark": ["rooms-v1"]}, r"benchmark: '\['rooms-v1'\]' is not one"),
        ({"base": 5}, "base is 5, expected a preset or a YAML file"),
        ({"seeds": [2**70]}, "seeds is .*expected different whole numbers"),
        (
            {"settings": {"steps": datetime.date(2026, 1, 2)}},
            "settings: steps is '2026-01-02', expected a whole number",
        ),
        ({"against": "other"}, "against: 'other' is not a configuration"),
        ({"boundaries": "yes please"}, "boundaries is 'yes please', expected true or false"),
        ({"benchmark": "rooms-v7"}, r"benchmark: 'rooms-v7' is not one \(did you mean rooms-v1\?\)"),
        ({"base": "dem"}, "dem is neither a preset"),
        ({"settings": {"stepps": 3}}, r"settings: unknown key stepps \(did you mean steps\?\)"),
        ({"settings": {"seed": 3}}, "seed is not for a configuration"),
        ({"settings": ["steps"]}, r"\['steps'\] is no group of settings"),
        ({"settings": []}, r"settings: \[\] is no group of settings"),
        ({"configurations": {"alone": False, "bridgenet": None}}, "configurations.alone: False is no group"),
        (
            {"configurations": {"alone": {"network": None}}},
            r"configurations\.alone: network is nothing, expected a group",
        ),
        (
            {"configurations": {"alone": {"steps": 0}}},
            r"configurations\.alone: steps is 0, expected a whole number, at least 1",
        ),
        ({"settings": {"batch_size": 0}}, "settings: batch_size is 0, expected a whole number, at least 1"),
        ({"configurations": {2: None, "alone": None}}, "configurations: 2 is no text, put the name in quotes"),
        ({"configurations": {"alone": None, "Alone": None}}, "'Alone' is there in other letters, too"),
        (
            {"settings": {"network": {"decoder": "multitask"}}},
            r"settings: network\.decoder: 'multitask' is not a decoder",
        ),
        ({"settings": {"network": {"decoder": {"num_stages": 7}}}}, r"network\.decoder\.num_stages is 7, expected 3"),
        (
            {"settings": {"network": {"decoder": {"name": "dpt", "width": 7}}}},
            r"network\.decoder\.width is 7, expected a",
        ),
        ({"settings": {"steps": "many"}}, "settings: steps is 'many', expected a whole number, at least 1"),
    ],
)
def test_mistakes(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        read_plan(written(tmp_path, **changes))


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as found:
        read_plan(written(tmp_path, seeds=3, reference="x", title=["a"], steps=3))
    assert str(found.value).count("plan.yaml: ") == 3


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "benchmarks/plans").glob("*.yaml")), ids=lambda p: p.stem
)
def test_plans_of_this_project(path: Path) -> None:
    """They have three seeds, equal budgets and a network for each configuration."""
    plan = read_plan(path)
    assert len(plan.seeds) >= 3 and plan.benchmark == "rooms-v1"
    assert len({(config.steps, config.batch_size) for config in plan.configs.values()}) == 1
    for config in plan.configs.values():
        with torch.device("meta"):
            build_network(network_config(config))


def test_a_folder_of_the_presets_name_is_not_the_base(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    assert read_plan(written(tmp_path)).configs["bridgenet"].network.backbone.name == "resnet10t"


def test_mistakes_of_all_configurations_are_told_once(tmp_path: Path) -> None:
    """And all mistakes together."""
    others = {**GOOD["configurations"], "alone": {"optimizer": {"lr": "fast"}, "loss": {"weights": {"deph": 1}}}}
    with pytest.raises(UserError) as found:
        read_plan(written(tmp_path, settings={"stepps": 3, "loss": {"weighting": "dwaa"}}, configurations=others))
    lines = str(found.value).splitlines()
    assert len(lines) == 4
    assert all(sum(word in line for line in lines) == 1 for word in ("stepps", "dwaa", "'deph'", "fast"))


def test_data_beside_the_plan(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("title: mine\n")
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "images"))):  # found, and lacks everything
        read_plan(written(tmp_path, settings={"data": "mine.yaml"}))


def test_what_cannot_be_trained_here(tmp_path: Path) -> None:
    wrong = {"small": {"precision": "bfloat16"}, "told": {"trackers": ["nope"]}}
    plan = read_plan(written(tmp_path, reference="good", configurations={"good": None} | wrong))
    with pytest.raises(UserError, match=r"small: .*sides of 64 or more.*\n.*told: trackers: 'nope' is not a tracker"):
        check_configs(plan.configs, ["cpu"])
    with pytest.raises(UserError) as found:
        check_configs(plan.configs, ["cuda:0"])
    assert "small" not in str(found.value)


def test_a_benchmark_is_of_one_layout(tmp_path: Path) -> None:
    configurations = {"alone": {"data": {"name": "pascal"}}, "bridgenet": None}
    with pytest.raises(UserError, match=r"configurations\.alone: data\.name is pascal, but the benchmark is nyud"):
        read_plan(written(tmp_path, benchmark="rooms-v1", configurations=configurations))


def test_data_that_is_not_there_is_told_once(nyud_root: Path, tmp_path: Path) -> None:
    there = {"data": {"root": str(nyud_root), "size": [32, 48], "eval_size": [64, 64]}}
    lacking = {"data": {"root": str(tmp_path)}}
    plan = read_plan(written(tmp_path, reference="a", configurations={"a": there, "b": lacking, "c": lacking}))
    with pytest.raises(UserError, match=r"^configurations\.b: no NYUD-v2 data at ") as found:
        check_data(plan.configs)
    assert str(found.value).count("no NYUD-v2 data") == 1 and "--root, or data.root in the plan" in str(found.value)
    assert check_data({"a": plan.configs["a"]}) == []
    short = replace(plan.configs["a"], loss=LossSettings(weighting="dwa"), steps=1)
    assert [note.partition(":")[0] for note in check_data({"a": plan.configs["a"], "d": short})] == ["d"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {
                "typo": {"network": {"backbone": "resnet9999"}},
                "deep": {"network": {"decoder": {"refine_depth": [1, 2]}}},
                "odd": {"network": {"decoder": {"embed_dim": 7}}},
            },
            r"typo: .*resnet9999.*\n.*deep: refine_depth is \[1, 2\].*\n.*odd: embed_dim is 7",
        ),
        (
            {
                "surgery": {"loss": {"weighting": "pcgrad"}, "compile": True},
                "silent": {"loss": {"weighting": "uncertainty", "weights": {"depth": 0}}},
                "own": {"loss": {"functions": {"depth": "no_such_module:loss"}}},
            },
            r"surgery: compile and .*\n.*silent: loss\.weights\.depth is 0.*\n.*own: .*no_such_module",
        ),
    ],
    ids=["networks", "losses"],
)
def test_parts_that_cannot_be(wrong: dict[str, object], words: str, tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, reference="good", configurations={"good": None} | wrong))
    with pytest.raises(UserError, match=words) as found:
        check_configs(plan.configs, ["cpu"])
    assert "good" not in str(found.value)


def test_plan_of_the_page(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/compare.md").read_text(encoding="utf-8")
    (tmp_path / "plan.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    assert len(read_plan(tmp_path / "plan.yaml").configs) == 4


def test_files_that_are_no_plan(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml does not exist"):
        read_plan(tmp_path / "none.yaml")
    for text, words in (
        ("", "is empty, expected a plan"),
        ("- a", "holds a list, expected a plan"),
        ("a: [", "is not valid YAML"),
        ("seeds: [0]\nconfigurations:\n  x: {}\n  x: {steps: 3}", "x is there twice .*line 4"),
    ):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(UserError, match=words):
            read_plan(tmp_path / "bad.yaml")
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is no text"):
        read_plan(tmp_path / "bad.yaml")
