"""Vehicles: cars, trucks, buses, trams, and two-wheelers with or without a rider.

A vehicle stands with its middle at the builder's origin, its front towards +y, on the road z = 0.
"""

from __future__ import annotations

import math

from . import materials as mat
from .description import Builder
from .furniture import Rng
from .people import person
from .textures import Colour, Material

_PAINTS: tuple[Colour, ...] = (
    (0.55, 0.56, 0.58),
    (0.75, 0.75, 0.74),
    (0.02, 0.02, 0.025),
    (0.16, 0.17, 0.19),
    (0.42, 0.03, 0.03),
    (0.04, 0.09, 0.3),
    (0.05, 0.16, 0.11),
    (0.45, 0.38, 0.22),
)
_GLASS: Colour = (0.05, 0.065, 0.08)


def _paint(rng: Rng) -> Material:
    return mat.plain(rng, mat.scaled(mat.pick(rng, _PAINTS), rng.uniform(0.85, 1.15)), 0.5)


def _wheels(b: Builder, half_width: float, at: tuple[float, ...], radius: float) -> None:
    rubber, hub = Material("plain", ((0.02, 0.02, 0.02),) * 2), Material("plain", ((0.4, 0.4, 0.42),) * 2, gloss=0.4)
    for y in at:
        for side in (-1, 1):
            b.ellipsoid((side * (half_width - 0.08), y, radius), (0.13, radius, radius), rubber)
            b.ellipsoid((side * (half_width + 0.01), y, radius), (0.06, radius * 0.6, radius * 0.6), hub)


def _lamps(b: Builder, half_width: float, front: float, back: float, z: float) -> None:
    red = Material("plain", ((0.5, 0.02, 0.02),) * 2, emission=0.6)
    white = Material("plain", ((0.85, 0.85, 0.8),) * 2, emission=0.5)
    plate = Material("plain", ((0.8, 0.8, 0.75),) * 2)
    for side in (-1, 1):
        b.box((side * (half_width - 0.2), back, z), (0.3, 0.06, 0.16), red)
        b.box((side * (half_width - 0.22), front, z - 0.08), (0.34, 0.06, 0.16), white)
    for y in (front, back):
        b.box((0, y, z - 0.28), (0.5, 0.05, 0.12), plate)


def car(b: Builder, rng: Rng) -> None:
    """A car, 3.9–4.7 m long."""
    width, length, height = rng.uniform(1.7, 1.85), rng.uniform(3.9, 4.7), rng.uniform(1.4, 1.6)
    paint, glass = _paint(rng), mat.plain(rng, _GLASS, 0.6)
    belt, half = 0.88, length / 2
    estate = rng.random() < 0.45  # its roof continues to the back
    b.box((0, 0, 0.28), (width, length - 0.3, belt - 0.34), paint)
    b.box((0, 0, 0.36), (width - 0.12, length, 0.34), paint)
    b.capsule((-width / 2 + 0.14, half - 0.35, belt - 0.16), (width / 2 - 0.14, half - 0.35, belt - 0.16), 0.14, paint)
    b.box((0, 0, 0.2), (width - 0.2, length - 0.2, 0.18), Material("plain", ((0.02, 0.02, 0.02),) * 2))
    back = -half + (0.25 if estate else 0.85)
    front = half - 1.15
    roof = height - belt
    run = 0.3 if estate else 0.5  # how far the rear window leans
    middle = (front - 0.6 + back + run) / 2
    b.box((0, middle, belt - 0.06), (width - 0.22, front - 0.6 - back - run, roof + 0.03), glass)
    b.box((0, middle, height - 0.06), (width - 0.3, front - 0.5 - back - run, 0.07), paint)
    for y, lean in ((front, 0.6), (back, -run)):  # windscreen and rear window
        slope = math.hypot(lean, roof)
        b.box((0, y, belt - 0.05), (width - 0.24, 0.06, slope), glass, tilt=math.atan2(lean, roof))
    for side in (-1, 1):
        x = side * (width / 2 - 0.1)
        b.box((x, (front + back) / 2 - 0.35, belt), (0.03, 0.1, roof - 0.02), paint)
        b.ellipsoid((side * (width / 2 + 0.1), front - 0.35, belt + 0.08), (0.1, 0.06, 0.08), paint)
    _wheels(b, width / 2, (half - 0.8, -half + 0.75), 0.32)
    _lamps(b, width / 2, half, -half, 0.68)


def truck(b: Builder, rng: Rng) -> None:
    """A truck with a box body, 6.5–9 m long."""
    length, height = rng.uniform(6.5, 9.0), rng.uniform(3.0, 3.7)
    paint, cargo, half = _paint(rng), _paint(rng), length / 2
    dark = mat.plain(rng, (0.03, 0.03, 0.035))
    b.box((0, 0, 0.55), (2.2, length - 0.2, 0.35), dark)
    b.box((0, -1.1, 0.95), (2.5, length - 2.2, height - 0.95), cargo)
    b.box((0, -1.1, 0.95 + (height - 0.95) * 0.35), (2.53, length - 2.6, (height - 0.95) * 0.25), _paint(rng))
    b.box((0, half - 1.0, 0.6), (2.35, 1.9, 1.9), paint)
    b.box((0, half - 1.0, 1.55), (2.38, 1.2, 0.7), mat.plain(rng, _GLASS, 0.6))
    b.box((0, half - 0.03, 1.5), (2.1, 0.08, 0.8), mat.plain(rng, _GLASS, 0.6))
    _wheels(b, 1.2, (half - 1.3, -half + 1.2, -half + 2.2), 0.48)
    _lamps(b, 1.2, half, -half, 0.95)


