from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bridgenet.ops import pooling


@pytest.mark.parametrize("is_exporting", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (2, 2, 0), (4, 4, 0), (8, 8, 0)])
def test_equals_pytorchs(kernel: int, stride: int, padding: int, is_exporting: bool, monkeypatch) -> None:
    """Every size, also maps smaller than the kernel and last windows that hang over."""
    monkeypatch.setattr(pooling, "is_exporting", lambda: is_exporting)
    torch.manual_seed(0)
    for height in range(kernel - 2 * padding if padding else 1, 12):
        x = torch.randn(2, 3, height, 13 - height, dtype=torch.float64)
        expected = F.avg_pool2d(x, kernel, stride=stride, padding=padding, ceil_mode=True)
        torch.testing.assert_close(pooling.average_pool(x, kernel, stride, padding), expected)
