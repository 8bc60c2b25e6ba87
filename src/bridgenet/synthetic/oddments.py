"""Rare objects of rooms: shelves, clothes, a shower curtain, stools, pillars, radiators; see `furniture` for the frames."""

from __future__ import annotations

import math

import numpy as np

from . import materials as mat
from . import props
from .description import Builder
from .furniture import Piece, Rng
from .textures import Material


def _folds(rng: Rng, scale: float) -> Material:
    colour = mat.hsv(rng.random(), rng.uniform(0.05, 0.6), rng.uniform(0.3, 0.8))
    return Material("folds", (colour, mat.scaled(colour, 0.65)), scale=scale, phase=rng.random())


def shelf(b: Builder, rng: Rng, width: float) -> None:
    """Boards on a panel at a wall with things on them; the builder's frame lies in the wall, at the lowest board."""
    body, depth = mat.wood(rng) if rng.random() < 0.6 else mat.paint(rng), rng.uniform(0.2, 0.28)
    rows = int(rng.integers(1, 3))
    boards = [i * 0.36 for i in range(rows)]
    b.box((0, 0.01, 0), (width, 0.02, rows * 0.36 - 0.04), body)
    for z in boards:
        b.box((0, depth / 2, z), (width, depth, 0.03), body)
        for side in (-1, 1):
            b.box((side * width * 0.38, depth * 0.4, z - 0.09), (0.03, depth * 0.8, 0.09), body)
    slots = max(int(width / 0.3), 1)
    for z in boards:
        for slot in range(slots):
            if rng.random() < 0.7:
                kind = mat.pick(rng, ("books", "cup", "bottle", "plant") if z == boards[-1] else ("books", "cup"))
                at = b.world(((slot + 0.5) / slots - 0.5) * width, depth * 0.5, z + 0.03)
                with b.object(kind, at, b.yaw):
                    props.small_thing(b, rng, kind)


def hung_clothes(b: Builder, rng: Rng, width: float) -> None:
    """A rail with hooks and what hangs there, 0.85 m high from the builder's z = 0."""
    rail = mat.wood(rng) if rng.random() < 0.5 else mat.metal(rng)
    b.box((0, 0.015, 0.8), (width, 0.03, 0.06), rail)
    for i in range(max(int(width / 0.3), 1)):
        x, drop = -width / 2 + 0.15 + i * 0.3, rng.uniform(0.55, 0.8)
        look = mat.cloth(rng, vivid=True, patterned=0.3) if rng.random() < 0.6 else _folds(rng, 0.08)
        b.box((x, 0.07, 0.82 - drop), (rng.uniform(0.2, 0.28), 0.09, drop - 0.06), look)
        b.ellipsoid((x, 0.08, 0.75), (0.15, 0.06, 0.07), look)
        b.capsule((x, 0.02, 0.84), (x, 0.1, 0.85), 0.01, rail)


def clothes(b: Builder, rng: Rng) -> None:
    """A heap, at the builder's origin."""
    for _ in range(int(rng.integers(2, 5))):
        look = mat.cloth(rng, vivid=True, patterned=0.3)
        x, y = rng.uniform(-0.12, 0.12), rng.uniform(-0.1, 0.1)
        radii = (rng.uniform(0.14, 0.24), rng.uniform(0.1, 0.18), rng.uniform(0.04, 0.09))
        b.ellipsoid((x, y, radii[2] * rng.uniform(0.4, 0.9)), radii, look, yaw=rng.uniform(0, math.pi))


def shower_curtain(b: Builder, rng: Rng, width: float) -> None:
    """On a rail around a bathtub of that width; the builder's frame is the tub's, its back at the wall."""
    rail, front = mat.metal(rng), 0.8
    for start, end in (((-1, 0.0), (-1, front)), ((-1, front), (1, front)), ((1, front), (1, 0.0))):
        a, z = (start[0] * width / 2, start[1], 2.0), (end[0] * width / 2, end[1], 2.0)
        b.capsule(a, z, 0.014, rail)
    drawn = rng.uniform(0.3, 0.75) * width
    side = -1 if rng.random() < 0.5 else 1
    look = mat.cloth(rng, vivid=True, patterned=0.6) if rng.random() < 0.5 else _folds(rng, 0.1)
    b.box((side * (width - drawn) / 2, front, 0.12), (drawn, 0.05, 1.87), look)


