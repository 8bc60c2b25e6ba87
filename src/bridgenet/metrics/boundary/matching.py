"""Maximum matching: how many predicted and true boundary pixels can be paired one to one within a distance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

Bool = NDArray[np.bool_]


def radius(max_distance: float, shape: tuple[int, int]) -> float:
    """Largest distance of a pair [pixels]; `max_distance` is its share of the diagonal of an image of `shape` (H, W)."""
    return max_distance * math.sqrt(shape[0] ** 2 + shape[1] ** 2)


class Matcher:
    """Match several predictions of one image with its truth; pairs within the distance are computed once.

    Args:
        truth: (H, W) bool.
        union: (H, W) bool, the union of all predictions.
        distance: largest distance of a pair [pixels]; a pair at exactly this distance counts.
    """

    def __init__(self, truth: Bool, union: Bool, distance: float) -> None:
        height, width = truth.shape
        reach = int(distance)
        dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        near = np.sqrt((dy * dy + dx * dx).astype(np.float64)) <= distance
        number = np.full((height + 2 * reach, width + 2 * reach), -1, np.int32)
        inside = number[reach : reach + height, reach : reach + width]
        self._pixels = np.flatnonzero(union)
        inside[union] = np.arange(len(self._pixels), dtype=np.int32)
        y, x = np.nonzero(truth)
        start = ((y + reach) * (width + 2 * reach) + x + reach).astype(np.int64)
        steps = (dy * (width + 2 * reach) + dx)[near]
        predicted = number.ravel()[start[:, None] + steps]
        true_of_pair, _ = pairs = np.nonzero(predicted >= 0)
        predicted_of_pair = predicted[pairs]
        order = np.argsort(predicted_of_pair, kind="stable")  # truths stay ascending within a prediction
        self._predicted = predicted_of_pair[order]
        self._true = true_of_pair[order].astype(np.int32)
        self._num_true = len(y)

    def count(self, prediction: Bool) -> int:
        """Number of pairs of a maximum matching; `prediction` (H, W) bool is a subset of the union."""
        active = prediction.ravel()[self._pixels]
        chosen = active[self._predicted]
        predicted, true = self._predicted[chosen], self._true[chosen]
        if not len(predicted):
            return 0
        # Only pixels with a partner are nodes: source, predictions, truths, sink.
        is_new = np.empty(len(predicted), bool)
        is_new[0] = True
        np.not_equal(predicted[1:], predicted[:-1], out=is_new[1:])
        starts = np.flatnonzero(is_new)
        num_predicted = len(starts)
        has_partner = np.zeros(self._num_true, bool)
        has_partner[true] = True
        num_true = int(has_partner.sum())
        true_node = np.cumsum(has_partner, dtype=np.int32) + num_predicted
        sink = num_predicted + num_true + 1
        columns = np.concatenate(
            [
                np.arange(1, num_predicted + 1, dtype=np.int32),
                true_node[true],
                np.full(num_true, sink, np.int32),
            ]
        )
        ends = np.concatenate(
            [
                [0, num_predicted],
                num_predicted + np.append(starts[1:], len(predicted)),
                num_predicted + len(predicted) + np.arange(1, num_true + 1),
                [num_predicted + len(predicted) + num_true],
            ]
        ).astype(np.int32)
        graph = csr_array((np.ones(len(columns), np.int32), columns, ends), shape=(sink + 1, sink + 1))
        return int(maximum_flow(graph, 0, sink, method="dinic").flow_value)
