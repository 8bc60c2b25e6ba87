from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bridgenet.model.fast import accelerate_network
from bridgenet.model.fast.linear import PointwiseLinear, SoftmaxOfFew, pointwise
from bridgenet.model.fast.packed import PackedConv2d, PackedLinear, can_pack, fuse_gelu, pack

needs_packing = pytest.mark.skipif(
    not can_pack(torch.float32), reason="this PyTorch has no operators for packed weights"
)


@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 7), (2, 3, 4, 7), (0, 7)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_pointwise(shape, dtype) -> None:
    x, weight, bias = torch.randn(shape).to(dtype), torch.randn(5, 7).to(dtype), torch.randn(5).to(dtype)
    bound = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 5e-2}[dtype]
    for b in (bias, None):
        got = pointwise(x, weight, b)
        assert got.dtype == dtype
        torch.testing.assert_close(got, F.linear(x, weight, b), atol=bound, rtol=bound)


def test_pointwise_takes_maps_in_any_memory() -> None:
    x, weight = torch.randn(2, 7, 4, 3).permute(0, 2, 3, 1), torch.randn(5, 7)
    torch.testing.assert_close(pointwise(x, weight), F.linear(x, weight))
    torch.testing.assert_close(pointwise(x[:, ::2], weight), F.linear(x[:, ::2], weight))


def test_linear_layers_keep_weights_and_gradients() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3, bias=False))
    x, names = torch.randn(2, 5, 6), list(network.state_dict())

    def gradients() -> list[torch.Tensor]:
        return list(torch.autograd.grad(network(x).square().sum(), list(network.parameters())))

    before = gradients()
    accelerate_network(network)
    assert [type(layer) for layer in network] == [PointwiseLinear, nn.GELU, PointwiseLinear]
    assert list(network.state_dict()) == names
    for got, expected in zip(gradients(), before):
        torch.testing.assert_close(got, expected)


def test_subclasses_of_linear_are_left_alone() -> None:
    class Own(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return -super().forward(x)

    network = nn.Sequential(Own(2, 2))
    accelerate_network(network)
    pack(network)
    assert type(network[0]) is Own


@pytest.mark.parametrize("shape", [(2, 3, 4, 9), (1, 9), (5, 2, 1)], ids=str)
def test_softmax_of_few(shape) -> None:
    x = 30 * torch.randn(shape, dtype=torch.float64)
    x.requires_grad_()
    weight = torch.randn(shape, dtype=torch.float64)
    got, expected = SoftmaxOfFew(dim=-1)(x), x.softmax(-1)
    torch.testing.assert_close(got, expected)
    a, b = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (got, expected))
    torch.testing.assert_close(a, b)


@needs_packing
@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 1},
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 5, "dilation": 5, "groups": 16},
        {"kernel_size": 3, "stride": 2, "padding": 1, "bias": False},
        {"kernel_size": (2, 4), "stride": (2, 4), "groups": 2},
    ],
    ids=str,
)
def test_packed_convolution(settings, dtype) -> None:
    if not can_pack(dtype):
        pytest.skip(f"this machine has no packed weights in {dtype}: bridgenet does not pack there either")
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 32, **settings).to(dtype)
    packed = PackedConv2d(conv)
    for size in ((9, 12), (5, 6), (16, 16)):  # packed for the first, right for all
        x = torch.randn(2, 16, *size).to(dtype)
        bound = 1e-5 if dtype == torch.float32 else 2e-2
        torch.testing.assert_close(packed(x), conv(x), atol=bound, rtol=bound)


@needs_packing
@torch.no_grad()
def test_packed_linear_and_gelu() -> None:
    torch.manual_seed(0)
    mlp = nn.Module()
    mlp.fc1, mlp.act, mlp.fc2 = nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 6)
    approximate = nn.Module()
    approximate.fc1, approximate.act = nn.Linear(6, 24), nn.GELU(approximate="tanh")
    x = torch.randn(2, 5, 6)

    def run() -> torch.Tensor:
        return mlp.fc2(mlp.act(mlp.fc1(x)))

    expected = run()
    for module in (mlp, approximate):
        fuse_gelu(module, [nn.Module])
        pack(module)
    assert isinstance(mlp.act, nn.Identity)
    assert isinstance(approximate.act, nn.GELU)
    assert isinstance(mlp.fc2, PackedLinear)
    torch.testing.assert_close(run(), expected)


@needs_packing
def test_convolutions_of_other_kinds_are_not_packed() -> None:
    module = nn.Sequential(nn.Conv2d(2, 2, 3, padding="same"), nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"))
    pack(module)
    assert [type(layer) for layer in module] == [nn.Conv2d, nn.Conv2d]
