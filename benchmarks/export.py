"""Exported networks against PyTorch: largest deviation of the logits, and time per image, at two sizes.

    python benchmarks/export.py [--networks vit internimage convnext] [--repeats 5] [--int8]

Networks of the published decoder (C = 576, 18 refiner blocks a stage) with random weights and the tasks of NYUD-v2, on a small
ViT, InternImage-T and ConvNeXt-T. PyTorch is timed by definition of the layers (as exported) and made ready for inference.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bridgenet
from bridgenet.benchmark import machine
from bridgenet.export import export, open_exported
from bridgenet.export.decoding import normalise
from bridgenet.export.quantisation import MEASURES
from bridgenet.export.write import deviation

BACKBONES = {"vit": "vit_small_patch16_384", "internimage": "internimage_t", "convnext": "convnext_tiny"}
TASKS = {"semseg": 40, "depth": 1, "normals": 3, "edge": 1}
SIZES = ((448, 576), (320, 480))


def network(name: str) -> bridgenet.BridgeNet:
    """With running statistics and offsets that are not what a fresh network has, or all of it would be symmetric."""
    torch.manual_seed(0)
    config = bridgenet.NetworkConfig(num_outputs=TASKS, backbone=BACKBONES[name], image_size=SIZES[0])
    made = bridgenet.build_network(config)
    for key, x in made.named_parameters():
        if key.endswith(("offset.weight", "mask.weight")):
            torch.nn.init.normal_(x, std=0.02)
    with torch.no_grad():
        made.train()(torch.randn(2, 3, 128, 160))
    return made.eval()


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """Median of some calls, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(BACKBONES), default=list(BACKBONES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--int8", action="store_true", help="quantised files as well")
    options = parser.parse_args()
    libraries = machine.versions()
    print(machine.in_words(machine.describe(["cpu"]), libraries))
    columns = [
        "network",
        "size",
        *(f"{task}" for task in TASKS),
        "ONNX Runtime [s]",
        ".pt2 [s]",
        "PyTorch [s]",
        "ready [s]",
    ]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)
    for name in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            measure(name, Path(folder), options.repeats, options.int8)


@torch.inference_mode()
def measure(name: str, folder: Path, repeats: int, int8: bool) -> None:
    """Print the rows of one network."""
    made = network(name)
    onnx, archive, small = folder / "network.onnx", folder / "network.pt2", folder / "int8.onnx"
    begun = time.perf_counter()
    export(made, onnx)
    spent = time.perf_counter() - begun
    export(made, archive)
    exported, program = open_exported(onnx), open_exported(archive)
    ready = network(name)
    bridgenet.optimize_for_inference(ready)
    random = np.random.default_rng(1)
    for size in SIZES:
        picture = random.integers(256, size=(*size, 3), dtype=np.uint8)
        image = normalise(picture, exported.description.mean, exported.description.std)[None]
        tensor = torch.from_numpy(image)
        plain = seconds(lambda x=tensor: made(x), repeats)
        times = [
            seconds(lambda x=image: exported.logits(x), repeats),
            seconds(lambda x=image: program.logits(x), repeats),
            plain,
            seconds(lambda x=tensor: ready(x), repeats),
        ]
        found = deviation(made, exported, [picture])
        cells = [name, f"{size[0]}×{size[1]}", *(f"{found[task]:.1e}" for task in TASKS), *(f"{t:.2f}" for t in times)]
        print("| " + " | ".join(cells) + " |", flush=True)
    print(f"{name}: {onnx.stat().st_size / 1e6:.0f} MB, exported in {spent:.0f} s", flush=True)
    if int8:
        changed = export(made, small, int8=True)
        kinds = {task: values["kind"] for task, values in changed.tasks.items()}
        words = ", ".join(f"{task} {value:.3g} {MEASURES[kinds[task]]}" for task, value in changed.loss.items())
        quantised = open_exported(small)
        quick = seconds(lambda: quantised.logits(image), repeats)
        print(
            f"{name} int8: {small.stat().st_size / 1e6:.0f} MB, {quick:.2f} s at the second size; {words}", flush=True
        )


if __name__ == "__main__":
    main()
