"""Training samples from disk: how many a second one processor core makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from bridgenet.benchmark.rates import summary

RATES = {
    "loading": "decoded, augmented, collated",
    "cached": "the same from a cache of decoded samples",
    "decoding": "decoded only: the floor of the first",
    "transfer": "float32 and normalised: the network's process",
}


@dataclass(frozen=True)
class DataCase:
    """Synthetic rooms in a published layout, all tasks; see :func:`bridgenet.benchmark.loading.measure_loading`."""

    layout: str = "nyud"
    images: int = 24
    size: tuple[int, int] | None = None
    batch: int = 3
    samples: int = 60
    runs: int = 5


def measure_data(case: DataCase) -> dict[str, Any]:
    """`rates`: samples a second by name, see :data:`RATES`; bytes of a sample."""
    from bridgenet.benchmark.loading import measure_loading

    found = measure_loading(
        cast(Any, case.layout),
        images=case.images,
        size=case.size,
        repetitions=case.runs,
        samples=case.samples,
        batch_size=case.batch,
    )
    return {
        "rates": {name: summary(getattr(found, name)) for name in RATES},
        "bytes_per_sample": found.bytes_per_sample,
        "cache_bytes_per_sample": found.cache_bytes_per_sample,
        "threads": 1,
    }
