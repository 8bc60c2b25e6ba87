"""Objects beside a road: houses, trees, lamps, signals, fences. In the builder's frame +y looks along the road's side."""

from __future__ import annotations

import math

from . import materials as mat
from .description import Builder
from .furniture import Rng
from .textures import Colour, Material

_WALLS: tuple[Colour, ...] = (
    (0.5, 0.42, 0.31),
    (0.58, 0.54, 0.46),
    (0.44, 0.28, 0.2),
    (0.36, 0.35, 0.34),
    (0.55, 0.45, 0.38),
    (0.28, 0.16, 0.12),
    (0.6, 0.58, 0.55),
)
_LEAVES: tuple[Colour, ...] = ((0.05, 0.11, 0.025), (0.07, 0.14, 0.03), (0.1, 0.15, 0.04), (0.04, 0.09, 0.035))


def building(b: Builder, rng: Rng, width: float, depth: float, height: float) -> None:
    """A house with its front at x = 0, going towards −x; `width` along the road (y), centred."""
    colour = mat.scaled(mat.pick(rng, _WALLS), rng.uniform(0.85, 1.15))
    glass = mat.scaled((0.12, 0.14, 0.17), rng.uniform(0.6, 1.6))
    front = Material("facade", (colour, glass), scale=rng.uniform(1.8, 2.8), phase=rng.random(), gloss=0.05)
    stone = mat.plain(rng, mat.scaled(colour, rng.uniform(0.5, 1.1)))
    b.box((-depth / 2, 0, 3.2), (depth, width, height - 3.2), front)
    ground = Material("facade", (stone.colours[0], (0.06, 0.07, 0.08)), scale=rng.uniform(3, 4.5), phase=rng.random())
    b.box((-depth / 2, 0, 0), (depth, width, 3.2), ground)
    b.box((-depth / 2 + 0.12, 0, 3.1), (depth, width, 0.25), stone)
    b.box((-depth / 2 + 0.2, 0, height), (depth, width, 0.35), stone)
    if rng.random() < 0.6:
        roof = mat.plain(rng, mat.pick(rng, ((0.25, 0.09, 0.05), (0.09, 0.09, 0.1), (0.2, 0.13, 0.1))))
        b.box((-depth / 2 - 0.6, 0, height + 0.3), (depth - 1.2, width, rng.uniform(0.8, 2.2)), roof)
    if rng.random() < 0.4:  # balconies
        rail = mat.plain(rng, (0.08, 0.08, 0.09))
        for floor in range(1, int((height - 3.2) / 3)):
            b.box((0.35, rng.uniform(-0.2, 0.2) * width, 3.2 + 3 * floor), (0.9, 2.4, 0.9), rail)


def _foliage(rng: Rng) -> Material:
    tone = rng.uniform(0.8, 1.5)
    colour = mat.scaled(mat.pick(rng, _LEAVES), tone)
    return Material("leaves", (colour, mat.scaled(colour, 1.4)), scale=1.0, phase=rng.random())


def tree(b: Builder, rng: Rng) -> None:
    height, spread = rng.uniform(4.5, 9.0), rng.uniform(1.1, 2.0)
    bark = mat.plain(rng, mat.scaled((0.11, 0.08, 0.06), rng.uniform(0.6, 1.3)))
    trunk = height * rng.uniform(0.38, 0.5)
    b.cylinder((0, 0, 0), rng.uniform(0.12, 0.24), trunk + 0.8, bark, taper=0.7)
    leaves = _foliage(rng)
    for _ in range(9):
        turn, out = rng.uniform(0, 2 * math.pi), rng.uniform(0.1, 1.0) * spread
        size = rng.uniform(0.5, 0.85) * spread
        z = trunk + size * 0.7 + rng.random() * max(height - trunk - 1.6 * size, 0.2)
        b.ellipsoid((out * math.cos(turn), out * math.sin(turn), z), (size, size, size * rng.uniform(0.7, 1.0)), leaves)


def hedge(b: Builder, rng: Rng, length: float) -> None:
    """Bushes in a row along y."""
    leaves, height = _foliage(rng), rng.uniform(0.9, 2.4)
    for i in range(max(1, round(length / 1.6))):
        size = height * rng.uniform(0.45, 0.6)
        b.ellipsoid((rng.uniform(-0.2, 0.2), (i + 0.5) * 1.6 - length / 2, size * 0.9), (1.0, 1.15, size), leaves)


