"""Materials drawn at random but typical for their use: woods, cloths, paints, floors, skins."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from .textures import Colour, Material

T = TypeVar("T")
_WOODS: tuple[tuple[Colour, Colour], ...] = (
    ((0.36, 0.20, 0.09), (0.24, 0.12, 0.05)),
    ((0.52, 0.34, 0.18), (0.40, 0.24, 0.11)),
    ((0.17, 0.08, 0.04), (0.10, 0.045, 0.025)),
    ((0.62, 0.47, 0.29), (0.52, 0.37, 0.21)),
    ((0.27, 0.11, 0.06), (0.18, 0.07, 0.035)),
)
_SKINS: tuple[Colour, ...] = (
    (0.72, 0.47, 0.35),
    (0.60, 0.36, 0.25),
    (0.38, 0.21, 0.13),
    (0.20, 0.10, 0.06),
    (0.66, 0.44, 0.29),
)
_HAIRS: tuple[Colour, ...] = (
    (0.02, 0.016, 0.013),
    (0.10, 0.05, 0.025),
    (0.30, 0.18, 0.07),
    (0.16, 0.05, 0.02),
    (0.35, 0.33, 0.31),
)
_PAINTINGS: tuple[str, ...] = ("painting", "painting", "blotches")


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def hsv(hue: float, saturation: float, value: float) -> Colour:
    return colorsys.hsv_to_rgb(hue % 1, saturation, value)


def hues(
    rng: np.random.Generator, number: int, saturation: tuple[float, float], value: tuple[float, float]
) -> tuple[Colour, ...]:
    """Colours of any hue, saturation and value in those ranges."""
    return tuple(hsv(rng.random(), rng.uniform(*saturation), rng.uniform(*value)) for _ in range(number))


def scaled(colour: Colour, factor: float) -> Colour:
    return (min(colour[0] * factor, 0.95), min(colour[1] * factor, 0.95), min(colour[2] * factor, 0.95))


def plain(rng: np.random.Generator, colour: Colour, gloss: float = 0.0, emission: float = 0.0) -> Material:
    return Material("plain", (colour, scaled(colour, 0.92)), phase=rng.random(), gloss=gloss, emission=emission)


def wood(rng: np.random.Generator, gloss: float = 0.12) -> Material:
    tone = rng.uniform(0.85, 1.15)
    first, second = pick(rng, _WOODS)
    return Material("wood", (scaled(first, tone), scaled(second, tone)), phase=rng.random(), gloss=gloss)


def paint(rng: np.random.Generator) -> Material:
    """White or light furniture paint."""
    value = rng.uniform(0.62, 0.82)
    return plain(rng, hsv(rng.uniform(0.05, 0.16), rng.uniform(0, 0.14), value), gloss=0.15)


def metal(rng: np.random.Generator) -> Material:
    value = pick(rng, (0.04, 0.35, 0.55))
    return plain(rng, (value, value, value * 1.03), gloss=0.6)


def cloth(rng: np.random.Generator, *, vivid: bool = False, patterned: float = 0.0) -> Material:
    """Upholstery, bedding, clothes; with probability `patterned` stripes, checks, plaid or blotches."""
    value = rng.uniform(0.12, 0.55)
    saturation = rng.uniform(0.45, 0.85) if vivid else rng.uniform(0.05, 0.5)
    colour = hsv(rng.random(), saturation, value)
    if rng.random() < patterned:
        other = pick(rng, ((0.75, 0.72, 0.66), scaled(colour, 0.45), hsv(rng.random(), 0.5, 0.5)))
        texture = pick(rng, ("stripes", "checks", "plaid", "blotches"))
        return Material(texture, (colour, other), scale=rng.uniform(0.08, 0.22), phase=rng.random())
    return Material("fabric", (colour, scaled(colour, 0.85)), phase=rng.random())


def linen(rng: np.random.Generator) -> Material:
    """White to cream bedding."""
    colour = hsv(rng.uniform(0.05, 0.65), rng.uniform(0, 0.12), rng.uniform(0.65, 0.85))
    return Material("fabric", (colour, scaled(colour, 0.93)), phase=rng.random())


def skin(rng: np.random.Generator) -> Material:
    colour = scaled(pick(rng, _SKINS), rng.uniform(0.9, 1.1))
    return plain(rng, colour, gloss=0.06)


def hair(rng: np.random.Generator) -> Material:
    colour = pick(rng, _HAIRS)
    return Material("carpet", (colour, scaled(colour, 1.6)), phase=rng.random(), gloss=0.15)


def art(rng: np.random.Generator, size: float) -> Material:
    colours = hues(rng, 5, (0.2, 0.8), (0.1, 0.8))
    return Material(pick(rng, _PAINTINGS), colours, scale=size, phase=rng.random(), gloss=0.15)


def wall(rng: np.random.Generator) -> Material:
    colour = hsv(pick(rng, (0.08, 0.12, 0.15, 0.3, 0.55, 0.6)), rng.uniform(0.02, 0.3), rng.uniform(0.5, 0.78))
    texture = pick(rng, ("plain",) * 7 + ("stripes", "bricks", "blotches"))
    factor = 0.6 if texture == "bricks" else 0.9
    colours = (colour, scaled(colour, 0.95 if texture == "plain" else factor))
    return Material(texture, colours, scale=rng.uniform(0.15, 0.3), phase=rng.random())


def ceiling(rng: np.random.Generator) -> Material:
    value = rng.uniform(0.72, 0.85)
    return plain(rng, (value, value * 0.99, value * 0.96))


def floor(rng: np.random.Generator, *, wet: bool = False) -> Material:
    texture = "tiles" if wet else pick(rng, ("planks", "planks", "planks", "carpet", "tiles", "checks"))
    phase = rng.random()
    if texture == "planks":
        return Material("planks", pick(rng, _WOODS), scale=rng.uniform(0.08, 0.16), phase=phase, gloss=0.25)
    if texture == "carpet":
        colour = hsv(rng.uniform(0.02, 0.65), rng.uniform(0.08, 0.4), rng.uniform(0.18, 0.45))
        return Material("carpet", (colour, scaled(colour, 0.9)), phase=phase)
    colour = hsv(rng.uniform(0.03, 0.15), rng.uniform(0.05, 0.35), rng.uniform(0.35, 0.65))
    other = scaled(colour, rng.uniform(0.35, 0.6))
    return Material(texture, (colour, other), scale=rng.uniform(0.25, 0.45), phase=phase, gloss=0.3)
