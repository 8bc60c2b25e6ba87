from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from bridgenet.data.pipeline.sampling import StepSampler, drawn
from bridgenet.errors import UserError


def sampler(**changes: Any) -> StepSampler:
    return StepSampler(7, **{"batch_size": 2, "seed": 1, "start_step": 0, "end_step": 9, **changes})


def test_every_epoch_visits_every_sample_once_in_an_order_of_its_own() -> None:
    stream = list(itertools.chain.from_iterable(sampler(end_step=14)))
    orders = [[index for epoch, index in stream if epoch == wanted] for wanted in range(4)]
    assert [epoch for epoch, _ in stream] == sorted(epoch for epoch, _ in stream)
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) > 1
    assert orders[1] == np.random.default_rng([1, 1]).permutation(7).tolist()
    assert stream != list(itertools.chain.from_iterable(sampler(end_step=14, seed=2)))


def test_two_processes_see_what_one_sees() -> None:
    alone = list(sampler())
    shared = [list(sampler(batch_size=1, world=2, rank=rank)) for rank in range(2)]
    assert [first + second for first, second in zip(*shared, strict=True)] == alone


def test_accumulation_takes_the_samples_of_the_larger_batch() -> None:
    whole = list(sampler(batch_size=4))
    parts = list(sampler(batch_size=2, accumulate=2))
    assert [parts[i] + parts[i + 1] for i in range(0, len(parts), 2)] == whole
    assert len(parts) == len(sampler(batch_size=2, accumulate=2)) == 18
    shares = [list(sampler(batch_size=1, accumulate=2, world=2, rank=rank)) for rank in range(2)]
    assert [first + second for first, second in zip(*shares, strict=True)] == parts


def test_resuming_needs_the_step_alone() -> None:
    whole = list(sampler(accumulate=2))
    assert list(sampler(accumulate=2, start_step=5)) == whole[10:]
    assert list(sampler(start_step=9)) == []


def test_batch_larger_than_the_data_set() -> None:
    (batch,) = sampler(batch_size=20, end_step=1)
    assert [epoch for epoch, _ in batch] == [0] * 7 + [1] * 7 + [2] * 6


def indices(batches: list[list[tuple[int, ...]]]) -> list[list[int]]:
    return [[key[1] for key in batch] for batch in batches]


def test_whole_labels_change_nothing() -> None:
    assert list(sampler(labelled=np.ones((2, 7), bool))) == list(sampler())


def test_every_batch_has_a_label_of_every_task() -> None:
    labelled = np.zeros((3, 7), bool)
    labelled[0, :3], labelled[1, 3:], labelled[2, 6] = True, True, True
    batches = list(sampler(labelled=labelled, batch_size=3, end_step=40))
    assert all(labelled[:, batch].any(axis=1).all() for batch in indices(batches))
    assert set(itertools.chain.from_iterable(indices(batches))) == set(range(7))
    fetched = [key for batch in batches for key in batch if len(key) == 3]
    assert fetched and len(set(fetched)) == len(fetched)  # each with an augmentation of its own
    whole = indices(list(sampler(batch_size=3, end_step=40)))
    assert all(a == b for a, b in zip(indices(batches), whole) if labelled[:, b].any(axis=1).all())


def test_labels_are_fetched_alike_however_the_batch_is_shared_and_after_an_interruption() -> None:
    labelled = np.zeros((2, 7), bool)
    labelled[0, 0], labelled[1, 1:] = True, True
    alone = list(sampler(labelled=labelled))
    shared = [list(sampler(labelled=labelled, batch_size=1, world=2, rank=rank)) for rank in range(2)]
    assert [first + second for first, second in zip(*shared, strict=True)] == alone
    assert list(sampler(labelled=labelled, start_step=4)) == alone[4:]


def test_what_cannot_be_avoided_is_left() -> None:
    labelled = np.zeros((3, 7), bool)
    labelled[0, :3], labelled[1, 3:] = True, True  # the third task has no labels, and a batch of one cannot have both
    assert list(sampler(labelled=labelled, batch_size=1)) == list(sampler(batch_size=1))


def test_a_sample_is_not_given_up_for_one_that_brings_less() -> None:
    labelled = np.array([[1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1]], bool)
    batches = indices(list(sampler(labelled=labelled, end_step=30)))
    assert all(labelled[:, batch].any(axis=1).all() for batch in batches)


def test_batch_that_no_single_exchange_completes() -> None:
    labelled = np.zeros((3, 7), bool)
    labelled[:2, 0], labelled[0, 1:3], labelled[1, 3:6], labelled[2, 6] = True, True, True, True
    batches = list(sampler(labelled=labelled, end_step=40))
    assert all(labelled[:, batch].any(axis=1).all() for batch in indices(batches))  # always samples 0 and 6
    assert list(sampler(labelled=labelled, start_step=7, end_step=40)) == batches[7:]
    kept = indices(list(sampler(end_step=40)))
    assert all(set(a) & {0, 6} <= set(b) for a, b in zip(kept, indices(batches)))


def test_weights_are_the_shares_of_the_parts() -> None:
    stream = list(itertools.chain.from_iterable(sampler(parts=(5, 2), weights=[1, 1], batch_size=7, end_step=20)))
    second = [key for key in stream if key[1] >= 5]
    assert len(second) == 20 * 3  # of 7: 3.5 each, rounded
    assert len(set(second)) == len(second)
    assert {key[1] for key in stream} == set(range(7))
    epochs = [[index for epoch, index in second if epoch == wanted] for wanted in range(29)]
    assert all(sorted(epoch) == [5, 6] for epoch in epochs)  # one epoch of the part after another
    resumed = list(itertools.chain.from_iterable(sampler(parts=(5, 2), weights=[1, 1], start_step=3)))
    whole = list(itertools.chain.from_iterable(sampler(parts=(5, 2), weights=[1, 1])))
    assert resumed == whole[6:]


@pytest.mark.parametrize(
    ("parts", "weights", "expected"),
    [
        ((90, 10), [1, 1], (50, 50)),
        ((3, 3, 3), [1, 1, 1000], (1, 1, 7)),
        ((4, 4), [0.25, 0.75], (2, 6)),
        ((9,), [3], (9,)),
    ],
)
def test_drawn(parts: tuple[int, ...], weights: list[float], expected: tuple[int, ...]) -> None:
    assert drawn(parts, weights) == expected


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, -2], [1, float("nan")], [1, 2, 3]])
def test_wrong_weights(weights: list[float]) -> None:
    with pytest.raises(UserError, match=r"data\.weights is .* expected one number above 0 for each of the 2 data sets"):
        drawn((4, 4), weights)
