"""DCNv3 at InternImage-L's shapes: the operator beside the plain way, forward and backward.

    python benchmarks/dcnv3.py                                     # CPU, 448×576, batch 1, float32
    python benchmarks/dcnv3.py --device cuda --batch 4 --dtype bfloat16

Median milliseconds (range) over interleaved runs. Two plain ways: the definition written out, which is the one that the
operator replaces and which differentiates twice, and the one on PyTorch's `grid_sample`, which exporters get. On CUDA
the limit is what copying as many bytes takes: inputs once, results once.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bridgenet.model.backbones.internimage import SIZES
from bridgenet.ops.dcnv3 import dcnv3
from bridgenet.ops.dcnv3.geometry import Geometry
from bridgenet.ops.dcnv3.plain import dcnv3_plain

LARGE = SIZES["internimage_l"]
WAYS: dict[str, Callable[[tuple[Tensor, ...], Geometry], Tensor]] = {
    "operator": lambda x, g: dcnv3(*x, num_groups=g.num_groups, offset_scale=g.offset_scale, implementation="operator"),
    "plain": lambda x, g: dcnv3_plain(*x, g, use_grid_sample=False),
    "grid_sample": lambda x, g: dcnv3_plain(*x, g, use_grid_sample=True),
}


def timed(run: Callable[[], object], device: str) -> float:
    """Milliseconds of one call."""
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - started)


def shown(values: Sequence[float]) -> str:
    return f"{statistics.median(values):8.2f} ({min(values):.2f} to {max(values):.2f})"


def copy_bandwidth(device: str) -> float:
    """Bytes a millisecond, read and written, of copying 1 GiB."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    return 2 * source.numel() / min(timed(lambda: target.copy_(source), device) for _ in range(5))


def level(index: int, options: argparse.Namespace) -> None:
    """Print one level of InternImage-L."""
    height, width = (side // 2 ** (index + 2) for side in options.size)
    channels, groups = LARGE["channels"] * 2**index, LARGE["groups"][index]
    geometry = Geometry.of(3, 1, 1, 1, groups, LARGE["offset_scale"])
    make = {"device": options.device, "dtype": getattr(torch, options.dtype)}
    shape = (options.batch, height, width)
    inputs = (
        torch.randn(*shape, channels, **make).requires_grad_(),
        (0.5 * torch.randn(*shape, groups * 18, **make)).requires_grad_(),
        torch.rand(*shape, groups, 9, **make).softmax(-1).flatten(-2).requires_grad_(),
    )
    grad = torch.randn(*shape, channels, **make)
    outputs = {name: way(inputs, geometry) for name, way in WAYS.items()}

    def forward(name: str) -> None:
        with torch.no_grad():
            WAYS[name](inputs, geometry)

    def backward(name: str) -> None:
        torch.autograd.grad(outputs[name], inputs, grad, retain_graph=True)

    print(f"\n{height}×{width}, {channels} channels, {groups} groups")
    for what, run in (("forward", forward), ("backward", backward)):
        taken: dict[str, list[float]] = {name: [] for name in WAYS}
        for i in range(options.runs + 1):
            for name in WAYS:
                milliseconds = timed(lambda run=run, name=name: run(name), options.device)
                if i:  # the first is a warm-up
                    taken[name].append(milliseconds)
        ours = statistics.median(taken["operator"])
        for name, values in taken.items():
            print(f"  {what:9}{name:12}{shown(values)} ms   {statistics.median(values) / ours:.1f}×")
        if options.device == "cuda":
            size = sum(x.nbytes for x in inputs)
            moved = size + grad.nbytes if what == "forward" else 2 * size + grad.nbytes
            print(f"  {what:9}{'copy limit':12}{moved / options.bandwidth:8.3f} ms")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, nargs=2, default=[448, 576])
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    name = torch.cuda.get_device_name() if options.device == "cuda" else f"{torch.get_num_threads()} threads"
    print(
        f"torch {torch.__version__}, {options.device} ({name}), {options.dtype}, batch {options.batch}, {options.size}"
    )
    if options.device == "cuda":
        options.bandwidth = copy_bandwidth(options.device)
        print(f"copying: {options.bandwidth / 1e6:.0f} GB/s")
    for index in range(4):
        level(index, options)


if __name__ == "__main__":
    main()
