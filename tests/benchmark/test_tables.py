"""Tables of what was measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from bridgenet.benchmark import tables
from bridgenet.benchmark.rates import summary


def record(seconds: list[float] | None = None, **changes: Any) -> dict[str, Any]:
    """A case of nyud-vit-base's; killed if there are no seconds."""
    case = {"kind": "inference", "network": "nyud-vit-base", "device": "cpu", "precision": "float32"}
    case |= {"way": "optimised", "size": [448, 576], "batch": 1, "config": {}} | changes
    if seconds is None:
        return {"case": case, "result": None, "error": "killed, for want of memory perhaps"}
    rates = {"G": summary([160e9, 170e9]), "product": summary([165e9]), "convolution": summary([210e9])}
    result = {
        "seconds": summary(seconds),
        "images_per_second": case["batch"] / np.median(seconds),
        "share": 0.91,
        "rates": rates | {"bandwidth": summary([36e9]), "best": 210e9, "side": 2048},
        "floor": {"operations": 3.3, "bytes": 0.2},
        "memory": 2.29e9,
        "cost": {"parameters": 219_600_000},
        "gmac": 369.0,
        "gmac_source": "reference",
    }
    return {"case": case, "result": result, "error": None}


def test_columns_are_aligned() -> None:
    assert tables.aligned([["a", "bb"], ["ccc", "d"]]) == "a    bb\nccc   d"


def test_times_in_words() -> None:
    assert [tables.duration(x) for x in (12.345, 3.4149, 0.0123, 0.00045)] == ["12.3 s", "3.41 s", "12.3 ms", "0.45 ms"]
    assert tables.spread(summary([3.38, 3.41, 3.52])) == "3.41 s (3.38 to 3.52)"
    assert tables.spread(summary([0.0321, 0.0331, 0.0343])) == "33.1 ms (32.1 to 34.3)"


def test_what_all_cases_share_is_told_once() -> None:
    text = tables.case_table([record([4.6, 4.7, 4.8]), record([3.0, 3.1, 3.2], way="plain")])
    same, header, first, second = text.splitlines()
    assert same == "device cpu, precision float32, size 448×576, batch 1"
    assert header.split()[:3] == ["network", "way", "time"]
    assert first.startswith("nyud-vit-base  optimised  4.70 s (4.60 to 4.80)")
    assert first.split()[-10:] == ["0.91", "0.62", "165", "3.30", "s", "2.29", "GB", "219.6", "M", "369"]
    assert "plain" in second
    assert len(header) == len(first) == len(second)


def test_a_case_that_failed_is_told_and_the_rest_shown() -> None:
    text = tables.case_table([record([4.7], batch=8), record(batch=64)])
    assert text.splitlines()[-1] == "nyud-vit-base  64  – killed, for want of memory perhaps"
    assert "4.70 s" in text
    only = tables.case_table([record()])
    assert only.endswith("nyud-vit-base  – killed, for want of memory perhaps") and "images/s" not in only


def test_reference_only_beside_the_same_case() -> None:
    def told(**changes: Any) -> str:
        return tables.case_table([record([4.7], **changes)]).splitlines()[-1].split()[8]

    assert told() == "0.62"
    assert [told(batch=2), told(precision="bfloat16"), told(device="cuda")] == ["–"] * 3
    assert told(kind="training", batch=2) == "0.73"


def test_rates_of_each_precision() -> None:
    lines = tables.rates_line([record([4.7]), record(), record([2.0], precision="bfloat16")]).splitlines()
    assert lines[0].startswith("cpu float32: G 160 to 170 GFLOP/s (float32 product of 2048³); products 165,")
    assert lines[1].startswith("cpu bfloat16: G 160 to 170 GFLOP/s (float32 product")
