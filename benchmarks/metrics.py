"""How long each task's metric takes for one update with a batch of decoded predictions.

    python benchmarks/metrics.py
    python benchmarks/metrics.py --runs 40 --device cuda

Median milliseconds (range) over interleaved runs after a warm-up. Labels and predictions come in patches, like those of
images, with predictions near the labels and a fifth of the pixels ignored. The goal of 25 ms and the reference's times
are for 2 CPU cores and a batch of 6 at 448×576.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bridgenet import tasks
from bridgenet.decoding import normalise
from bridgenet.tasks import IGNORE

GOAL = 25.0  # [ms]
REFERENCE = {"semseg": 494, "depth": 243, "normals": 1115, "sal": 498}  # [ms]
SEMSEG_CLASSES = 40
PATCH = 16  # [pixels]


def patches(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) -> (B, C, H, W), every value a square of PATCH pixels."""
    return F.interpolate(values, scale_factor=PATCH, mode="nearest")[..., : size[0], : size[1]].contiguous()


def decoded_batch(task: tasks.Task, batch: int, size: tuple[int, int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """A prediction as `bridgenet.decoding` gives it, and a target (B, C, H, W) float32."""
    g = torch.Generator().manual_seed(seed)
    grid = tuple(-(-side // PATCH) for side in size)

    def rand(channels: int, height: int, width: int) -> Tensor:
        return torch.rand(batch, channels, height, width, generator=g)

    if task.kind == "normals":
        target = normalise(patches(rand(3, *grid) - 0.5, size))
        prediction = normalise(target + 0.5 * (rand(3, *size) - 0.5)).permute(0, 2, 3, 1)
    elif task.kind == "depth":
        target = patches(rand(1, *grid) * 9 + 0.5, size)
        prediction = (target * (0.7 + 0.6 * rand(1, *size)))[:, 0]
    else:
        classes = 2 if task.kind == "probability" else task.num_outputs or SEMSEG_CLASSES
        target = patches((rand(1, *grid) * classes).floor(), size)
        if task.kind == "classes":
            wrong = rand(1, *size) < 0.2
            prediction = torch.where(wrong, (rand(1, *size) * classes).floor(), target)[:, 0].long()
        else:
            prediction = (0.7 * target + 0.3 * rand(1, *size))[:, 0]
    return prediction, torch.where(patches(rand(1, *grid), size) < 0.2, float(IGNORE), target)


def timed(run: Callable[[], None], device: str) -> float:
    """Milliseconds of one call."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)


def machine(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--size", type=int, nargs=2, default=[448, 576])
    parser.add_argument("--runs", type=int, default=30)
    options = parser.parse_args()
    height, width = options.size
    print(f"torch {torch.__version__}, {options.device} ({machine(options.device)}), {options.batch}×{height}×{width}")

    updates: dict[str, Callable[[], None]] = {}
    for name in tasks.names():
        task = tasks.get(name)
        prediction, target = (x.to(options.device) for x in decoded_batch(task, options.batch, (height, width)))
        metric: Any = tasks.resolve(task.metric)(task.num_outputs or SEMSEG_CLASSES).to(options.device)
        updates[name] = lambda metric=metric, args=(prediction, target): metric.update_decoded(*args)

    taken: dict[str, list[float]] = {name: [] for name in updates}
    for i in range(options.runs + 3):
        for name, update in updates.items():
            milliseconds = timed(update, options.device)
            if i >= 3:  # the first ones are a warm-up
                taken[name].append(milliseconds)

    print(f"{'task':12}{'median':>10} {'(range)':15}{'reference':>10}   under {GOAL:g} ms")
    for name, values in taken.items():
        median, spread = statistics.median(values), f"({min(values):.1f}–{max(values):.1f})"
        known = f"{REFERENCE[name]:7} ms" if name in REFERENCE else f"{'–':>10}"
        print(f"{name:12}{median:7.1f} ms {spread:15}{known}   {'yes' if median < GOAL else 'no'}")


if __name__ == "__main__":
    main()
