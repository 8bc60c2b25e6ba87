from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgenet.model.fast import upsampled
from bridgenet.model.fast.upsampled import arrange, compose, conv3x3_of_upsampled_sum


def by_definition(maps, kernel, projections, size, dilation) -> torch.Tensor:
    projected = [x if p is None else F.conv2d(x, p) for x, p in zip(maps, projections)]
    enlarged = [F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in projected]
    return F.conv2d(torch.stack(enlarged).sum(0), kernel, padding=dilation, dilation=dilation)


def case(sizes, channels=5, batch=2, dtype=torch.float64, projected=True):
    """Maps, a kernel and projections, whatever comes of the sizes."""
    torch.manual_seed(0)
    kernel = torch.randn(channels, channels, 3, 3, dtype=dtype)
    widths = [channels] + [channels - 1 - i % 2 if projected else channels for i in range(len(sizes) - 1)]
    maps = [torch.randn(batch, width, *size, dtype=dtype) for width, size in zip(widths, sizes)]
    projections = [None if w == channels else torch.randn(channels, w, 1, 1, dtype=dtype) for w in widths]
    return maps, kernel, projections


sides = st.tuples(st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(sides, min_size=1, max_size=3),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dilation=st.integers(1, 3),
)
def test_equals_the_definition(sizes, size, dilation) -> None:
    """Any sizes: enlarged, kept or made smaller, one pixel, bands of rows that read but a part of a map."""
    maps, kernel, projections = case(sizes)
    taps = [arrange(compose(kernel, p)) for p in projections]
    with torch.no_grad():
        got = conv3x3_of_upsampled_sum(maps, taps, size, dilation=dilation)
    torch.testing.assert_close(got, by_definition(maps, kernel, projections, size, dilation), atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("sizes", [[(3, 4), (6, 8)], [(3, 4), (12, 16)], [(12, 16)]], ids=str)
def test_channels_in_parts_bias_and_relu(sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upsampled, "CHUNK", 2)  # the last part has one channel
    maps, kernel, projections = case(sizes)
    bias = torch.linspace(-3, 3, 5, dtype=torch.float64)
    expected = F.relu(by_definition(maps, kernel, projections, (12, 16), 1) + bias[:, None, None])
    taps = [arrange(compose(kernel, p)) for p in projections]
    assert [len(x) for x in taps[0]] == [18, 18, 9]
    for keeps_graph in (False, True):
        with torch.set_grad_enabled(keeps_graph):
            got = conv3x3_of_upsampled_sum(maps, taps, (12, 16), bias=bias, relu=True)
        torch.testing.assert_close(got, expected, atol=1e-11, rtol=1e-11)


def test_gradients() -> None:
    maps, kernel, projections = case([(2, 3), (4, 6)])
    leaves = [x.requires_grad_() for x in (*maps, kernel, projections[1])]
    taps = [arrange(compose(kernel, p)) for p in projections]
    weight = torch.randn(2, 5, 8, 12, dtype=torch.float64)
    got = torch.autograd.grad((conv3x3_of_upsampled_sum(maps, taps, (8, 12)) * weight).sum(), leaves)
    expected = torch.autograd.grad((by_definition(maps, kernel, projections, (8, 12), 1) * weight).sum(), leaves)
    for found, known in zip(got, expected):
        torch.testing.assert_close(found, known, atol=1e-11, rtol=1e-11)


def test_float32_and_bfloat16_stay_near() -> None:
    maps, kernel, projections = case([(7, 9), (14, 18)], channels=16)
    exact = by_definition(maps, kernel, projections, (28, 36), 1)
    for dtype, bound in ((torch.float32, 1e-6), (torch.bfloat16, 2e-2)):
        taps = [arrange(compose(kernel, p).to(dtype)) for p in projections]
        with torch.no_grad():
            got = conv3x3_of_upsampled_sum([x.to(dtype) for x in maps], taps, (28, 36))
        assert got.dtype == dtype
        assert (got - exact).abs().max() <= bound * exact.abs().max()


def test_inference_before_training() -> None:
    """What is kept from inference must not keep gradients from being recorded."""
    maps, kernel, _ = case([(4, 11)])
    with torch.inference_mode():
        conv3x3_of_upsampled_sum(maps, [arrange(kernel)], (9, 13))
    kernel.requires_grad_()
    conv3x3_of_upsampled_sum(maps, [arrange(kernel)], (9, 13)).sum().backward()
    assert kernel.grad is not None


def test_what_the_backward_pass_keeps() -> None:
    """Maps and kernels, not the tap maps, which are many times as large."""
    maps, kernel, _ = case([(12, 12)], channels=8, batch=1, dtype=torch.float32)
    leaves = [maps[0].requires_grad_(), kernel.requires_grad_()]
    kept: dict[int, int] = {}

    def keep(x: torch.Tensor) -> torch.Tensor:
        kept[x.data_ptr()] = x.numel()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        conv3x3_of_upsampled_sum(maps, [arrange(kernel)], (24, 24))
    constants = 4 * 24 * 36
    assert sum(kept.values()) <= sum(2 * x.numel() for x in leaves) + constants < 9 * maps[0].numel()
