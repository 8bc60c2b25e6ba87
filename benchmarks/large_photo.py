"""Time and memory of a large photograph in tiles, from the file to all files written.

    python benchmarks/large_photo.py [WEIGHTS] [--size 4000 6000] [--tile 512] [--outputs raw panel]

Without WEIGHTS: the demo's network, untrained, 40 classes. The picture is noise over smooth shapes.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import bridgenet
from bridgenet.prediction import NetworkPredictor, RunOptions, run_inputs

CLASSES = 40


def untrained() -> bridgenet.BridgeNet:
    """The demo's network with the tasks of NYUD-v2, made ready for inference."""
    config = bridgenet.NetworkConfig(
        num_outputs={"semseg": CLASSES, "depth": 1, "normals": 3, "edge": 1},
        backbone={"name": "resnet10t", "strides": [2, 4, 8, 16]},
        image_size=(96, 128),
        decoder={"name": "bridgenet", "embed_dim": 48, "extra_channels": 16, "refine_depth": 3},
    )
    return bridgenet.optimize_for_inference(bridgenet.build_network(config))


def photo(height: int, width: int) -> Image.Image:
    """Smooth shapes with noise."""
    small = np.random.default_rng(0).integers(256, size=(height // 50, width // 50, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def peak() -> float:
    """The most memory this process has had [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?")
    parser.add_argument("--size", type=int, nargs=2, default=(4000, 6000), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--tile", default="512")
    parser.add_argument("--outputs", nargs="+", default=["raw", "panel"])
    options = parser.parse_args()
    bridgenet.tune_allocator()
    network = bridgenet.load(options.weights, device="cpu").prepared() if options.weights else untrained()
    tile = int(options.tile) if options.tile.isdecimal() else options.tile
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo.jpg")
        photo(*options.size).save(path)
        before, started = peak(), time.perf_counter()
        predictor = NetworkPredictor(network, tile=tile)
        run_inputs(predictor, [str(path)], Path(folder, "out"), options=RunOptions(outputs=options.outputs))
    print(f"{time.perf_counter() - started:.1f} s, at most {peak():.0f} MB ({before:.0f} MB before)")


if __name__ == "__main__":
    main()
