from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgenet import decoding, tasks
from bridgenet.errors import UserError


def logits(channels: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.randn(2, channels, 4, 5, generator=torch.Generator().manual_seed(0)) * 30).to(dtype)


@pytest.mark.parametrize("task", tasks.names())
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_shape_dtype_and_range_of_each_kind(task: str, dtype: torch.dtype) -> None:
    kind, channels = tasks.get(task).kind, tasks.get(task).num_outputs or 40
    found = decoding.decode(task, logits(channels, dtype))
    assert found.shape == ((2, 4, 5, 3) if kind == "normals" else (2, 4, 5))
    if kind == "classes":
        assert found.dtype == torch.int64
        assert found.min() >= 0 and found.max() < channels
        return
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    if kind == "normals":
        assert torch.allclose(found.norm(dim=-1), torch.ones((), dtype=found.dtype))
    elif kind == "depth":
        assert found.min() == 0 and found.max() > 1
    else:
        assert 0 <= found.min() < 0.01 and 0.99 < found.max() <= 1


def test_foreground_is_the_softmax_of_class_1() -> None:
    x = logits(2, torch.float64)
    assert torch.allclose(decoding.foreground_probability(x), x.softmax(dim=1)[:, 1], rtol=1e-12)


def test_unknown_task_is_named() -> None:
    with pytest.raises(UserError, match="did you mean depth"):
        decoding.decode("depht", logits(1))


def test_zero_vector_stays_zero_with_finite_gradient() -> None:
    x = torch.zeros(1, 3, 1, 1, requires_grad=True)
    unit = decoding.normalise(x)
    unit.sum().backward()
    assert unit.abs().max() == 0
    assert x.grad is not None and x.grad.abs().max() <= 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), st.floats(1e-3, 1e3))
def test_direction_does_not_depend_on_length(vector: list[float], scale: float) -> None:
    x = torch.tensor(vector, dtype=torch.float64)
    if x.norm() < 1e-100:
        return
    unit = decoding.normalise(x, dim=0)
    assert unit.norm().item() == pytest.approx(1)
    assert torch.allclose(unit, decoding.normalise(x * scale, dim=0), atol=1e-12)
