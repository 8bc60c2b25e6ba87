from __future__ import annotations

import cv2
import pytest
import torch

from bridgenet.benchmark.loading import measure_loading
from bridgenet.errors import UserError


@pytest.mark.parametrize("name", ["nyud", "pascal"])
def test_rates_of_every_repetition(name: str) -> None:
    threads = torch.get_num_threads(), cv2.getNumThreads()
    found = measure_loading(name, images=2, size=(40, 52), repetitions=2, samples=3, batch_size=2)  # type: ignore[arg-type]
    for rates in (found.loading, found.cached, found.decoding, found.transfer):
        assert len(rates) == 2
        assert min(rates) > 0
    pixels = {"nyud": 448 * 576, "pascal": 512 * 512}[name]
    channels = {"nyud": 3 + 1 + 4 + 3 + 1, "pascal": 3 + 1 + 1 + 1 + 3 + 1}[name]
    assert found.bytes_per_sample == pixels * channels
    assert found.cache_bytes_per_sample == 40 * 52 * channels
    assert threads == (torch.get_num_threads(), cv2.getNumThreads())


def test_what_cannot_be_measured() -> None:
    with pytest.raises(UserError, match="'nyu' is not a layout"):
        measure_loading("nyu")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="images is 0"):
        measure_loading(images=0)
