from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bridgenet.ops import pooling


@pytest.mark.parametrize("written_out", [None, "exporting", "compiling"])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (2, 2, 0), (4, 4, 0), (8, 8, 0)])
def test_equals_pytorchs(kernel: int, stride: int, padding: int, written_out: str | None, monkeypatch) -> None:
    """Every size, also maps smaller than the kernel and last windows that hang over; the gradient as well."""
    monkeypatch.setattr(pooling, "is_exporting", lambda: written_out == "exporting")
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: written_out == "compiling")
    torch.manual_seed(0)
    for height in range(kernel - 2 * padding if padding else 1, 12):
        x = torch.randn(2, 3, height, 13 - height, dtype=torch.float64, requires_grad=True)
        expected = F.avg_pool2d(x, kernel, stride=stride, padding=padding, ceil_mode=True)
        got = pooling.average_pool(x, kernel, stride, padding)
        torch.testing.assert_close(got, expected)
        weights = torch.arange(expected.numel(), dtype=x.dtype).view_as(expected)
        for gradients in zip(*(torch.autograd.grad((y * weights).sum(), x) for y in (got, expected))):
            torch.testing.assert_close(*gradients)
