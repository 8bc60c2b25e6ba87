"""Operators that PyTorch does not have."""

from bridgenet.ops.dcnv3 import dcnv3

__all__ = ["dcnv3"]
