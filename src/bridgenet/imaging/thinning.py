"""Thinning of many maps at once: up to 64 maps are the bits of one array of words.

The algorithm is Guo and Hall's, with the same results as scikit-image's `thin`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[Any]  # uint64, uint8 for few maps

WORD = 64


def thin(maps: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin maps (N, H, W) bool until convergence."""
    count, height, width = maps.shape
    thinned = np.empty_like(maps)
    word = np.uint8 if count <= 8 else np.uint64
    for first in range(0, count, WORD):
        part = maps[first : first + WORD]
        words = np.zeros((height, width), word)
        for bit, image in enumerate(part):
            words |= image.astype(word) << word(bit)
        words = _thin_words(words)
        for bit in range(len(part)):
            thinned[first + bit] = (words >> word(bit)) & word(1)
    return thinned


def _thin_words(words: Words) -> Words:
    padded = np.pad(words, 1)
    flat, width = padded.ravel(), padded.shape[1]
    around = np.array([-width - 1, -width, -width + 1, -1, 0, 1, width - 1, width, width + 1])
    is_near = np.empty(len(flat), bool)
    active = np.flatnonzero(flat)
    changed = before = active  # in the last half iteration, and in the one before
    second = False
    while len(changed) or len(before):
        removed = flat[active] & _removable(flat, active, width, second)
        before, changed = changed, active[removed != 0]
        flat[active] &= ~removed
        # A half iteration depends only on the neighbours of a pixel: only pixels with a neighbour that changed since
        # the last half iteration of the same kind can change.
        is_near.fill(False)
        for pixels in (changed, before):
            is_near[pixels[:, None] + around] = True
        active = np.flatnonzero(is_near & (flat != 0))
        second = not second
    return padded[1:-1, 1:-1]


def _removable(flat: Words, pixels: NDArray[np.int64], width: int, second: bool) -> Words:
    """The bits that a half iteration removes from pixels, which are indices into the flat map of that width."""

    def at(dy: int, dx: int) -> Words:
        return flat[pixels + (dy * width + dx)]

    east, north_east, north, north_west = at(0, 1), at(-1, 1), at(-1, 0), at(-1, -1)
    west, south_west, south, south_east = at(0, -1), at(1, -1), at(1, 0), at(1, 1)
    # Exactly one change from background to foreground around the pixel.
    a = ~east & (north_east | north)
    b = ~north & (north_west | west)
    c = ~west & (south_west | south)
    d = ~south & (south_east | east)
    removable: Words = (a ^ b ^ c ^ d) & ~_at_least_two(a, b, c, d)
    # Two or three neighbours, counted in pairs in both ways (the smaller count).
    pairs = (
        (east | north_east, north | north_west, west | south_west, south | south_east),
        (north_east | north, north_west | west, south_west | south, south_east | east),
    )
    removable &= _at_least_two(*pairs[0]) & _at_least_two(*pairs[1])
    removable &= ~(_all_four(*pairs[0]) & _all_four(*pairs[1]))
    if second:
        return removable & ~((south_west | south | ~north_west) & west)
    return removable & ~((north_east | north | ~south_east) & east)


def _at_least_two(a: Words, b: Words, c: Words, d: Words) -> Words:
    return (a & b) | (c & d) | ((a | b) & (c | d))


def _all_four(a: Words, b: Words, c: Words, d: Words) -> Words:
    return a & b & c & d
