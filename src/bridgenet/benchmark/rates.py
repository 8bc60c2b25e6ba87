"""Timing, and the rates of the machine in products, convolutions and copies."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

CHANNELS = 256
"""Channels of the convolution: at side 2048 it has about as many multiply-adds as the product, on a map of 128×128."""
REPETITIONS = 10
"""Repetitions in one reading on a GPU, where a single run is too short."""


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median, minimum, maximum, quartiles, and all values in their order."""
    ordered = sorted(values)
    quartiles = statistics.quantiles(ordered, n=4, method="inclusive") if len(ordered) > 1 else ordered * 3
    return {
        "median": statistics.median(ordered),
        "min": ordered[0],
        "max": ordered[-1],
        "quartiles": [quartiles[0], quartiles[2]],
        "values": list(values),
    }


def seconds_of(run: Callable[[], Any], device: torch.device) -> float:
    """Measure the time of a run until its results are available [s]."""
    if device.type != "cuda":
        started = time.perf_counter()
        run()
        return time.perf_counter() - started
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize(device)
    start.record()
    run()
    end.record()
    torch.cuda.synchronize(device)
    return start.elapsed_time(end) / 1000


def _rate(run: Callable[[], Any], amount: float, device: torch.device) -> float:
    """The rate of a run that processes `amount`, after a warm-up run."""
    repetitions = REPETITIONS if device.type == "cuda" else 1

    def repeated() -> None:
        for _ in range(repetitions):
            run()

    run()
    return amount * repetitions / seconds_of(repeated, device)


def product(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """Measure the rate of `torch.mm` on square matrices [FLOP/s]."""
    a, b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return _rate(lambda: torch.mm(a, b, out=out), 2 * side**3, device)


def convolution(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """Measure the rate of a 3×3 convolution, channels last, on a map of side/16 [FLOP/s]."""
    points = max(side // 16, 1)
    x, weight = (
        torch.rand(shape, device=device, dtype=dtype).to(memory_format=torch.channels_last)
        for shape in ((1, CHANNELS, points, points), (CHANNELS, CHANNELS, 3, 3))
    )
    with torch.inference_mode():
        return _rate(lambda: torch.conv2d(x, weight, padding=1), 18 * CHANNELS**2 * points**2, device)


def bandwidth(device: torch.device, side: int) -> float:
    """Measure the rate of a copy in the device's memory: bytes read and written per second [byte/s]."""
    a = torch.rand(16 * side**2 if device.type == "cpu" else 4 * side**2, device=device)
    b = torch.empty_like(a)
    return _rate(lambda: b.copy_(a), 2 * a.nbytes, device)


class Rates:
    """Readings of the rates of a device, taken between the measured runs.

    G is the rate of a product in float32 on a CPU, of one in the precision at hand on a GPU. The `best` rate is the larger
    of the medians of products and convolutions in that precision, from which the floor is computed.
    """

    def __init__(self, device: torch.device, precision: str, side: int) -> None:
        self.device, self.side = device, side
        self.dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.base = torch.float32 if device.type == "cpu" else self.dtype
        self.readings: dict[str, list[float]] = {"G": [], "product": [], "convolution": []}

    def read(self) -> None:
        """Take one reading of each rate."""
        self.readings["G"].append(product(self.device, self.base, self.side))
        same = self.dtype == self.base
        self.readings["product"].append(self.readings["G"][-1] if same else product(self.device, self.dtype, self.side))
        self.readings["convolution"].append(convolution(self.device, self.dtype, self.side))

    def as_dict(self) -> dict[str, Any]:
        """Medians and spreads: `G`, `product`, `convolution` [FLOP/s], `bandwidth` [byte/s], measured now; and `best`."""
        found = {name: summary(values) for name, values in self.readings.items()}
        best = max(found["product"]["median"], found["convolution"]["median"])
        copies = summary([bandwidth(self.device, self.side) for _ in range(3)])
        return {**found, "bandwidth": copies, "best": best, "side": self.side}
