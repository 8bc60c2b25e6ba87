"""The progress of a run, which is saved beside its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from bridgenet.system.validation import strict
from bridgenet.tasks.scores import Scores, gains, relative_gain


@strict(finite=False)
@dataclass
class Progress:
    """The progress of a run.

    Attributes:
        step: number of finished optimiser steps.
        first_scores: scores of the first evaluation; gains are relative to them.
        best_gain: the largest gain of an evaluation so far, a share.
        scores: scores of the last evaluation.
        seconds: time that the steps took [s].
        memory: peak memory [bytes], 0 where the system does not report it.
        rows: number of rows in `metrics.jsonl`; None if it is not known.
    """

    step: Annotated[int, Ge(0)] = 0
    first_scores: Scores | None = None
    best_gain: float | None = None
    scores: Scores | None = None
    seconds: Annotated[float, Ge(0)] = 0.0
    memory: Annotated[int, Ge(0)] = 0
    rows: Annotated[int, Ge(0)] | None = None

    def add_scores(self, scores: Scores) -> tuple[float, bool]:
        """Add the scores of an evaluation; returns their gain over the first ones, and whether they are the best so far."""
        self.scores = scores
        self.first_scores = first = self.first_scores or scores
        gain = relative_gain(scores, first)
        can_compare = bool(gains(first, first))
        is_best = (
            self.best_gain is None or gain > self.best_gain or not can_compare
        )  # without a comparison the last scores count as the best
        if is_best:
            self.best_gain = gain
        return gain, is_best