def stool(rng: Rng) -> Piece:
    """A stool, an upholstered pouf or a bench."""
    style = int(rng.integers(3))
    width = rng.uniform(0.8, 1.1) if style == 2 else rng.uniform(0.36, 0.5)
    depth, height = rng.uniform(0.34, 0.44), rng.uniform(0.42, 0.5)
    if style == 0:
        height = rng.uniform(0.45, 0.75)

    def build(b: Builder) -> None:
        frame, seat = mat.wood(rng) if rng.random() < 0.6 else mat.metal(rng), mat.cloth(rng, patterned=0.4)
        if style == 1:
            b.cylinder((0, depth / 2, 0), depth / 2, height, seat)
            b.ellipsoid((0, depth / 2, height), (depth / 2, depth / 2, 0.04), seat)
            return
        for sx in (-1, 1):
            for sy in (-1, 1):
                b.box((sx * (width / 2 - 0.03), depth / 2 + sy * (depth / 2 - 0.03), 0), (0.04, 0.04, height), frame)
        b.box((0, depth / 2, height - 0.05), (width, depth, 0.07), seat if rng.random() < 0.5 else frame)

    return Piece("stool", width, depth, height + 0.04, build, 0.1)


def pillar(rng: Rng, height: float, face: Material) -> Piece:
    """From floor to ceiling, half of them in the look of a wall."""
    width = rng.uniform(0.18, 0.32)
    is_round = rng.random() < 0.4

    def build(b: Builder) -> None:
        look = face if rng.random() < 0.5 else mat.paint(rng)
        if is_round:
            b.cylinder((0, width / 2, 0), width / 2, height, look)
        else:
            b.box((0, width / 2, 0), (width, width, height), look)
        b.box((0, width / 2, 0), (width + 0.06, width + 0.06, 0.12), mat.paint(rng))

    return Piece("pillar", width, width, height, build, 0.05)


def radiator(rng: Rng) -> Piece:
    width, height = rng.uniform(0.6, 1.3), rng.uniform(0.5, 0.65)

    def build(b: Builder) -> None:
        shell = mat.paint(rng)
        b.box((0, 0.06, 0.1), (width, 0.03, height - 0.12), shell)
        for i in range(round(width / 0.1)):
            b.box((-width / 2 + 0.05 + i * 0.1, 0.08, 0.08), (0.06, 0.07, height - 0.08), shell)
        for side in (-1, 1):
            b.box((side * width * 0.4, 0.07, 0.0), (0.04, 0.06, 0.12), shell)
        b.capsule((width / 2, 0.07, height - 0.08), (width / 2 + 0.06, 0.07, height - 0.08), 0.025, mat.metal(rng))

    return Piece("radiator", width + 0.14, 0.13, height, build, 0.15)


def poster(b: Builder, rng: Rng, size: tuple[float, float]) -> None:
    """A sheet or canvas whose print has edges and patterns of other things: shelves of books, tiles, panes, cloth."""
    width, height = size
    hues = mat.hues(rng, 5, (0.1, 0.8), (0.05, 0.8))
    texture = mat.pick(rng, ("spines", "tiles", "checks", "plaid", "painting", "gradient", "stripes", "bricks"))
    scale = height if texture in ("painting", "gradient") else float(rng.uniform(0.06, 0.3))
    b.box((0, 0.01, 0), (width, 0.02, height), Material(texture, hues, scale=scale, phase=rng.random(), gloss=0.1))
    if rng.random() < 0.5:  # a picture within the picture
        inner = mat.art(rng, height) if rng.random() < 0.5 else mat.plain(rng, hues[-1])
        inset = np.array((rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7)))
        at = (rng.uniform(-0.12, 0.12) * width, 0.011, height * (1 - inset[1]) * rng.uniform(0.3, 0.7))
        b.box(at, (width * inset[0], 0.022, height * inset[1]), inner)
