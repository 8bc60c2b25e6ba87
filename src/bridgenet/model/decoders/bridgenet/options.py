"""Types of the BridgeNet decoder's options, and their resolution for every stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge, Le

from bridgenet.errors import UserError
from bridgenet.system.validation import MOST, Layers, Words

NUM_STAGES = 3
MAX_STAGES = 4

Stages = Annotated[int, Ge(1), Le(MAX_STAGES), Words(f"{NUM_STAGES} (as published), or 1 to {MAX_STAGES}")]
Width = Annotated[int, Ge(2), Le(MOST)]
Depth = Layers | list[Layers]
Divisor = Annotated[int, Ge(1), Le(64)]
Factor = Annotated[int, Ge(1), Le(1000)]
Chains = Sequence[Factor] | Sequence[Sequence[Factor]]
"""A list that is repeated over the refiner blocks of every stage, or one list per stage."""


def check_widths(embed_dim: int, extra_channels: int, num_stages: int) -> None:
    """UserError for widths that the stages cannot divide into attention heads."""
    if embed_dim % 2 or (embed_dim + extra_channels) % 2**num_stages:
        raise UserError(
            f"embed_dim is {embed_dim} and extra_channels {extra_channels}; embed_dim must be even and their sum C divisible "
            f"by {2**num_stages} (two attention heads at the widths of {num_stages} stages, C to C/{2 ** (num_stages - 1)})"
        )


def depths_of(refine_depth: Depth, num_stages: int) -> list[int]:
    """Number of refiner blocks d of each stage; UserError for a list of another length."""
    depths = [refine_depth] * num_stages if isinstance(refine_depth, int) else list(refine_depth)
    if len(depths) != num_stages:
        raise UserError(f"refine_depth is {refine_depth}; give one number, or {num_stages} of them")
    return depths


def chains_of(name: str, values: Chains, depths: Sequence[int]) -> list[list[int]]:
    """One list per stage, with a value for each refiner block; UserError for a wrong number of lists, or empty ones."""
    of_stages: list[Any] = [value for value in values if not isinstance(value, int)] or [values] * len(depths)
    if len(of_stages) != len(depths) or not all(of_stages):
        raise UserError(f"{name} is {values}; give one list of numbers, which is repeated, or {len(depths)} of them")
    return [[chain[j % len(chain)] for j in range(depth)] for chain, depth in zip(of_stages, depths)]
