"""How long one picture takes on the CPU, beside what the reference needs there.

    python benchmarks/latency.py                                   # PASCAL-Context, InternImage-L, 512×512
    python benchmarks/latency.py nyud-vit-large --runs 7

Random weights, float32, batch 1, picture in and decoded maps out (`network.predict`). G is the speed of a 2048³ float32
`torch` matrix product [GFLOP/s], the median of one reading before each run; the reference's time, measured on
another machine, is scaled by its G over ours.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from bridgenet import config as configuration
from bridgenet import data
from bridgenet.model.config import build_network
from bridgenet.training.run import network_config

REFERENCE = {
    "nyud-vit-base": 7.2,
    "nyud-vit-large": 13.1,
    "nyud-internimage-large": 10.4,
    "pascal-internimage-large": 11.5,
}
"""Preset → seconds of the reference where G is REFERENCE_G."""
REFERENCE_G = 164.0


def gflops(size: int = 2048) -> float:
    """G [GFLOP/s]."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    torch.mm(a, b)
    started = time.perf_counter()
    torch.mm(a, b)
    return 2 * size**3 / (time.perf_counter() - started) / 1e9


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("preset", nargs="?", default="pascal-internimage-large", choices=list(REFERENCE))
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    config = configuration.load(options.preset)
    torch.manual_seed(0)
    network = build_network(network_config(config)).eval()
    size = data.info(config.data.name).size
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    network.predict(picture)
    seconds, speeds = [], []
    for _ in range(options.runs):
        speeds.append(gflops())
        started = time.perf_counter()
        network.predict(picture)
        seconds.append(time.perf_counter() - started)
    allowed = REFERENCE[options.preset] * REFERENCE_G / statistics.median(speeds)
    print(
        f"{options.preset}, {size[0]}×{size[1]}, float32, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    print(f"seconds     {spread(seconds)}, median (range) of {options.runs}")
    print(f"G           {spread(speeds)} GFLOP/s")
    print(f"reference   {allowed:.2f} s at this G: we take {statistics.median(seconds) / allowed:.2f} of it")


if __name__ == "__main__":
    main()
