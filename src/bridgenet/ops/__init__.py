"""Operators that PyTorch does not have, or has in a slower form."""

from bridgenet.ops.dcnv3 import dcnv3
from bridgenet.ops.definitions import definitions

__all__ = ["dcnv3", "definitions"]
