"""Time, memory and hardware utilisation of a network's forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from bridgenet.benchmark.cases import Case
from bridgenet.benchmark.cost import Cost, count, description, gmac_of
from bridgenet.benchmark.rates import Rates, seconds_of, summary
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.build import build_network
from bridgenet.model.inference import consume
from bridgenet.prediction import predict_image
from bridgenet.system import allocator
from bridgenet.system.compilation import autocast
from bridgenet.system.memory import peak_memory


def measure_inference(case: Case) -> dict[str, Any]:
    """Measure a forward pass with random weights; see :func:`measured`.

    From a batch of normalised images, on the device, to logits; from one 8-bit picture to decoded maps if
    `case.end_to_end`. Call it in a new process, so that the peak memory is that of this case.
    """
    is_tuned = prepare_process(case)
    torch.manual_seed(0)
    network = build_network(description(case.config, case.num_tasks)).eval().to(case.device)
    with _way(case, network) as run_network, torch.inference_mode():
        run = _picture_in(case, run_network) if case.end_to_end else _tensors_in(case, run_network)
        return measured(case, run, passes=1) | {"allocator_tuned": is_tuned}


def measured(case: Case, run: Callable[[], Any], *, passes: int) -> dict[str, Any]:
    """Time the runs of a case, with readings of the machine's rates in between.

    Args:
        passes: forward passes whose arithmetic a run's is counted as: 1, a training step 3.

    Returns:
        `seconds` of a batch, `images_per_second`, `first_run` [s]; `rates` of the machine; `gmac` of the batch and whose
        count it is; `share` = 2·GMAC / (time · G); `floor`: the seconds that the operations take at the machine's best rate
        and the bytes at its bandwidth; `memory`: peak, and `memory_built` before the first run, libraries included [bytes];
        `cost` of one image as this project counts it.
    """
    device = torch.device(case.device)
    built = peak_memory(device)
    first = [seconds_of(run, device) for _ in range(case.warm_up)]
    rates = Rates(device, case.precision, case.side)
    seconds = []
    for _ in range(case.runs):
        rates.read()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)  # of the matrices just multiplied
        seconds.append(seconds_of(run, device))
    memory = peak_memory(device)
    times, found = summary(seconds), rates.as_dict()
    counted = count(case.config, case.size, case.num_tasks)
    gmac, source = gmac_of(case, counted)
    gmac *= passes * case.batch
    moved = _bytes(case, counted, passes)
    return {
        "seconds": times,
        "images_per_second": case.batch / times["median"],
        "first_run": first[0] if first else None,
        "rates": found,
        "gmac": gmac,
        "gmac_source": source,
        "share": 2e9 * gmac / (times["median"] * found["G"]["median"]),
        "floor": {
            "operations": 2e9 * gmac / found["best"],
            "bytes": moved / found["bandwidth"]["median"],
            "bytes_moved": moved,
        },
        "memory": memory,
        "memory_built": built,
        "cost": counted.as_dict(),
        "threads": torch.get_num_threads(),
    }


def _bytes(case: Case, counted: Cost, passes: int) -> float:
    """Bytes that must be moved: weights once per pass, activations of the batch, and the optimiser's in training."""
    weights, activations = counted.weight_bytes, counted.activation_bytes * case.batch
    narrow = 0.5 if case.precision == "bfloat16" else 1.0
    moved = passes * narrow * (weights + activations)
    if case.kind == "training":
        moved += 7 * weights  # Adam reads weights, gradients and two moments, and writes all but the gradients
    return moved


def prepare_process(case: Case) -> bool:
    """Tune the allocator as the command line does; returns whether that succeeded."""
    if case.is_plain:
        return False
    return allocator.tune()


@contextmanager
def _way(case: Case, network: BridgeNet) -> Iterator[Callable[..., Any]]:
    """The function to call for a case; an optimised network is changed in place."""
    if not case.is_plain:
        precision: Any = case.precision
        yield consume(network, precision=precision, compile=case.is_compiled)
        return
    with autocast(torch.device(case.device), case.precision):
        yield torch.compile(network) if case.is_compiled else network


def _tensors_in(case: Case, run_network: Any) -> Callable[[], Any]:
    parameter = next(run_network.parameters())
    images = torch.randn(case.batch, 3, *case.size, generator=torch.Generator().manual_seed(0))
    images = images.to(parameter.device, parameter.dtype)
    return lambda: run_network(images)


def _picture_in(case: Case, network: Any) -> Callable[[], Any]:
    picture = np.random.default_rng(0).integers(0, 256, (*case.size, 3), dtype=np.uint8)
    return lambda: predict_image(network, picture, max_pixels=case.size[0] * case.size[1])
