"""Boundary evaluation of one image, all 101 thresholds, on one core; time of each step and peak memory.

    python benchmarks/boundaries.py

Images of 425×560 with about 4 000, 6 000, 16 000 and 31 000 true boundary pixels: cells around random points, and as
prediction their boundaries, shifted here and there, blurred and with noise. Median seconds (range) of the runs.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from bridgenet.metrics import boundary

SIZE = (425, 560)
CELLS = (27, 62, 410, 1470)


def example(cells: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A prediction (H, W) uint8 and true boundaries (H, W) bool."""
    generator = np.random.default_rng(seed)
    height, width = SIZE
    points = generator.random((cells, 2)) * SIZE
    pixels = np.stack(np.mgrid[:height, :width], axis=-1).reshape(-1, 2)
    labels = cKDTree(points).query(pixels)[1].reshape(SIZE)
    truth = boundary.boundaries(labels)
    moved = cKDTree(points + generator.normal(0, 1.0, points.shape)).query(pixels)[1].reshape(SIZE)
    soft = cv2.GaussianBlur(boundary.boundaries(moved).astype(np.float32), (0, 0), 1.2)
    noise = cv2.GaussianBlur(generator.random(SIZE, dtype=np.float32), (0, 0), 1.0)
    strength = cv2.GaussianBlur(generator.random(SIZE, dtype=np.float32), (0, 0), 12)
    strength = (strength - strength.min()) / np.ptp(strength)
    probability = np.clip(2.2 * soft * strength + 0.4 * (noise - noise.min()), 0, 1)
    return (255 * probability).astype(np.uint8), truth


def timed(run: Callable[[], object], runs: int) -> list[float]:
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return seconds


def shown(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--max-dist", type=float, default=0.011)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"{SIZE[0]}×{SIZE[1]}, maxDist {options.max_dist}, numpy {np.__version__}, scipy {scipy.__version__}")
    for cells in CELLS:
        prediction, truth = example(cells)
        count = partial(boundary.count, prediction, truth, max_distance=options.max_dist)
        matched, predicted, true = count()
        best = boundary.precision_recall(matched, predicted, np.array(true))[2].max()
        suppression = timed(partial(boundary.non_maximum_suppression, prediction), options.runs)
        print(
            f"{true:6d} true pixels, {predicted[0]} predicted at the lowest threshold, F {best:.2f}: "
            f"{shown(timed(count, options.runs))} s, of which suppression {shown(suppression)}"
        )
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
