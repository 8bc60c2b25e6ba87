"""How much memory a process takes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from bridgenet.system.memory import peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_is_bytes_of_this_process() -> None:
    """Between what it holds now and the largest that its parent or itself ever held."""
    import resource

    now = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    peak = peak_memory(torch.device("cpu"))
    assert peak is not None
    assert now <= peak * 1.01
    assert peak <= 1.01 * 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
