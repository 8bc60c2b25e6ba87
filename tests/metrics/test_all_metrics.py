"""What every task's metric must do."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.tasks import decoding

each_task = pytest.mark.parametrize("task", tasks.names())


def new(task: str) -> Any:
    return tasks.resolve(tasks.get(task).metric)(tasks.get(task).num_outputs or 5)


def batch(task: str, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    channels, kind = tasks.get(task).num_outputs or 5, tasks.get(task).kind
    logits = torch.randn(4, channels, 6, 7, generator=g, dtype=torch.float64) * 3
    if kind == "normals":
        target = decoding.normalise(torch.randn(4, 3, 6, 7, generator=g, dtype=torch.float64))
    elif kind == "depth":
        target = torch.rand(4, 1, 6, 7, generator=g, dtype=torch.float64) * 9 + 0.5
    else:
        target = torch.randint(channels if kind == "classes" else 2, (4, 1, 6, 7), generator=g).double()
    target = torch.where(torch.rand(4, 1, 6, 7, generator=g) < 0.2, kind.unknown, target)
    return logits.to(dtype), target.to(dtype)


@each_task
def test_floats_with_the_headline_among_them(task: str) -> None:
    metric = new(task)
    metric.update(*batch(task, 0))
    found = metric.compute()
    assert tasks.get(task).headline in found
    assert all(type(value) is float for value in found.values())


@each_task
def test_sum_of_two_processes_is_the_whole(task: str) -> None:
    whole, shards = new(task), [new(task), new(task)]
    for seed in range(3):
        logits, target = batch(task, seed)
        whole.update(logits, target)
        # unequal shares, and a shard that sees nothing of the last batch
        cut = 4 if seed == 2 else 3
        shards[0].update(logits[:cut], target[:cut])
        if cut < 4:
            shards[1].update(logits[cut:], target[cut:])
    joined = new(task)
    for name in joined._defaults:
        assert joined._reductions[name] is not None
        setattr(joined, name, sum(getattr(shard, name) for shard in shards))
    joined.update(*(part[:0] for part in batch(task, 0)))
    assert joined.compute() == pytest.approx(whole.compute(), rel=1e-12)


@each_task
def test_decoded_predictions_score_the_same(task: str) -> None:
    logits, target = batch(task, 0)
    one, other = new(task), new(task)
    one.update(logits, target)
    other.update_decoded(decoding.decode(task, logits), target)
    assert other.compute() == pytest.approx(one.compute(), rel=1e-9)


@each_task
def test_result_is_fresh_after_further_batches_and_after_reset(task: str) -> None:
    metric = new(task)
    metric.update(*batch(task, 0))
    first = metric.compute()
    logits, target = batch(task, 1)
    metric.update_decoded(decoding.decode(task, logits), target)
    assert metric.compute() != first
    metric.reset()
    metric.update(*batch(task, 0))
    assert metric.compute() == first


@each_task
@pytest.mark.parametrize("dtype", [torch.float64, torch.int64])
def test_arguments_are_left_as_they_are(task: str, dtype: torch.dtype) -> None:
    logits, target = batch(task, 0)
    target = target.to(dtype) if dtype.is_floating_point else target.nan_to_num(0).to(dtype)
    before = logits.clone(), target.clone()
    metric = new(task)
    metric.update(logits, target)
    prediction = decoding.decode(task, logits)
    kept = prediction.clone()
    metric.update_decoded(prediction, target)
    assert torch.equal(logits, before[0]) and torch.equal(prediction, kept)
    torch.testing.assert_close(target, before[1], rtol=0, atol=0, equal_nan=True)


@each_task
def test_bfloat16_logits_are_raised(task: str) -> None:
    logits, target = batch(task, 0, torch.float32)
    one, other = new(task), new(task)
    one.update(logits.bfloat16(), target)
    other.update(logits.bfloat16().float(), target)
    assert one.compute() == other.compute()


@each_task
def test_survives_pickling(task: str) -> None:
    metric = new(task)
    metric.update(*batch(task, 0))
    assert pickle.loads(pickle.dumps(metric)).compute() == metric.compute()


@each_task
def test_other_size_than_the_target_is_refused(task: str) -> None:
    logits, target = batch(task, 0)
    with pytest.raises(UserError, match="resize the logits"):
        new(task).update(logits[:1], target)


@each_task
def test_each_image_by_itself(task: str) -> None:
    logits, target = batch(task, 0)
    target[2] = tasks.get(task).kind.unknown
    metric = new(task)
    metric.update(*batch(task, 1))
    metric.update(logits, target)
    found = metric.per_image()
    for index, scores in enumerate(found):
        alone = new(task)
        alone.update(logits[index : index + 1], target[index : index + 1])
        assert scores == pytest.approx(alone.compute(), nan_ok=True)
    assert [math.isnan(scores[metric.image_score]) for scores in found] == [False, False, True, False]


@each_task
@pytest.mark.parametrize("decoded", [False, True], ids=["logits", "decoded"])
def test_batches_may_be_cut_anywhere(task: str, decoded: bool) -> None:
    logits, target = batch(task, 0)
    prediction = decoding.decode(task, logits) if decoded else logits
    whole, parts = new(task), new(task)
    whole.update(prediction, target, decoded=decoded)
    for cut in (slice(0, 1), slice(1, 1), slice(1, 4)):
        parts.update(prediction[cut], target[cut], decoded=decoded)
    assert parts.compute() == pytest.approx(whole.compute(), rel=1e-12)
    assert parts.details() == whole.details()


@each_task
@pytest.mark.parametrize("labels", [True, False])
def test_details_are_json(task: str, labels: bool) -> None:
    logits, target = batch(task, 0)
    metric = new(task)
    metric.update(logits, target if labels else torch.full_like(target, tasks.get(task).kind.unknown))
    found = metric.details()
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@each_task
def test_details_after_further_batches_and_after_reset(task: str) -> None:
    metric = new(task)
    metric.update(*batch(task, 0))
    first = metric.details()
    metric.update(*batch(task, 1))
    assert (metric.details() != first) == bool(first)
    metric.reset()
    assert metric.per_image() == []
    metric.update(*batch(task, 0))
    assert metric.details() == first


@each_task
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_ignored_pixels_may_hold_anything(task: str, bad: float) -> None:
    logits, target = batch(task, 0)
    one, other = new(task), new(task)
    one.update(logits, target)
    other.update(torch.where(tasks.get(task).kind.is_unknown(target).any(dim=1, keepdim=True), bad, logits), target)
    assert other.compute() == one.compute()
    assert other.details() == one.details()


@each_task
def test_a_diverged_network_is_scored(task: str) -> None:
    logits, target = batch(task, 0)
    metric = new(task)
    metric.update(torch.full_like(logits, math.nan), target)
    found, kind = metric.compute(), tasks.get(task).kind
    if kind in ("depth", "normals"):
        assert math.isnan(found[tasks.get(task).headline])
        assert not any(found[key] > 0 for key in found if key.startswith("within"))  # nothing is taken for right
    elif kind == "probability":
        assert math.isnan(found["mae" if task == "sal" else "loss"])
    assert json.dumps(metric.details(), allow_nan=False)


@each_task
def test_number_of_threads_stays(task: str) -> None:
    logits, target = batch(task, 0)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        new(task).update(logits, target)
        assert torch.get_num_threads() == 2
        if task == "semseg":
            with pytest.raises(UserError):
                new(task).update(logits, target + 5)
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
