"""Which samples a training step takes.

They follow from the seed and the step number alone: not from how the batch is shared among processes, nor from whether the
run was interrupted before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from bridgenet.errors import UserError

Key = tuple[int, ...]
"""(epoch, index), or (epoch, index, number) of a sample that was fetched for its labels: with the seed that of its augmentation."""


class StepSampler(Sampler[list[Key]]):
    """The micro-batches of one process, steps `start_step` up to `end_step`, as lists of (epoch, index).

    All epochs, each in its own random order, make one endless row of samples. Step s takes the places s·G to
    (s + 1)·G of it, G = world·accumulate·batch_size; micro-batch m of process `rank` the batch_size places from
    s·G + (m·world + rank)·batch_size on.

    A task that no sample of a joint micro-batch (that of all processes) has a label of would learn nothing from it: a
    sample that has one, drawn at random, takes the place of another, where that leaves fewer such tasks.

    Args:
        num_samples: samples in the data set.
        batch_size: samples of one micro-batch on one process.
        seed: with the epoch the seed of its order.
        start_step: first optimiser step, from 0; to go on with a run, the number of steps already made.
        end_step: the step to stop before.
        rank: this process, 0..world−1.
        world: number of processes.
        accumulate: micro-batches of one optimiser step.
        labelled: (tasks, num_samples) bool, which samples have a label of which task; None: all of all.
        parts: sizes of the data sets that the samples are of, one after another; with `weights`.
        weights: shares of the samples that the parts give, in any unit. Each part's samples take turns in epochs of its
            own; `epoch` is that of the part. None: every sample once an epoch.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        batch_size: int,
        seed: int,
        start_step: int,
        end_step: int,
        rank: int = 0,
        world: int = 1,
        accumulate: int = 1,
        labelled: np.ndarray | None = None,
        parts: Sequence[int] = (),
        weights: Sequence[float] | None = None,
    ) -> None:
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.seed = seed
        self.steps = range(start_step, end_step)
        self.rank = rank
        self.world = world
        self.accumulate = accumulate
        self.labelled = None if labelled is None or labelled.all() else labelled
        self.parts = tuple(parts)
        self.drawn = drawn(self.parts, weights) if weights is not None else ()
        self._orders: dict[tuple[int, ...], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.steps) * self.accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        joint, own = self.batch_size * self.world, self.batch_size * self.rank
        for step in self.steps:
            for number in range(step * self.accumulate, (step + 1) * self.accumulate):
                keys = [self._key(place) for place in range(number * joint, (number + 1) * joint)]
                if self.labelled is not None:
                    keys = with_labels(keys, self.labelled, np.random.default_rng([self.seed, number, 0, 0]), number)
                yield keys[own : own + self.batch_size]

    def _key(self, place: int) -> Key:
        """The sample at a place of the endless row."""
        epoch, place = divmod(place, self.num_samples)
        place = int(self._order((epoch,), self.num_samples)[place])
        if not self.drawn:
            return epoch, place
        part = int(np.searchsorted(np.cumsum(self.drawn), place, side="right"))
        turn = epoch * self.drawn[part] + place - sum(self.drawn[:part])
        epoch, place = divmod(turn, self.parts[part])
        return epoch, sum(self.parts[:part]) + int(self._order((epoch, part), self.parts[part])[place])

    def _order(self, seed: tuple[int, ...], length: int) -> np.ndarray:
        if seed not in self._orders:
            while len(self._orders) > 2 * (1 + len(self.parts)):  # an epoch and the next, of the row and each part
                del self._orders[next(iter(self._orders))]
            self._orders[seed] = np.random.default_rng([self.seed, *seed]).permutation(length)
        return self._orders[seed]


def drawn(parts: Sequence[int], weights: Sequence[float]) -> tuple[int, ...]:
    """How many samples of an epoch each part gives: whole numbers closest to the shares, at least 1, as many as there are.

    Raises UserError if the weights are not one number above 0 for each part.
    """
    if len(weights) != len(parts) or not all(np.isfinite(weight) and weight > 0 for weight in weights):
        raise UserError(
            f"data.weights is {list(weights)}, expected one number above 0 for each of the {len(parts)} data sets"
        )
    wanted = np.array(weights, float) / sum(weights) * sum(parts)
    numbers = np.maximum(np.floor(wanted), 1).astype(int)
    for _ in range(abs(sum(parts) - int(numbers.sum()))):
        difference = wanted - numbers
        if numbers.sum() < sum(parts):
            numbers[difference.argmax()] += 1
        else:
            numbers[np.where(numbers > 1, difference, np.inf).argmin()] -= 1
    return tuple(numbers.tolist())


def with_labels(keys: Sequence[Key], labelled: np.ndarray, rng: np.random.Generator, number: int) -> list[Key]:
    """The keys of a joint micro-batch with samples exchanged until every task has a label, as far as that goes.

    Args:
        labelled: (tasks, samples) bool.
        number: of the micro-batch, above 0 in the keys of samples that are fetched.
    """
    keys, possible = list(keys), labelled.any(axis=1)
    while True:
        here = labelled[:, [key[1] for key in keys]]  # (tasks, samples of the batch)
        missing = possible & ~here.any(axis=1)
        if not missing.any():
            return keys
        gains = labelled[missing].sum(axis=0)
        gains[[key[1] for key in keys]] = 0
        best = int(rng.choice(np.flatnonzero(gains == gains.max())))
        alone = here & (here.sum(axis=1) == 1)[:, None] & ~labelled[:, [best]]  # would be lost with that sample
        losses = alone.sum(axis=0)
        if losses.min() >= gains[best]:
            return chosen_anew(keys, labelled, rng, number)
        place = int(rng.choice(np.flatnonzero(losses == losses.min())))
        keys[place] = (keys[place][0], best, number + 1)


def chosen_anew(keys: Sequence[Key], labelled: np.ndarray, rng: np.random.Generator, number: int) -> list[Key]:
    """As :func:`with_labels`, where no single exchange helps: samples of the most tasks first, if these leave no task out.

    Among equals those of the batch are taken; the rest of it fills the places that are left.
    """
    own = [key[1] for key in keys]
    missing, needed = labelled.any(axis=1), set()
    while missing.any():
        gains = 2 * labelled[missing].sum(axis=0)
        gains[own] += gains[own] > 0
        needed.add(int(rng.choice(np.flatnonzero(gains == gains.max()))))
        missing &= ~labelled[:, sorted(needed)].any(axis=1)
    places = [place for place, index in enumerate(own) if index not in needed or index in own[:place]]
    fetched = sorted(needed.difference(own))
    if len(fetched) > len(places):
        return list(keys)
    changed = list(keys)
    for place, index in zip(places, fetched):
        changed[place] = (changed[place][0], index, number + 1)
    return changed