def bus(b: Builder, rng: Rng) -> None:
    """A city bus, 12 m long."""
    length = rng.uniform(10.5, 12.0)
    _coach(b, rng, 2.5, length, 3.0, mat.hsv(rng.random(), rng.uniform(0.4, 0.85), rng.uniform(0.3, 0.6)))
    _wheels(b, 1.24, (3.0, -3.0), 0.48)


def train(b: Builder, rng: Rng) -> None:
    """A tram, 18–24 m long."""
    colour = mat.pick(rng, ((0.5, 0.38, 0.03), (0.45, 0.04, 0.04), (0.6, 0.6, 0.58), (0.05, 0.22, 0.1)))
    length = rng.uniform(18, 24)
    _coach(b, rng, 2.5, length, 3.4, colour)
    b.capsule((0, 0, 3.4), (0, 1.2, 4.9), 0.05, mat.plain(rng, (0.05, 0.05, 0.05)))
    b.box((0, 1.2, 4.9), (1.6, 0.15, 0.06), mat.plain(rng, (0.05, 0.05, 0.05)))


def _coach(b: Builder, rng: Rng, width: float, length: float, height: float, colour: Colour) -> None:
    body, glass = mat.plain(rng, colour, 0.4), mat.plain(rng, _GLASS, 0.6)
    trim = mat.plain(rng, (0.7, 0.7, 0.68), 0.3)
    half = length / 2
    b.box((0, 0, 0.3), (width, length, height - 0.3), body)
    b.box((0, 0, height - 0.35), (width + 0.02, length + 0.02, 0.25), trim)
    panes = round(length / 1.6)
    for i in range(panes):
        y = (i + 0.5) / panes * (length - 0.6) - half + 0.3
        b.box((0, y, 1.2), (width + 0.03, length / panes - 0.22, height - 2.0), glass)
    for y in (-half, half):
        b.box((0, y, 1.1), (width - 0.3, 0.06, height - 1.8), glass)
    _lamps(b, width / 2, half, -half, 0.8)


def _ring(b: Builder, y: float, radius: float, thick: float, material: Material) -> None:
    """A wheel that one can look through."""
    turns = [a * math.pi / 5 for a in range(10)]
    points = [(0.0, y + radius * math.cos(turn), radius * (1 + math.sin(turn))) for turn in turns]
    for start, end in zip(points, [*points[1:], points[0]]):
        b.capsule(start, end, thick, material)


def bicycle(b: Builder, rng: Rng) -> None:
    frame, rubber = _paint(rng), Material("plain", ((0.02, 0.02, 0.02),) * 2)
    for y in (-0.52, 0.52):
        _ring(b, y, 0.33, 0.025, rubber)
    crank, saddle, head = (0.0, -0.08, 0.3), (0.0, -0.25, 0.9), (0.0, 0.38, 0.85)
    for start, end in ((crank, saddle), (crank, head), ((0, -0.22, 0.75), head), (crank, (0, -0.52, 0.33))):
        b.capsule(start, end, 0.025, frame)
    b.capsule(head, (0, 0.52, 0.33), 0.022, frame)
    b.capsule((-0.28, 0.33, 1.02), (0.28, 0.33, 1.02), 0.02, rubber)
    b.capsule((0, 0.35, 0.85), (0, 0.33, 1.02), 0.02, frame)
    b.ellipsoid((0, -0.27, 0.93), (0.08, 0.14, 0.04), rubber)


def motorcycle(b: Builder, rng: Rng) -> None:
    paint, rubber = _paint(rng), Material("plain", ((0.02, 0.02, 0.02),) * 2)
    metal = mat.plain(rng, (0.3, 0.3, 0.32), 0.5)
    for y in (-0.65, 0.65):
        b.ellipsoid((0, y, 0.31), (0.09, 0.31, 0.31), rubber)
        b.ellipsoid((0, y, 0.31), (0.1, 0.17, 0.17), metal)
    b.box((0, -0.02, 0.28), (0.28, 0.55, 0.35), metal)
    b.ellipsoid((0, 0.15, 0.78), (0.17, 0.34, 0.17), paint)
    b.ellipsoid((0, -0.42, 0.8), (0.15, 0.38, 0.1), rubber)
    b.capsule((0, 0.65, 0.31), (0, 0.42, 0.95), 0.05, metal)
    b.capsule((-0.36, 0.38, 1.02), (0.36, 0.38, 1.02), 0.025, rubber)
    b.ellipsoid((0, 0.52, 0.85), (0.1, 0.09, 0.1), mat.plain(rng, (0.8, 0.8, 0.75), 0.5))


def with_rider(b: Builder, rng: Rng, kind: str) -> None:
    """A bicycle or motorcycle that somebody rides; two objects."""
    with b.object(kind):
        (bicycle if kind == "bicycle" else motorcycle)(b, rng)
    seat = 0.92 if kind == "bicycle" else 0.82
    with b.object("rider", b.world(0, -0.22, 0)):
        person(b, rng, seat=seat)
