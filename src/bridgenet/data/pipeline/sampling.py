"""The samples of training steps.

They depend only on the seed and the step number, not on the number of processes, nor on whether the run was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from bridgenet.errors import UserError

Key = tuple[int, ...]
"""(epoch, index), or (epoch, index, number) of a sample chosen for its labels; with the seed, it seeds the augmentation."""


class StepSampler(Sampler[list[Key]]):
    """The micro-batches of one process, steps `start_step` up to `end_step`, as lists of (epoch, index).

    All epochs, each in a random order, form one endless sequence of samples. Step s has positions s·G to (s + 1)·G of it
    with G = world·accumulate·batch_size; micro-batch m of process `rank` has the batch_size positions from
    s·G + (m·world + rank)·batch_size on.

    A task learns nothing from a joint micro-batch (of all processes) in which no sample has a label of it. Then a random
    sample with such a label replaces another sample, if fewer tasks without labels result.

    Args:
        num_samples: samples in the data set.
        batch_size: samples of one micro-batch on one process.
        seed: seed of the random orders, together with the epoch.
        start_step: first optimiser step, from 0; to resume a run, the number of finished steps.
        end_step: the step to stop before.
        rank: this process, 0..world−1.
        world: number of processes.
        accumulate: micro-batches of one optimiser step.
        labelled: (tasks, num_samples) bool: which samples have a label of which task; None: all have all.
        parts: sizes of the mixed data sets in the order of the samples; needed for `weights`.
        weights: relative number of samples from each part. Each part has its own epochs, which keys contain. None: every
            sample occurs once per epoch.
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
        """The key at a position of the endless sequence."""
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
            while len(self._orders) > 2 * (1 + len(self.parts)):  # two epochs, of the sequence and of each part
                del self._orders[next(iter(self._orders))]
            self._orders[seed] = np.random.default_rng([self.seed, *seed]).permutation(length)
        return self._orders[seed]


def drawn(parts: Sequence[int], weights: Sequence[float]) -> tuple[int, ...]:
    """The number of samples per epoch from each part: at least 1, closest to the shares, with the total of all parts.

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
    """Exchange samples of a joint micro-batch until every task has a label, if possible.

    Args:
        labelled: (tasks, samples) bool.
        number: number of the micro-batch; keys of new samples contain it plus 1.
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
            return choose_again(keys, labelled, rng, number)
        place = int(rng.choice(np.flatnonzero(losses == losses.min())))
        keys[place] = (keys[place][0], best, number + 1)


def choose_again(keys: Sequence[Key], labelled: np.ndarray, rng: np.random.Generator, number: int) -> list[Key]:
    """:func:`with_labels` where no single exchange helps: choose samples of most missing tasks first, if they fit.

    Samples of the batch are preferred among equals, and fill the remaining places.
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
