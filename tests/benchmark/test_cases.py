"""Which cases a command's options make."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridgenet import UserError
from bridgenet.benchmark.cases import Case, grid, read_way
from bridgenet.config.resolved import network_size


def test_grid_has_every_combination(tiny: Path) -> None:
    cases = grid(
        "inference",
        [str(tiny), "nyud-vit-base"],
        precisions=["float32", "bfloat16"],
        ways=["plain", "optimised", "plain"],
        batches=[1, 8],
        runs=3,
    )
    assert len({case.words for case in cases}) == len(cases) == 2 * 2 * 2 * 2
    assert {case.size for case in cases} == {(32, 32), (448, 576)}
    assert {case.runs for case in cases} == {3}
    assert cases[0].words == f"{tiny}, cpu, float32, plain, 32×32, batch 1"


def test_sizes_that_are_given_replace_the_networks_own(tiny: Path) -> None:
    assert [case.size for case in grid("inference", [str(tiny)], sizes=[(64, 32), (16, 16)])] == [(64, 32), (16, 16)]


def test_ways() -> None:
    assert read_way("inference", "compiled+plain") == "plain+compiled"
    assert read_way("training", "optimised+checkpointed") == "checkpointed"
    assert read_way("training", "optimised") == "optimised"
    with pytest.raises(UserError, match="'checkpointed' is not a way of inference"):
        read_way("inference", "checkpointed")


def test_flags_of_a_way(case: Case) -> None:
    assert (case.is_plain, case.is_compiled, case.is_checkpointed) == (False, False, False)
    both = grid("training", ["demo"], ways=["compiled+checkpointed"])[0]
    assert (both.is_plain, both.is_compiled, both.is_checkpointed) == (False, True, True)


def test_unknown_network() -> None:
    with pytest.raises(UserError, match="nyud-vit-larg is neither a preset"):
        grid("inference", ["nyud-vit-larg"])


def test_as_json(case: Case) -> None:
    told = json.loads(json.dumps(case.as_dict()))
    assert told["size"] == [32, 32] and told["config"]["network"]["backbone"] == {"name": "test_resnet"}


def test_published_size(case: Case) -> None:
    assert network_size(case.config) == (32, 32)
    assert network_size(grid("inference", ["pascal-vit-base"])[0].config) == (512, 512)
