"""Furniture from primitives. A piece stands with its back at y = 0, its front towards +y, on the floor z = 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import materials as mat
from .description import Builder
from .textures import Material

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of furniture: its kind, the box it fills [m] and what builds it; `front`: free space to leave before it."""

    kind: str
    width: float
    depth: float
    height: float
    build: Callable[[Builder], None]
    front: float = 0.3


def _legs(
    b: Builder, width: float, depth: float, height: float, thick: float, material: Material, y: float = 0.0
) -> None:
    for sx in (-1, 1):
        for sy in (-1, 1):
            at = (sx * (width - thick) / 2, y + depth / 2 + sy * (depth - thick) / 2, 0.0)
            b.box(at, (thick, thick, height), material)


def fronts(b: Builder, size: tuple[float, float, float], rows: int, columns: int, material: Material, z: float) -> None:
    """Drawer or door fronts with knobs on the face y = depth of a body of `size`, above height z."""
    width, depth, height = size
    knob = mat.metal(b.rng)
    w, h = width / columns, (height - z) / rows
    for i in range(columns):
        for j in range(rows):
            x, bottom = -width / 2 + (i + 0.5) * w, z + j * h
            b.box((x, depth, bottom + 0.01), (w - 0.02, 0.03, h - 0.02), material)
            side = 0.0 if h < w else (0.36 if i % 2 == 0 else -0.36) * w
            b.ellipsoid((x + side, depth + 0.03, bottom + h / 2), (0.02, 0.02, 0.02), knob)


def bed(rng: Rng) -> Piece:
    width, depth, height = rng.uniform(1.0, 1.8), rng.uniform(1.95, 2.1), rng.uniform(0.85, 1.2)

    def build(b: Builder) -> None:
        frame, sheet, cover = mat.wood(rng), mat.linen(rng), mat.cloth(rng, vivid=True, patterned=0.5)
        top = rng.uniform(0.45, 0.58)
        b.box((0, 0.03, 0), (width, 0.06, height), frame)
        b.box((0, 0.06 + (depth - 0.06) / 2, 0.1), (width, depth - 0.06, 0.18), frame)
        b.box((0, 0.06 + (depth - 0.1) / 2, 0.26), (width - 0.06, depth - 0.12, top - 0.26), sheet)
        length = rng.uniform(0.62, 0.72) * depth
        hang = rng.uniform(0.1, 0.3)
        b.box((0, depth - length / 2, top - hang), (width + 0.03, length, hang + 0.025), cover)
        b.capsule((-width / 2, depth - length, top + 0.01), (width / 2, depth - length, top + 0.01), 0.045, sheet)
        pillows = 1 if width < 1.25 else 2
        for i in range(pillows):
            with b.object("pillow"):
                look = mat.linen(rng) if rng.random() < 0.7 else mat.cloth(rng, patterned=0.5)
                x = (i - (pillows - 1) / 2) * width * 0.47
                b.ellipsoid((x, 0.32, top + 0.1), (0.33, 0.2, 0.095), look, tilt=0.45)

    return Piece("bed", width, depth, height, build, 0.5)


def sofa(rng: Rng, seats: int = 0) -> Piece:
    seats = seats or int(rng.integers(2, 4))
    arm, seat_width = rng.uniform(0.14, 0.24), rng.uniform(0.58, 0.7)
    width, depth, height = seats * seat_width + 2 * arm, rng.uniform(0.82, 0.95), rng.uniform(0.76, 0.92)

    def build(b: Builder) -> None:
        body = mat.cloth(rng, patterned=0.12)
        cushion = body if rng.random() < 0.7 else mat.cloth(rng)
        foot = mat.wood(rng)
        _legs(b, width - 0.1, depth - 0.1, 0.08, 0.06, foot, 0.05)
        b.box((0, depth / 2, 0.07), (width, depth, 0.22), body)
        b.box((0, 0.12, 0.2), (width - 0.04, 0.2, height - 0.28), body)
        b.capsule((-width / 2 + 0.1, 0.12, height - 0.1), (width / 2 - 0.1, 0.12, height - 0.1), 0.1, body)
        for side in (-1, 1):
            x = side * (width - arm) / 2
            b.box((x, depth / 2, 0.2), (arm, depth - 0.02, 0.32), body)
            b.capsule((x, 0.1, 0.53), (x, depth - 0.09, 0.53), arm * 0.52, body)
        for i in range(seats):
            x = (i - (seats - 1) / 2) * seat_width
            b.box((x, 0.52, 0.29), (seat_width - 0.015, depth - 0.26, 0.15), cushion)
            b.ellipsoid((x, 0.26, 0.62), (seat_width * 0.52, 0.13, 0.25), cushion, tilt=0.2)
        for side in (-1, 1):
            if rng.random() < 0.55:
                with b.object("pillow"):
                    look = mat.cloth(rng, vivid=True, patterned=0.5)
                    b.ellipsoid((side * (width / 2 - arm - 0.2), 0.42, 0.6), (0.21, 0.09, 0.2), look, tilt=0.4)

    return Piece("sofa", width, depth, height, build, 0.45)


