"""Kitchen and bathroom fittings, lamps, plants and the small things that stand on furniture; see `furniture`."""

from __future__ import annotations

import math

import numpy as np

from . import materials as mat
from .description import Builder
from .furniture import Piece, Rng, fronts
from .textures import Material


def counter(rng: Rng) -> Piece:
    width, depth = rng.uniform(1.4, 2.4), 0.62

    def build(b: Builder) -> None:
        with b.object("cabinet"):
            body = mat.wood(rng) if rng.random() < 0.5 else mat.paint(rng)
            b.box((0, 0.29, 0.08), (width, 0.55, 0.78), body)
            fronts(b, (width - 0.02, 0.56, 0.85), 1, max(round(width / 0.5), 2), body, 0.1)
        grey = rng.uniform(0.08, 0.6)
        stone = mat.plain(rng, (grey, grey * 0.97, grey * 0.92), 0.4)
        b.box((0, depth / 2, 0.86), (width + 0.02, depth + 0.02, 0.05), stone)
        with b.object("sink"):
            steel = mat.plain(rng, (0.5, 0.5, 0.52), 0.6)
            x = rng.uniform(-0.3, 0.3) * width
            b.box((x, depth / 2, 0.9), (0.5, 0.4, 0.03), steel)
            b.capsule((x, 0.14, 0.9), (x, 0.14, 1.15), 0.018, steel)
            b.capsule((x, 0.14, 1.15), (x, 0.32, 1.12), 0.018, steel)
        b.surface((-0.35 * width if x > 0 else 0.35 * width, depth / 2, 0.91), width * 0.3, 0.35)
        with b.object("cabinet"):
            b.box((0, 0.17, 1.5), (width, 0.32, 0.7), body)
            fronts(b, (width - 0.02, 0.33, 2.2), 1, max(round(width / 0.5), 2), body, 1.5)

    return Piece("counter", width, depth + 0.03, 2.2, build)


def refrigerator(rng: Rng) -> Piece:
    width, depth, height = rng.uniform(0.6, 0.8), 0.68, rng.uniform(1.6, 1.85)

    def build(b: Builder) -> None:
        value = mat.pick(rng, (0.75, 0.45, 0.7))
        shell, handle = mat.plain(rng, (value, value, value * 1.01), 0.4), mat.metal(rng)
        b.box((0, 0.3, 0), (width, 0.6, height), shell)
        split = height * 0.62
        b.box((0, 0.62, 0.03), (width, 0.06, split - 0.04), shell)
        b.box((0, 0.62, split), (width, 0.06, height - split), shell)
        b.capsule((width * 0.38, 0.68, split - 0.5), (width * 0.38, 0.68, split - 0.1), 0.016, handle)
        b.capsule((width * 0.38, 0.68, split + 0.08), (width * 0.38, 0.68, split + 0.35), 0.016, handle)

    return Piece("refrigerator", width, depth, height, build)


def toilet(rng: Rng) -> Piece:
    def build(b: Builder) -> None:
        china = mat.plain(rng, (0.8, 0.8, 0.78), 0.5)
        b.box((0, 0.1, 0.36), (0.42, 0.19, 0.4), china)
        b.box((0, 0.1, 0.75), (0.45, 0.21, 0.03), china)
        b.cylinder((0, 0.38, 0), 0.13, 0.36, china, taper=1.4)
        b.ellipsoid((0, 0.42, 0.38), (0.2, 0.26, 0.07), china)

    return Piece("toilet", 0.46, 0.7, 0.78, build, 0.5)


def bathtub(rng: Rng) -> Piece:
    width = rng.uniform(1.5, 1.7)

    def build(b: Builder) -> None:
        china = mat.plain(rng, (0.8, 0.8, 0.79), 0.5)
        for y in (0.05, 0.67):
            b.box((0, y, 0), (width, 0.1, 0.54), china)
            b.capsule((-width / 2 + 0.05, y, 0.54), (width / 2 - 0.05, y, 0.54), 0.055, china)
        for side in (-1, 1):
            b.box((side * (width / 2 - 0.05), 0.36, 0), (0.1, 0.7, 0.56), china)
        b.box((0, 0.36, 0.1), (width - 0.1, 0.6, 0.05), china)

    return Piece("bathtub", width, 0.74, 0.6, build, 0.4)


