"""A network so small that its cases take milliseconds, measured in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridgenet.benchmark.cases import Case
from bridgenet.benchmark.cost import Cost
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


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting takes longer than measuring here."""

    def count(config: Any, size: tuple[int, int], num_tasks: int | None) -> Cost:
        return Cost(1000, 500, gmac=1e-6 * size[0] * size[1] * (num_tasks or 4), weight_bytes=4000, activation_bytes=9)

    monkeypatch.setattr("bridgenet.benchmark.inference.count", count)
