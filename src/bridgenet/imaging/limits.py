"""The largest pictures and label files that are read."""

from __future__ import annotations

MOST_PIXELS = 89_478_485
"""Largest number of pixels of a picture: Pillow's limit."""


def check_pixels(width: int, height: int) -> None:
    """ValueError for more than :data:`MOST_PIXELS`, so that a small file cannot claim all memory."""
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"it is too large: {width}×{height} pixels; at most {MOST_PIXELS / 1e6:.0f} million are read. Cut or shrink it"
        )
