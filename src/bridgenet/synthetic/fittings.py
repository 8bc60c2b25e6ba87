"""Fittings of walls, floor and ceiling. On a wall the builder's frame has y = 0 in the wall and +y into the room."""

from __future__ import annotations

import math

import numpy as np

from . import materials as mat
from .description import Builder
from .textures import Material

Rng = np.random.Generator


def _frame(b: Builder, width: float, height: float, thick: float, depth: float, material: Material) -> None:
    """A rectangular frame around width × height, standing on z = 0."""
    for side in (-1, 1):
        b.box((side * (width + thick) / 2, depth / 2, 0), (thick, depth, height), material)
    b.box((0, depth / 2, height), (width + 2 * thick, depth, thick), material)


def door(b: Builder, rng: Rng, width: float) -> None:
    leaf = mat.wood(rng) if rng.random() < 0.6 else mat.paint(rng)
    trim = mat.paint(rng) if rng.random() < 0.5 else leaf
    _frame(b, width - 0.14, 1.98, 0.07, 0.06, trim)
    b.box((0, 0.015, 0), (width - 0.14, 0.03, 1.98), leaf)
    if rng.random() < 0.7:
        for z, height in ((0.15, 0.7), (1.0, 0.8)):
            b.box((0, 0.025, z), (width * 0.6, 0.04, height), leaf)
    side = 1 if rng.random() < 0.5 else -1
    b.ellipsoid(((width / 2 - 0.14) * side, 0.07, 0.98), (0.035, 0.035, 0.03), mat.metal(rng))


def window(b: Builder, rng: Rng, width: float, height: float, sill: float) -> None:
    """Panes with the outdoors behind them; blinds or curtains are instances of their own."""
    trim = mat.paint(rng)
    ground = mat.hsv(rng.uniform(0.2, 0.4), rng.uniform(0.05, 0.5), rng.uniform(0.35, 0.7))
    sky = mat.hsv(rng.uniform(0.54, 0.62), rng.uniform(0.05, 0.4), 0.95)
    pane = Material("gradient", (ground, sky), scale=height * 0.5, emission=rng.uniform(0.9, 1.8), gloss=0.1)
    b.box((0, 0.008, 0), (width, 0.016, height), pane)
    _frame(b, width, height, 0.06, 0.05, trim)
    b.box((0, 0.06, -0.03), (width + 0.2, 0.12, 0.035), trim)
    for i in range(1, int(rng.integers(2, 4))):
        b.box((width * (i / 2 - 0.5) if i < 2 else 0.0, 0.02, 0), (0.04, 0.035, height), trim)
    if rng.random() < 0.4:
        b.box((0, 0.02, height * 0.5), (width, 0.035, 0.04), trim)
    drape = rng.random()
    if drape < 0.22:
        with b.object("blinds"):
            colour = mat.hsv(rng.uniform(0.05, 0.15), rng.uniform(0, 0.2), rng.uniform(0.6, 0.8))
            slats = Material("slats", (mat.scaled(colour, 0.45), colour), scale=0.055, emission=0.15)
            drop = height * rng.uniform(0.4, 1.0)
            b.box((0, 0.065, height - drop), (width, 0.02, drop + 0.05), slats)
    elif drape < 0.72:
        with b.object("curtain"):
            colour = mat.hsv(rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.25, 0.75))
            pitch = rng.uniform(0.07, 0.12)
            folds = Material("folds", (colour, mat.scaled(colour, 0.6)), scale=pitch, phase=rng.random())
            bottom = rng.uniform(-sill + 0.05, -0.15) if rng.random() < 0.6 else -0.15
            panel = rng.uniform(0.25, 0.4)
            for side in (-1, 1):
                b.box((side * (width + 0.5 - panel) / 2, 0.11, bottom), (panel, 0.07, height + 0.12 - bottom), folds)
            rod = mat.metal(rng)
            b.capsule((-width / 2 - 0.25, 0.11, height + 0.14), (width / 2 + 0.25, 0.11, height + 0.14), 0.015, rod)


def picture(b: Builder, rng: Rng, size: tuple[float, float]) -> None:
    width, height = size
    frame = mat.wood(rng) if rng.random() < 0.6 else mat.metal(rng)
    b.box((0, 0.015, 0), (width, 0.03, height), frame)
    inner = (width - 0.06, 0.034, height - 0.06)
    if rng.random() < 0.5:
        b.box((0, 0.017, 0.03), inner, mat.linen(rng))
        inner = (width * 0.68, 0.038, height * 0.64)
        b.box((0, 0.019, height * 0.18), inner, mat.art(rng, max(width, height)))
    else:
        b.box((0, 0.017, 0.03), inner, mat.art(rng, max(width, height)))