def lamp_post(b: Builder, rng: Rng) -> None:
    """A street lamp whose arm reaches over the road, +x."""
    grey, height = mat.plain(rng, (0.17, 0.18, 0.18), 0.2), rng.uniform(6, 8.5)
    b.cylinder((0, 0, 0), 0.1, height, grey, taper=0.6)
    b.capsule((0, 0, height), (1.4, 0, height + 0.35), 0.055, grey)
    b.box((1.6, 0, height + 0.28), (0.7, 0.25, 0.12), grey)


def bollard(b: Builder, rng: Rng) -> None:
    height = rng.uniform(0.8, 1.0)
    b.cylinder((0, 0, 0), 0.06, height, mat.plain(rng, mat.pick(rng, ((0.12, 0.12, 0.13), (0.4, 0.03, 0.03)))))


def sign_post(b: Builder, rng: Rng) -> None:
    """A traffic sign on a pole of its own; two objects. It faces −y."""
    height = rng.uniform(2.3, 3.0)
    with b.object("pole"):
        b.cylinder((0, 0, 0), 0.04, height + 0.3, mat.plain(rng, (0.35, 0.36, 0.37), 0.3))
    with b.object("traffic sign"):
        red, blue, white = ((0.5, 0.02, 0.03), (0.02, 0.1, 0.45), (0.8, 0.8, 0.78))
        kind = int(rng.integers(4))
        outer = mat.plain(rng, (red, blue, (0.6, 0.45, 0.02), white)[kind], 0.2)
        inner = mat.plain(rng, (white, white, white, (0.05, 0.05, 0.05))[kind], 0.2)
        if kind < 2:
            b.ellipsoid((0, -0.06, height), (0.34, 0.03, 0.34), outer)
            b.ellipsoid((0, -0.085, height), (0.23, 0.02, 0.23) if kind == 0 else (0.09, 0.02, 0.2), inner)
        else:
            size = (0.6, 0.6) if kind == 2 else (1.1, 0.5)
            b.box((0, -0.06, height - size[1] / 2), (size[0], 0.03, size[1]), outer)
            b.box((0, -0.08, height - size[1] / 2 + 0.1), (size[0] - 0.2, 0.02, size[1] - 0.2), inner)


def signal(b: Builder, rng: Rng, reach: float) -> None:
    """A traffic light on its mast, with a second one over the road, `reach` [m] towards +x. It faces −y."""
    with b.object("pole"):
        grey = mat.plain(rng, (0.15, 0.16, 0.16), 0.2)
        b.cylinder((0, 0, 0), 0.09, 5.6, grey)
        b.capsule((0, 0, 5.5), (reach, 0, 5.7), 0.06, grey)
    lit = int(rng.integers(3))
    for x, z in ((0.0, 2.6), (reach, 5.0)):
        with b.object("traffic light"):
            b.box((x, -0.2, z), (0.34, 0.26, 1.0), mat.plain(rng, (0.02, 0.025, 0.02)))
            for i, colour in enumerate(((0.02, 0.6, 0.15), (0.7, 0.4, 0.02), (0.75, 0.03, 0.02))):
                shown = colour if i == lit else mat.scaled(colour, 0.15)
                glow = Material("plain", (shown, shown), emission=2.0 * (i == lit))
                b.ellipsoid((x, -0.33, z + 0.2 + 0.3 * i), (0.11, 0.04, 0.11), glow)


def fence(b: Builder, rng: Rng, length: float) -> None:
    """Posts and rails along y, one can look through."""
    look = mat.plain(rng, mat.pick(rng, ((0.1, 0.11, 0.1), (0.3, 0.31, 0.32), (0.22, 0.15, 0.09))))
    height = rng.uniform(0.9, 1.4)
    posts = max(2, round(length / 0.5))
    for i in range(posts + 1):
        b.box((0, (i / posts - 0.5) * length, 0), (0.06, 0.09, height), look)
    for z in (0.15, height / 2, height - 0.1):
        b.box((0, 0, z), (0.04, length, 0.07), look)


def wall(b: Builder, rng: Rng, length: float) -> None:
    """A garden wall along y."""
    colour = mat.scaled(mat.pick(rng, ((0.35, 0.16, 0.1), (0.42, 0.4, 0.37))), rng.uniform(0.8, 1.2))
    texture = Material("bricks", (colour, mat.scaled(colour, 1.4)), scale=rng.uniform(0.25, 0.5), phase=rng.random())
    height = rng.uniform(1.3, 2.3)
    b.box((0, 0, 0), (0.3, length, height), texture)
    b.box((0, 0, height), (0.42, length, 0.1), mat.plain(rng, mat.scaled(colour, 0.8)))