def wash_stand(rng: Rng) -> Piece:
    def build(b: Builder) -> None:
        with b.object("cabinet"):
            body = mat.wood(rng) if rng.random() < 0.5 else mat.paint(rng)
            b.box((0, 0.22, 0.08), (0.76, 0.42, 0.7), body)
            fronts(b, (0.74, 0.43, 0.78), 1, 2, body, 0.1)
        china = mat.plain(rng, (0.8, 0.8, 0.79), 0.5)
        b.box((0, 0.24, 0.78), (0.8, 0.48, 0.05), china)
        b.cylinder((0, 0.25, 0.8), 0.16, 0.1, china, taper=1.3)
        steel = mat.plain(rng, (0.5, 0.5, 0.52), 0.6)
        b.capsule((0, 0.06, 0.82), (0, 0.06, 1.02), 0.016, steel)
        b.capsule((0, 0.06, 1.02), (0, 0.2, 1.0), 0.016, steel)

    return Piece("sink", 0.8, 0.5, 1.0, build)


def floor_lamp(rng: Rng) -> Piece:
    height = rng.uniform(1.4, 1.75)

    def build(b: Builder) -> None:
        stand = mat.metal(rng)
        b.cylinder((0, 0.2, 0), 0.14, 0.03, stand)
        b.cylinder((0, 0.2, 0.02), 0.014, height - 0.2, stand)
        shade(b, (0, 0.2, height - 0.3), rng.uniform(0.17, 0.22), 0.28)

    return Piece("lamp", 0.44, 0.44, height, build, 0.1)


def shade(b: Builder, at: tuple[float, float, float], radius: float, height: float) -> None:
    warm = mat.hsv(b.rng.uniform(0.08, 0.13), b.rng.uniform(0.05, 0.35), 0.85)
    glow = Material("plain", (warm, mat.scaled(warm, 0.95)), emission=float(b.rng.uniform(0.7, 1.4)))
    b.cylinder(at, radius, height, glow, taper=float(b.rng.uniform(0.55, 0.85)))


def plant(rng: Rng) -> Piece:
    height = rng.uniform(0.9, 1.5)

    def build(b: Builder) -> None:
        leaf_colour = mat.hsv(rng.uniform(0.24, 0.36), rng.uniform(0.55, 0.8), rng.uniform(0.15, 0.35))
        leaf = Material("fabric", (leaf_colour, mat.scaled(leaf_colour, 0.6)), phase=rng.random(), gloss=0.1)
        pot = mat.plain(rng, mat.pick(rng, ((0.45, 0.17, 0.08), (0.7, 0.7, 0.68), (0.1, 0.12, 0.16))), 0.2)
        foliage(b, (0, 0.28, 0), height, leaf, pot)

    return Piece("plant", 0.56, 0.56, height, build, 0.1)


def foliage(b: Builder, at: tuple[float, float, float], height: float, leaf: Material, pot: Material) -> None:
    x, y, z = at
    b.cylinder((x, y, z), height * 0.12, height * 0.27, pot, taper=1.35)
    crown = z + height * 0.3
    for i in range(13):
        turn = i * 2.4 + b.rng.uniform(-0.3, 0.3)
        rise = b.rng.uniform(0.12, 0.62) * height
        out = height * b.rng.uniform(0.08, 0.17)
        centre = (x + out * math.cos(turn), y + out * math.sin(turn), crown + rise * 0.8)
        length = height * b.rng.uniform(0.1, 0.16)
        radii = (length * 0.45, length, length * 0.14)
        b.ellipsoid(centre, radii, leaf, yaw=turn - math.pi / 2, tilt=b.rng.uniform(0.2, 1.0))
        b.capsule((x, y, crown - 0.04), centre, height * 0.008, leaf)


