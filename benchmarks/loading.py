"""Training samples a second of one processor core, from files in a published layout to collated batches.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/loading.py nyud [--runs 7] [--out benchmark]

Renders rooms in the layout for it. Prints a table and writes `data.json`, which `benchmarks/draw.py` draws.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import torch

from bridgenet import data
from bridgenet.benchmark.rates import summary
from bridgenet.benchmark.results import Results
from bridgenet.benchmark.tables import aligned, size
from bridgenet.cli.benchmark import image_size, positive
from bridgenet.data.pipeline.batches import to_device
from bridgenet.data.pipeline.cache import SampleCache
from bridgenet.data.pipeline.loading import training_loader
from bridgenet.errors import UserError
from bridgenet.synthetic import generate

SIZES = {"nyud": (425, 560), "pascal": (375, 500)}
"""By layout, (height, width) of the photographs: NYUD-v2's, and a usual one of PASCAL-Context's [pixels]."""
REFERENCE = {"nyud": 24.0}
"""By layout: training samples a second that one core makes with the reference implementation."""
RATES = {
    "loading": "decoded, augmented, collated",
    "cached": "the same from a cache of decoded samples",
    "decoding": "decoded only: the floor of the first",
    "transfer": "float32 and normalised: the network's process",
}


@dataclass(frozen=True)
class DataCase:
    """What is measured, on one thread: all tasks of the data set, cut to its published training size.

    Attributes:
        layout: of :data:`SIZES`.
        images: training samples rendered.
        size: (height, width) of the photographs [pixels]; None: that of :data:`SIZES`.
        batch: samples of a batch.
        samples: loaded in each run, rounded up to whole batches.
        runs: of each measurement, interleaved, after one that is not counted; the augmentation is the same in all.
    """

    layout: str = "nyud"
    images: int = 24
    size: tuple[int, int] | None = None
    batch: int = 3
    samples: int = 60
    runs: int = 5


def measure(case: DataCase) -> dict[str, Any]:
    """`rates`: samples a second by name, see :data:`RATES`; `bytes_per_sample` of a batch, `cache_bytes_per_sample`."""
    with tempfile.TemporaryDirectory() as folder, _one_thread():
        size = case.size or SIZES[case.layout]
        generate(case.layout, Path(folder), train=case.images, val=0, size=size, seed=0)
        dataset = data.get(case.layout)(folder, "train")
        cache = SampleCache(dataset, Path(folder) / "cache", keep=True)
        steps = -(-case.samples // case.batch)

        def batches(source: SampleCache | None) -> list[dict[str, torch.Tensor]]:
            loader = training_loader(
                dataset,
                size=dataset.info.size,
                batch_size=case.batch,
                seed=0,
                num_workers=0,
                start_step=0,
                end_step=steps,
                cache=source,
            )
            return list(deque(loader, maxlen=1))  # all are made, the last one is kept

        rates: dict[str, list[float]] = {name: [] for name in RATES}
        for index in range(case.images):
            cache.compact(index)
        for run in range(-1, case.runs):
            started = time.perf_counter()
            (batch,) = batches(None)
            loaded = time.perf_counter()
            batches(cache)
            from_cache = time.perf_counter()
            for index in range(case.images):
                dataset.compact(index)
            decoded = time.perf_counter()
            for _ in range(steps):
                to_device(batch, "cpu", dataset.tasks)
            sent = time.perf_counter()
            if run >= 0:
                rates["loading"].append(steps * case.batch / (loaded - started))
                rates["cached"].append(steps * case.batch / (from_cache - loaded))
                rates["decoding"].append(case.images / (decoded - from_cache))
                rates["transfer"].append(steps * case.batch / (sent - decoded))
        return {
            "rates": {name: summary(values) for name, values in rates.items()},
            "bytes_per_sample": sum(batch[key].nbytes for key in ("image", *dataset.tasks)) // case.batch,
            "cache_bytes_per_sample": sum(array.nbytes for array in dataset.compact(0).values()),
            "threads": 1,
        }


@contextmanager
def _one_thread() -> Iterator[None]:
    threads, opencv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(opencv_threads)


def table(layout: str, result: Mapping[str, Any]) -> str:
    """Samples a second, and bytes of a sample."""
    rows = [["", "", "samples/s", "reference"]]
    for name, found in result["rates"].items():
        told = f"{found['median']:.0f} ({found['min']:.0f} to {found['max']:.0f})"
        known = f"{REFERENCE[layout]:.0f}" if name == "loading" and layout in REFERENCE else "–"
        rows.append([name, RATES[name], told, known])
    in_batch, in_cache = (result[key] / 1e6 for key in ("bytes_per_sample", "cache_bytes_per_sample"))
    return aligned(rows, left=2) + f"\na sample takes {in_batch:.2f} MB in a batch, {in_cache:.2f} MB in a cache"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layout", choices=list(SIZES))
    parser.add_argument("--size", type=image_size, metavar="HxW", help="of the pictures (default: the data set's own)")
    parser.add_argument("--images", type=positive, default=24, help="pictures made")
    parser.add_argument("--batch", type=positive, default=3)
    parser.add_argument("--samples", type=positive, default=60, help="loaded in each run")
    parser.add_argument("--runs", type=positive, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmark"), help="folder for data.json")
    options = vars(parser.parse_args(arguments))
    try:
        results = Results(options.pop("out"), "data")
    except UserError as error:
        parser.error(str(error))
    case = DataCase(**options)
    record = results.measure(measure, case, asdict(case))
    print(
        f"rooms in {case.layout}'s layout, {size(case.size or SIZES[case.layout])}, all tasks, batch {case.batch}, one core"
    )
    print(table(case.layout, record["result"]) if record["result"] else f"– {record['error']}")
    print(f"→ {results.path}")
    return 0 if results.is_whole else 1


if __name__ == "__main__":
    raise SystemExit(main())
