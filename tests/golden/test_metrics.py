"""Losses and scores of the golden batches, in float64 and float32."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from bridgenet import tasks
from bridgenet.tasks import decoding
from tests.golden.golden import golden_dir, with_nan

ARRAYS = golden_dir() / "metrics.safetensors"
EXPECTED = golden_dir() / "metrics.json"
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-5}

pytestmark = pytest.mark.skipif(not (ARRAYS.is_file() and EXPECTED.is_file()), reason=f"no {ARRAYS}")


@cache
def arrays() -> dict[str, Tensor]:
    return load_file(ARRAYS) if ARRAYS.is_file() else {}


@cache
def expected() -> dict[str, Any]:
    return json.loads(EXPECTED.read_text())


def batches(case: str, dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    numbers = sorted(
        int(key.split(".")[2]) for key in arrays() if key.startswith(f"{case}.") and key.endswith(".logits")
    )
    stored = [[arrays()[f"{case}.{i}.{what}"].to(dtype) for what in ("logits", "target")] for i in numbers]
    return [(logits, with_nan(case.partition(".")[2], target)) for logits, target in stored]


cases = pytest.mark.parametrize("case", sorted({key.rsplit(".", 2)[0] for key in arrays()}))
dtypes = pytest.mark.parametrize("dtype", TOLERANCE)


@cases
@dtypes
def test_loss_of_each_batch(case: str, dtype: torch.dtype) -> None:
    dataset, name = case.split(".")
    loss = tasks.resolve(tasks.get(name).loss)
    found = [loss(logits, target).item() for logits, target in batches(case, dtype)]
    assert found == pytest.approx(expected()[dataset][name]["loss_per_batch"], rel=TOLERANCE[dtype])


@cases
@dtypes
@pytest.mark.parametrize("decoded", [False, True], ids=["logits", "decoded"])
def test_score_over_all_batches(case: str, dtype: torch.dtype, decoded: bool) -> None:
    dataset, name = case.split(".")
    metric: Any = None
    for logits, target in batches(case, dtype):
        metric = metric or tasks.resolve(tasks.get(name).metric)(logits.shape[1])
        if decoded:
            metric.update_decoded(decoding.decode(name, logits), target)
        else:
            metric.update(logits, target)
    found, score = metric.compute(), expected()[dataset][name]["score"]
    assert {key: found[key] for key in score} == pytest.approx(score, rel=TOLERANCE[dtype])
    assert tasks.get(name).headline in score