def mirror(b: Builder, rng: Rng, size: tuple[float, float]) -> None:
    width, height = size
    b.box((0, 0.015, 0), (width, 0.03, height), mat.wood(rng))
    glass = Material("gradient", ((0.28, 0.31, 0.33), (0.55, 0.6, 0.63)), scale=height, gloss=1.0, emission=0.1)
    b.box((0, 0.018, 0.04), (width - 0.08, 0.036, height - 0.08), glass)


def towel(b: Builder, rng: Rng) -> None:
    rail = mat.metal(rng)
    b.capsule((-0.27, 0.06, 0.72), (0.27, 0.06, 0.72), 0.012, rail)
    end = rng.uniform(0.02, 0.2)
    b.box((0, 0.06, end), (rng.uniform(0.36, 0.46), 0.035, 0.735 - end), mat.cloth(rng, vivid=True, patterned=0.4))


def whiteboard(b: Builder, rng: Rng, size: tuple[float, float]) -> None:
    width, height = size
    b.box((0, 0.015, 0), (width, 0.03, height), mat.metal(rng))
    b.box((0, 0.017, 0.025), (width - 0.05, 0.034, height - 0.05), mat.plain(rng, (0.82, 0.82, 0.83), 0.4))
    for i in range(int(rng.integers(2, 6))):
        ink = mat.plain(rng, mat.pick(rng, ((0.02, 0.03, 0.3), (0.4, 0.02, 0.02), (0.02, 0.02, 0.02))))
        length = rng.uniform(0.2, 0.7) * width
        b.box((rng.uniform(-0.1, 0.1) * width, 0.018, height * (0.85 - i * 0.13)), (length, 0.0345, 0.015), ink)


def rug(b: Builder, rng: Rng, room: tuple[float, float, float]) -> None:
    first = mat.hsv(rng.random(), rng.uniform(0.3, 0.8), rng.uniform(0.15, 0.5))
    second = mat.pick(rng, ((0.7, 0.66, 0.58), mat.scaled(first, 0.4), mat.hsv(rng.random(), 0.5, 0.4)))
    texture = mat.pick(rng, ("carpet", "stripes", "plaid", "blotches", "checks"))
    look = Material(texture, (first, second), scale=rng.uniform(0.15, 0.35), phase=rng.random())
    width, depth = rng.uniform(1.4, 2.4), rng.uniform(1.0, 1.8)
    x, y, _ = b.origin
    b.origin = (min(max(x, width / 2), room[0] - width / 2), min(max(y, depth / 2), room[1] - depth / 2), 0.0)
    if rng.random() < 0.25:
        b.cylinder((0, 0, 0), depth / 2, 0.012, look)
    else:
        b.box((0, 0, 0), (width, depth, 0.012), look)
        if rng.random() < 0.5:
            b.box((0, 0, 0.0), (width - 0.3, depth - 0.3, 0.015), mat.cloth(rng, patterned=0.7))


def ceiling_lamp(b: Builder, rng: Rng) -> None:
    glow = Material("plain", ((0.95, 0.9, 0.8), (0.95, 0.88, 0.76)), emission=rng.uniform(1.2, 2.0))
    kind = int(rng.integers(3))
    if kind == 0:
        b.ellipsoid((0, 0, 0), (0.2, 0.2, 0.1), glow)
    elif kind == 1:
        drop = rng.uniform(0.4, 0.7)
        b.capsule((0, 0, -drop), (0, 0, 0), 0.008, mat.metal(rng))
        b.cylinder((0, 0, -drop - 0.2), 0.22, 0.22, glow, taper=0.4)
    else:
        rod = mat.metal(rng)
        b.capsule((0, 0, -0.3), (0, 0, 0), 0.015, rod)
        for i in range(5):
            x, y = 0.26 * math.cos(i * 1.2566), 0.26 * math.sin(i * 1.2566)
            b.capsule((0, 0, -0.3), (x, y, -0.28), 0.01, rod)
            b.ellipsoid((x, y, -0.24), (0.055, 0.055, 0.065), glow)
