from __future__ import annotations

import math

import pytest
import torch

from bridgenet.metrics.base import masked, pooled_count, pooled_sum, valid_mask

SPECIAL = [0.0, -0.0, 1.5, -2.0, 1e-42, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_blank_keeps_every_bit_or_none(dtype: torch.dtype) -> None:
    values = torch.tensor(SPECIAL, dtype=dtype)
    kept, other = masked(torch.ones_like(values), values, -values)
    integer = torch.int32 if dtype == torch.float32 else torch.int64
    assert torch.equal(kept.view(integer), values.view(integer))
    assert torch.equal(other.view(integer), (-values).view(integer))
    (gone,) = masked(torch.zeros_like(values), values)
    assert (gone == 0).all()


def test_blank_takes_expanded_and_permuted_values() -> None:
    valid = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    expanded, permuted = torch.tensor([[5.0], [7.0]]).expand(2, 3), torch.arange(6.0).view(3, 2).T
    found = masked(valid, expanded, permuted)
    assert torch.equal(found[0], expanded * valid)
    assert torch.equal(found[1], permuted * valid)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_labelled(dtype: torch.dtype) -> None:
    assert valid_mask(torch.tensor([0, 255, math.nan, 256], dtype=dtype)).tolist() == [1, 1, 0, 1]


def test_pooling_loses_nothing_over_many_rows() -> None:
    # one float32 cannot hold such a sum: from 2^24 on it counts in twos
    ones = torch.ones(1).expand(2**13, 2**12)
    ones_and_more = [ones, torch.ones(1, 2**12)]
    assert sum(pooled_count(x).item() for x in ones_and_more) == 2**25 + 2**12
    assert pooled_sum(ones).item() == 2**25