def armchair(rng: Rng) -> Piece:
    return sofa(rng, seats=1)


def chair(rng: Rng) -> Piece:
    width, depth, height = rng.uniform(0.42, 0.48), rng.uniform(0.44, 0.5), rng.uniform(0.85, 1.0)
    style = int(rng.integers(3))

    def build(b: Builder) -> None:
        frame = _chair_frame(rng)
        seat = frame if rng.random() < 0.5 else mat.cloth(rng, vivid=True)
        _legs(b, width, depth, 0.44, 0.045, frame)
        b.box((0, depth / 2, 0.43), (width, depth, 0.05), seat)
        for side in (-1, 1):
            b.box((side * (width / 2 - 0.022), 0.022, 0.44), (0.044, 0.04, height - 0.44), frame)
        if style == 0:
            b.box((0, 0.022, 0.6), (width, 0.035, height - 0.6), seat)
        elif style == 1:
            for z in (0.6, 0.72, 0.84):
                b.box((0, 0.022, z), (width, 0.025, 0.06), frame)
        else:
            b.box((0, 0.022, height - 0.09), (width, 0.035, 0.09), frame)
            for i in range(-2, 3):
                b.box((i * width / 6, 0.022, 0.46), (0.022, 0.02, height - 0.54), frame)

    return Piece("chair", width, depth, height, build)


def _chair_frame(rng: Rng) -> Material:
    return (mat.wood, mat.wood, mat.paint, mat.metal)[int(rng.integers(4))](rng)


def office_chair(rng: Rng) -> Piece:
    def build(b: Builder) -> None:
        stand, seat = mat.plain(rng, (0.03, 0.03, 0.035), gloss=0.4), mat.cloth(rng)
        for turn in range(5):
            x, y = 0.27 * np.cos(turn * 1.2566), 0.27 * np.sin(turn * 1.2566)
            b.capsule((0, 0.28, 0.1), (float(x), 0.28 + float(y), 0.05), 0.03, stand)
        b.cylinder((0, 0.28, 0.08), 0.03, 0.36, stand)
        b.ellipsoid((0, 0.28, 0.48), (0.25, 0.25, 0.06), seat)
        b.ellipsoid((0, 0.04, 0.8), (0.22, 0.05, 0.26), seat, tilt=0.12)
        b.capsule((0, 0.1, 0.46), (0, 0.03, 0.7), 0.03, stand)

    return Piece("chair", 0.55, 0.56, 1.05, build)


def _table(rng: Rng, kind: str, width: float, depth: float, height: float, thick: float) -> Piece:
    round_top = kind != "desk" and rng.random() < 0.3

    def build(b: Builder) -> None:
        top = mat.wood(rng, gloss=0.3) if rng.random() < 0.8 else mat.paint(rng)
        if round_top:
            r = min(width, depth) / 2
            b.cylinder((0, depth / 2, height - 0.035), r, 0.035, top)
            b.cylinder((0, depth / 2, 0.03), 0.06, height - 0.06, top)
            b.cylinder((0, depth / 2, 0), r * 0.55, 0.04, top, taper=0.7)
            b.surface((0, depth / 2, height), r * 1.2, r * 1.2)
            return
        legs = top if rng.random() < 0.7 else mat.metal(rng)
        b.box((0, depth / 2, height - 0.04), (width, depth, 0.04), top)
        _legs(b, width - 0.06, depth - 0.06, height - 0.04, thick, legs, 0.03)
        b.box((0, depth / 2, height - 0.12), (width - 0.12, depth - 0.12, 0.08), top)
        if kind == "desk":
            b.box((width / 2 - 0.22, depth / 2, 0.05), (0.38, depth - 0.08, height - 0.1), top)
            for i in range(3):
                z = 0.1 + i * (height - 0.2) / 3
                b.box((width / 2 - 0.22, depth - 0.04, z), (0.34, 0.03, (height - 0.2) / 3 - 0.02), top)
        b.surface((0, depth / 2, height), width * 0.8, depth * 0.7)

    return Piece(kind, width, depth, height, build, 0.35)


