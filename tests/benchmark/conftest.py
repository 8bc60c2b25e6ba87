"""A network so small that its cases take milliseconds, measured in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridgenet.benchmark import cost
from bridgenet.benchmark.cases import Case, Size, published_size
from bridgenet.benchmark.cost import Cost
from bridgenet.config.settings import RunConfig
from tests.training.tiny import tiny_config


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Its settings as a file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_config(tmp_path).as_dict()))
    return path


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Inference at 32×32, and matrices of 32×32 for G."""
    return Case(
        kind="inference", network="tiny", config=tiny_config(tmp_path), size=(32, 32), runs=2, warm_up=1, side=32
    )


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases are measured in this process, whose allocator is left alone."""
    monkeypatch.setenv("BRIDGENET_ALLOCATOR", "system")

    def measure(work: Callable[[Any], dict[str, Any]], argument: Any) -> dict[str, Any]:
        return work(argument)

    monkeypatch.setattr("bridgenet.benchmark.results.isolated", measure)
    monkeypatch.setattr("bridgenet.benchmark.inference.count", counted_once)


COUNTED: dict[str, Cost] = {}


def counted_once(config: RunConfig, size: Size | None = None, num_tasks: int | None = None) -> Cost:
    """:func:`bridgenet.benchmark.cost.count`, which takes longer than measuring here, computed once a network."""
    key = repr((cost.description(config, num_tasks), size or published_size(config)))
    if key not in COUNTED:
        COUNTED[key] = cost.count(config, size, num_tasks)
    return COUNTED[key]
