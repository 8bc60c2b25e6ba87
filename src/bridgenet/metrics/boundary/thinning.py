"""Thinning of many maps of one image at once: 64 maps as the bits of one array of 64-bit words.

The rule is Guo and Hall's in the form that scikit-image's `thin` has; results are identical to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[Any]  # uint64

WORD = 64


def thin(maps: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N, H, W) bool → the same, each map thinned to convergence."""
    count, height, width = maps.shape
    thinned = np.empty_like(maps)
    for first in range(0, count, WORD):
        part = maps[first : first + WORD]
        words = np.zeros((height, width), np.uint64)
        for bit, image in enumerate(part):
            words |= image.astype(np.uint64) << np.uint64(bit)
        words = _thin_words(words)
        for bit in range(len(part)):
            thinned[first + bit] = (words >> np.uint64(bit)) & np.uint64(1)
    return thinned


def _thin_words(words: Words) -> Words:
    padded = np.pad(words, 1)
    while True:
        before = padded.copy()
        for second in (False, True):
            padded[1:-1, 1:-1] &= ~_removable(padded, second)
        if np.array_equal(before, padded):
            return before[1:-1, 1:-1]


def _removable(padded: Words, second: bool) -> Words:
    """Bits of the pixels that a half iteration takes away."""
    height, width = padded.shape

    def at(dy: int, dx: int) -> Words:
        return padded[1 + dy : height - 1 + dy, 1 + dx : width - 1 + dx]

    east, north_east, north, north_west = at(0, 1), at(-1, 1), at(-1, 0), at(-1, -1)
    west, south_west, south, south_east = at(0, -1), at(1, -1), at(1, 0), at(1, 1)
    # Exactly one crossing from background to foreground on the way around.
    a = ~east & (north_east | north)
    b = ~north & (north_west | west)
    c = ~west & (south_west | south)
    d = ~south & (south_east | east)
    removable: Words = (a ^ b ^ c ^ d) & ~_at_least_two(a, b, c, d)
    # Two or three of the neighbours, counted in pairs from either side (the smaller count).
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