def coffee_table(rng: Rng) -> Piece:
    return _table(rng, "table", rng.uniform(0.8, 1.2), rng.uniform(0.5, 0.75), rng.uniform(0.38, 0.48), 0.06)


def dining_table(rng: Rng) -> Piece:
    return _table(rng, "dining table", rng.uniform(1.1, 1.7), rng.uniform(0.8, 1.0), rng.uniform(0.72, 0.78), 0.07)


def desk(rng: Rng) -> Piece:
    return _table(rng, "desk", rng.uniform(1.1, 1.6), rng.uniform(0.6, 0.75), rng.uniform(0.72, 0.77), 0.05)


def _case(rng: Rng, kind: str, size: tuple[float, float, float], rows: int, columns: int) -> Piece:
    def build(b: Builder) -> None:
        body = mat.wood(rng) if rng.random() < 0.65 else mat.paint(rng)
        width, depth, height = size[0], size[1] - 0.05, size[2]
        b.box((0, depth / 2, 0.06), (width, depth, height - 0.06), body)
        b.box((0, depth / 2 - 0.02, 0), (width - 0.06, depth - 0.06, 0.07), body)
        b.box((0, depth / 2 + 0.01, height - 0.025), (width + 0.03, depth + 0.02, 0.025), body)
        fronts(b, (width - 0.02, depth, height - 0.04), rows, columns, body, 0.08)
        if height < 1.5:
            b.surface((0, depth / 2, height), width * 0.8, depth * 0.6)

    return Piece(kind, *size, build)


def dresser(rng: Rng) -> Piece:
    return _case(rng, "dresser", (rng.uniform(0.8, 1.4), rng.uniform(0.45, 0.55), rng.uniform(0.75, 1.15)), 3, 2)


def night_stand(rng: Rng) -> Piece:
    return _case(rng, "night stand", (rng.uniform(0.4, 0.55), rng.uniform(0.4, 0.48), rng.uniform(0.5, 0.62)), 2, 1)


def cabinet(rng: Rng) -> Piece:
    return _case(rng, "cabinet", (rng.uniform(0.8, 1.5), rng.uniform(0.4, 0.5), rng.uniform(0.7, 1.4)), 1, 2)


def wardrobe(rng: Rng) -> Piece:
    return _case(rng, "wardrobe", (rng.uniform(0.9, 1.6), rng.uniform(0.55, 0.65), rng.uniform(1.9, 2.15)), 1, 2)


def bookshelf(rng: Rng) -> Piece:
    width, depth, height = rng.uniform(0.7, 1.3), rng.uniform(0.28, 0.36), rng.uniform(1.4, 2.1)

    def build(b: Builder) -> None:
        body = mat.wood(rng) if rng.random() < 0.75 else mat.paint(rng)
        b.box((0, 0.01, 0), (width, 0.02, height), body)
        for side in (-1, 1):
            b.box((side * (width / 2 - 0.0125), depth / 2, 0), (0.025, depth, height), body)
        shelves = round(height / 0.36)
        for i in range(shelves + 1):
            b.box((0, depth / 2, i * (height - 0.025) / shelves), (width, depth, 0.025), body)
        pitch = (height - 0.025) / shelves
        for i in range(shelves):
            if rng.random() < 0.85:
                with b.object("books"):
                    colours = mat.hues(rng, 6, (0.2, 0.8), (0.08, 0.6))
                    spines = Material("spines", colours, scale=rng.uniform(0.03, 0.05), phase=rng.random())
                    share = rng.uniform(0.45, 0.95) * (width - 0.06)
                    side = rng.choice((-1.0, 1.0)) * (width - 0.06 - share) / 2
                    size = (share, depth * 0.7, pitch * rng.uniform(0.6, 0.85))
                    b.box((float(side), 0.5 * depth, i * pitch + 0.025), size, spines)

    return Piece("bookshelf", width, depth, height, build)
