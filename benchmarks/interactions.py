"""How much the tasks' interactions of a trained BridgeNet carry: TPP's and BFE's answers beside the features they are added to.

    python benchmarks/interactions.py DATA/rooms-v1/NYUDv2 RUN [RUN …] [--count 32] [--size 96 128]

RUN: folder of a run, or weights. Per module: the answer's size relative to the feature's (root mean square, all images and channels),
the share of the answer that varies over positions (0: the same vector everywhere, as uniform attention gives), and the attention's
perplexity relative to the number of keys (1: uniform).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import bridgenet
from bridgenet.imaging.reading import read_picture
from bridgenet.model.decoders.bridgenet.bfe import NUM_HEADS, BridgeFeatureExtractor
from bridgenet.model.decoders.bridgenet.tpp import AttentionFusion
from bridgenet.model.layers import split_heads
from bridgenet.ops.normalisation import IMAGENET_DEVIATION, IMAGENET_MEAN


def images(folder: Path, count: int, size: tuple[int, int]) -> torch.Tensor:
    """The first ones of the validation split as the network takes them, (B, 3, H, W)."""
    split = folder / "gt_sets/val.txt"
    if not split.is_file():
        raise SystemExit(f"no NYUD-v2 data at {folder} (looked for {split})")
    paths = [folder / f"images/{name}.png" for name in split.read_text().split()[:count]]
    pixels = [cv2.resize(read_picture(path), size[::-1], interpolation=cv2.INTER_AREA) for path in paths]
    x_BHWC = torch.from_numpy(np.stack(pixels)).float() / 255
    return ((x_BHWC - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_DEVIATION)).permute(0, 3, 1, 2).contiguous()


def shares(answer_BCHW: torch.Tensor, feature_BCHW: torch.Tensor) -> tuple[float, float]:
    """Root mean square relative to the feature's, and the share of the answer's that is not its mean over positions."""
    varying = answer_BCHW - answer_BCHW.mean(dim=(2, 3), keepdim=True)
    size = answer_BCHW.square().mean()
    return float((size / feature_BCHW.square().mean()).sqrt()), float((varying.square().mean() / size).sqrt())


def perplexity(attention: torch.Tensor) -> float:
    """Of softmax weights (…, keys), relative to the number of keys."""
    entropy = -(attention * attention.clamp(min=1e-30).log()).sum(dim=-1)
    return float(entropy.exp().mean()) / attention.shape[-1]


def measure(network: torch.nn.Module, x_BCHW: torch.Tensor) -> dict[str, tuple[float, float, float]]:
    """By module: answer over feature, share of the answer that varies, relative perplexity of the attention."""
    kept: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, module in network.named_modules():
        if isinstance(module, BridgeFeatureExtractor):
            parts = {"feature": module.side, "answer": module.restore, "query": module.query, "key": module.key}
        elif isinstance(module, AttentionFusion):
            parts = {"answer": module.projection, "scores": module.fuse}
            module.register_forward_hook(lambda _, inputs, out, name=name: kept[name].update(feature=inputs[0]))
        else:
            continue
        for part, inner in parts.items():
            inner.register_forward_hook(lambda _, inputs, out, name=name, part=part: kept[name].update({part: out}))
        kept[name]["module"] = module
    with torch.inference_mode():
        network(x_BCHW)
    found = {}
    for name, x in kept.items():
        answer = x["answer"]
        if "scores" in x:
            attention, answer = x["scores"].softmax(dim=-1), answer.transpose(1, 2).unsqueeze(-1)
        else:
            query, key = (split_heads(tokens, NUM_HEADS) for tokens in (x["query"][0], x["key"]))
            attention = (query @ key.transpose(-2, -1) * x["module"].scale).softmax(dim=-1)
        found[name] = (*shares(answer, x["feature"]), perplexity(attention))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--size", type=int, nargs=2, default=(96, 128))
    options = parser.parse_args()
    x_BCHW = images(options.data, options.count, tuple(options.size))
    for run in options.runs:
        print(run)
        for name, values in measure(bridgenet.load(run), x_BCHW).items():
            print("  {:32s} answer/feature {:7.4f}   varies {:6.3f}   perplexity {:6.3f}".format(name, *values))


if __name__ == "__main__":
    main()
