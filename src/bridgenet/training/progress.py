"""How far a run is: what is saved with it besides weights."""

from __future__ import annotations

from dataclasses import dataclass

from bridgenet.tasks.scores import Scores, gains, relative_gain


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: optimiser steps that are done.
        first_scores: of the first evaluation, over which gains are computed.
        best_gain: the largest gain of an evaluation so far, a share.
        scores: of the last evaluation.
        seconds: that steps took [s].
        memory: peak [bytes], 0 where the system does not tell.
    """

    step: int = 0
    first_scores: Scores | None = None
    best_gain: float | None = None
    scores: Scores | None = None
    seconds: float = 0.0
    memory: int = 0

    def add_scores(self, scores: Scores) -> tuple[float, bool]:
        """Take an evaluation's scores; returns their gain over the first ones, and whether they are the best so far."""
        self.scores = scores
        self.first_scores = first = self.first_scores or scores
        gain = relative_gain(scores, first)
        can_compare = bool(gains(first, first))
        is_best = self.best_gain is None or gain > self.best_gain or not can_compare  # if not, the last ones
        if is_best:
            self.best_gain = gain
        return gain, is_best
