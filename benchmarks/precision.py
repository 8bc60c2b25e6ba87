"""How near a trained network's predictions in bfloat16 are to those in float32, on its validation images.

    python benchmarks/precision.py runs/NAME [--images 60] [--device cpu]

Share of pixels of the same class; mean relative difference of depth; mean angle between normals [deg]; mean absolute
difference of probabilities.
"""

from __future__ import annotations

import argparse

import numpy as np

import bridgenet
from bridgenet import config as configuration
from bridgenet import tasks
from bridgenet.config.resolved import open_dataset


def difference(kind: str, got: np.ndarray, expected: np.ndarray) -> float:
    if kind == "classes":
        return float((got == expected).mean())
    if kind == "depth":
        return float(np.abs(got - expected).mean() / np.abs(expected).mean())
    if kind == "normals":
        return float(np.degrees(np.arccos(np.clip((got * expected).sum(-1), -1, 1))).mean())
    return float(np.abs(got - expected).mean())


WORDS = {
    "classes": "pixels of the same class: {:.2%}",
    "depth": "mean relative difference: {:.3%}",
    "normals": "mean angle: {:.3f}°",
    "probability": "mean absolute difference: {:.5f}",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="folder of a run")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    dataset = open_dataset(configuration.load(options.run), "val")
    exact = bridgenet.load(options.run, device=options.device)
    narrow = bridgenet.load(options.run, device=options.device, precision="bfloat16")
    found: dict[str, list[float]] = {task: [] for task in exact.tasks}
    for index in range(min(options.images, len(dataset))):
        picture = dataset.load(index)["image"].astype(np.uint8)
        one, other = exact.predict(picture), narrow.predict(picture)
        for task, values in found.items():
            values.append(difference(tasks.get(task).kind, other.maps[task], one.maps[task]))
    for task, values in found.items():
        print(f"{task}: {WORDS[tasks.get(task).kind].format(np.mean(values))} (mean of {len(values)} images)")


if __name__ == "__main__":
    main()
