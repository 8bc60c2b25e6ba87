from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgenet import tasks
from bridgenet.errors import UserError
from bridgenet.tasks import decoding


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
    elif kind in ("depth", "regression"):
        assert (found.min() < 0) == (tasks.get(task).decode == "bridgenet.tasks.decoding:regression")
        assert found.max() > 1
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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_class_is_that_of_the_first_largest_logit(dtype: torch.dtype) -> None:
    x = torch.randint(-3, 3, (3, 40, 6, 7), generator=torch.Generator().manual_seed(1)).to(dtype)  # most have ties
    x[0, 5, 0, 0] = torch.inf
    x[0, :, 0, 1] = -torch.inf
    x[1, 7, 2, 2] = x[1, 30, 2, 2] = torch.nan  # the larger, and the first of two
    x[1, 2, 2, 2] = torch.inf
    found = decoding.class_index(x)
    assert found.dtype == torch.int64
    assert found[1, 2, 2] == 7
    assert torch.equal(found, x.argmax(dim=1))
    for other in (x[..., 1:, ::2], x.contiguous(memory_format=torch.channels_last), x[:, :1], x[:0], x.long()):
        assert torch.equal(decoding.class_index(other), other.argmax(dim=1))


def test_class_of_logits_that_need_a_gradient() -> None:
    x = logits(40).requires_grad_()
    assert torch.equal(decoding.class_index(x), x.argmax(dim=1))


def test_first_largest_takes_maps_as_they_are_made() -> None:
    x = torch.tensor([[1.0, 2, torch.nan, 0], [3, 2, 5, 4], [3, 1, 9, torch.nan], [0, 2, 9, 9]])
    index, largest = decoding.streaming_argmax(row for row in x)
    assert index.tolist() == [1, 0, 0, 1]
    assert largest[:2].tolist() == [3, 2] and largest[2:].isnan().all()