def small_thing(b: Builder, rng: Rng, kind: str) -> None:
    """A prop that stands at the origin of the builder's frame."""
    if kind == "lamp":
        stand = mat.cloth(rng, vivid=True) if rng.random() < 0.5 else mat.metal(rng)
        b.cylinder((0, 0, 0), 0.07, 0.02, stand)
        b.ellipsoid((0, 0, 0.12), (0.06, 0.06, 0.11), stand)
        shade(b, (0, 0, 0.22), 0.14, 0.19)
    elif kind == "bottle":
        tint = mat.pick(rng, ((0.02, 0.15, 0.04), (0.2, 0.06, 0.01), (0.05, 0.2, 0.4), (0.5, 0.05, 0.05)))
        glass = mat.plain(rng, tint, 0.8)
        b.cylinder((0, 0, 0), 0.04, 0.19, glass)
        b.cylinder((0, 0, 0.19), 0.04, 0.05, glass, taper=0.38)
        b.cylinder((0, 0, 0.24), 0.0152, 0.08, glass)
        b.cylinder((0, 0, 0.06), 0.0408, 0.08, mat.linen(rng))
    elif kind == "cup":
        b.cylinder((0, 0, 0), 0.035, 0.09, mat.cloth(rng, vivid=True), taper=1.15)
    elif kind == "box":
        w, d, h = rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.3), rng.uniform(0.1, 0.3)
        card = mat.plain(rng, (0.45, 0.3, 0.17)) if rng.random() < 0.6 else mat.cloth(rng, vivid=True)
        b.box((0, 0, 0), (w, d, h), card)
        b.box((0, 0, 0.001), (0.05, d + 0.002, h), mat.plain(rng, (0.6, 0.5, 0.35)))
    elif kind == "books":
        for i in range(int(rng.integers(2, 5))):
            cover = mat.cloth(rng, vivid=True)
            size = (rng.uniform(0.18, 0.26), rng.uniform(0.13, 0.19), 0.033)
            b.box((0, 0, i * 0.035), size, cover, yaw=rng.uniform(-0.3, 0.3))
    elif kind == "paper":
        b.box((0, 0, 0), (0.21, 0.3, 0.006), mat.plain(rng, (0.85, 0.85, 0.84)), yaw=rng.uniform(-0.5, 0.5))
    elif kind == "plant":
        leaf_colour = mat.hsv(rng.uniform(0.24, 0.36), rng.uniform(0.55, 0.8), rng.uniform(0.15, 0.35))
        pot = mat.plain(rng, mat.pick(rng, ((0.45, 0.17, 0.08), (0.7, 0.7, 0.68))), 0.2)
        height = rng.uniform(0.35, 0.5)
        foliage(b, (0, 0, 0), height, Material("fabric", (leaf_colour, mat.scaled(leaf_colour, 0.6))), pot)
    elif kind == "television":
        television(b, rng, rng.uniform(0.45, 0.6))
    elif kind == "bag":
        leather = mat.cloth(rng, vivid=True)
        b.box((0, 0, 0), (0.36, 0.15, 0.24), leather)
        b.capsule((-0.12, 0, 0.24), (0.12, 0, 0.24), 0.075, leather)
        b.box((0, 0.08, 0.05), (0.26, 0.05, 0.14), leather)
        for y in (-0.05, 0.05):
            b.capsule((-0.1, y, 0.28), (-0.06, y, 0.42), 0.012, leather)
            b.capsule((0.1, y, 0.28), (0.06, y, 0.42), 0.012, leather)
            b.capsule((-0.06, y, 0.42), (0.06, y, 0.42), 0.012, leather)


def television(b: Builder, rng: np.random.Generator, width: float, *, hung: bool = False) -> None:
    """A flat screen or monitor in the plane y = 0, on a foot or hung."""
    height = width * 0.6
    case = mat.plain(rng, (0.02, 0.02, 0.022), 0.5)
    z = 0.0 if hung else 0.1
    b.box((0, 0, z), (width, 0.05, height), case)
    screen = Material("plain", ((0.012, 0.013, 0.018),) * 2, gloss=0.9)
    if rng.random() < 0.45:
        picture = mat.art(rng, width)
        screen = Material(picture.texture, picture.colours, picture.scale, picture.phase, 0.2, 0.6)
    b.box((0, 0.005, z + 0.03), (width - 0.06, 0.05, height - 0.06), screen)
    if not hung:
        b.box((0, 0, 0), (0.06, 0.04, 0.12), case)
        b.box((0, 0, 0), (width * 0.4, 0.2, 0.02), case)
