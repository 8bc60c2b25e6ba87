"""Scene composition: a room of some use with a camera in it, and the furniture that belongs there."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from . import furniture as fur
from . import materials as mat
from . import props
from .composer import Composer
from .description import Camera, Light, Room
from .dressing import decorate, openings, populate
from .hard import CROWDED, harden

_USES = ("bedroom", "living", "dining", "kitchen", "office", "bathroom")
_SHARES = {"nyud": (0.26, 0.24, 0.14, 0.13, 0.15, 0.08), "pascal": (0.08, 0.42, 0.26, 0.04, 0.2, 0.0)}
_PEOPLE = {"nyud": (0.84, 0.13, 0.03), "pascal": (0.28, 0.4, 0.22, 0.1)}  # chance of 0, 1, 2, … persons


def _bedroom(c: Composer) -> None:
    rng = c.rng
    piece = fur.bed(rng)
    stand = c.against(piece, 30)
    if stand:
        for side in (-1, 1):
            if rng.random() < 0.75:
                table = fur.night_stand(rng)
                c.beside(table, stand, side * (piece.width / 2 + table.width / 2 + 0.06), 0, 0)
    other = mat.pick(rng, (fur.armchair, fur.bookshelf, fur.desk))
    c.perhaps((fur.dresser, fur.wardrobe, other, props.floor_lamp), 0.7)


def _living(c: Composer) -> None:
    rng = c.rng
    piece = fur.sofa(rng)
    stand = c.against(piece, 30)
    if stand:
        table = fur.coffee_table(rng)
        c.beside(table, stand, rng.uniform(-0.2, 0.2), piece.depth + rng.uniform(0.3, 0.45), 0, force=True)
    c.perhaps((fur.armchair, fur.cabinet, fur.bookshelf, props.plant, props.floor_lamp, fur.sofa), 0.6)
    if rng.random() < 0.45:
        width = rng.uniform(0.9, 1.4)
        make = partial(props.television, rng=rng, width=width, hung=True)
        c.mount("television", (width, width * 0.6), rng.uniform(0.95, 1.2), make)


def _dining(c: Composer) -> None:
    rng = c.rng
    piece = fur.dining_table(rng)
    camera = c.room.camera
    reach = rng.uniform(1.9, 2.8)
    origin = (
        camera.position[0] - reach * math.sin(camera.yaw) + rng.uniform(-0.3, 0.3),
        camera.position[1] + reach * math.cos(camera.yaw) - piece.depth / 2,
        0.0,
    )
    stand = (origin, 0.0 if rng.random() < 0.5 else rng.uniform(-0.3, 0.3))
    if c.put(piece, *stand):
        style = rng.integers(2**31)
        in_, middle = rng.uniform(0.0, 0.2), piece.depth / 2
        out = 0.42 - in_  # from the table's edge to the chair's back
        seats = [(x, -out, 0.0) for x in (-0.3, 0.3)] + [(x, piece.depth + out, math.pi) for x in (-0.3, 0.3)]
        seats += [(side * (piece.width / 2 + out), middle, side * math.pi / 2) for side in (-1, 1)]
        for x, y, turn in seats:
            if rng.random() < 0.75:
                c.beside(fur.chair(np.random.default_rng(style)), stand, x, y, turn, force=True)
    c.perhaps((fur.cabinet, props.plant, fur.bookshelf, fur.cabinet), 0.65)


def _kitchen(c: Composer) -> None:
    rng = c.rng
    c.against(props.counter(rng), 30)
    c.against(props.refrigerator(rng), 20)
    c.perhaps((props.counter,), 0.7)
    if rng.random() < 0.6:
        _dining(c)


def _office(c: Composer) -> None:
    rng = c.rng
    for _ in range(int(rng.integers(1, 3))):
        piece = fur.desk(rng)
        stand = c.against(piece, 20)
        if stand:
            seat = (fur.office_chair if rng.random() < 0.6 else fur.chair)(rng)
            x, y = rng.uniform(-0.3, 0.1), piece.depth + seat.depth - rng.uniform(0.0, 0.25)
            c.beside(seat, stand, x, y, math.pi, force=True)
    c.perhaps((fur.bookshelf, fur.cabinet, fur.bookshelf, fur.chair, props.plant, fur.sofa), 0.55)


def _bathroom(c: Composer) -> None:
    for maker in (props.bathtub, props.wash_stand, props.toilet, fur.cabinet):
        c.against(maker(c.rng), 20)


_FURNISH = {
    "bedroom": _bedroom,
    "living": _living,
    "dining": _dining,
    "kitchen": _kitchen,
    "office": _office,
    "bathroom": _bathroom,
}

_ALSO = {  # further furniture for free walls
    "bedroom": (fur.dresser, fur.armchair, fur.cabinet, fur.chair),
    "living": (fur.cabinet, fur.bookshelf, props.plant, fur.armchair, props.floor_lamp),
    "dining": (fur.cabinet, fur.bookshelf, props.plant, fur.dresser),
    "kitchen": (fur.cabinet, fur.chair),
    "office": (fur.bookshelf, fur.cabinet, props.plant, fur.armchair),
    "bathroom": (fur.cabinet,),
}


def compose(rng: np.random.Generator, style: str, *, hard: bool = False) -> Room:
    """One furnished room with a camera in it; `style` "nyud" or "pascal" sets how often which rooms and people occur.

    `hard`: it is then made harder to understand, see `hard`.
    """
    use = str(rng.choice(_USES, p=_SHARES[style]))
    small = use in ("bathroom", "kitchen")
    width = rng.uniform(2.6, 3.6) if small else rng.uniform(3.2, 5.6)
    length = rng.uniform(3.4, 4.6) if small else rng.uniform(3.8, 7.2)
    height = rng.uniform(2.4, 2.9)
    side = rng.uniform(0.15, 0.85)
    yaw = math.radians((side - 0.5) * rng.uniform(20, 80) + rng.normal(0, 7))
    back = rng.uniform(0.12, 0.45) + max(length - 5.5, 0) * rng.random()
    if rng.random() < 0.25:  # closer to things
        back += rng.uniform(0.1, 0.25) * length
    position = (side * width, back, rng.uniform(1.1, 1.75))
    pitch = -math.radians(rng.uniform(4, 13) + (position[2] - 1.1) * 13)
    camera = Camera(position, yaw, pitch, math.radians(rng.normal(0, 1.5)), math.radians(rng.uniform(56, 72)))
    common = mat.wall(rng)
    walls = [common] * 4
    if rng.random() < 0.25:
        walls[int(rng.choice((0, 1, 3)))] = mat.wall(rng)
    faces = (*walls, mat.floor(rng, wet=small and rng.random() < 0.7), mat.ceiling(rng))
    room = Room((width, length, height), faces, camera)
    warm = rng.uniform(1.2, 2.4)
    at = (width * rng.uniform(0.3, 0.7), length * rng.uniform(0.35, 0.7), height - 0.42)
    room.lights.append(Light(at, (warm, warm * rng.uniform(0.84, 0.98), warm * rng.uniform(0.66, 0.92))))
    level = rng.uniform(0.32, 0.55)
    room.ambient = (level, level, level * rng.uniform(0.95, 1.08))
    composer = Composer(room, use, rng)
    if hard:
        composer.spacing, composer.gaps = CROWDED
    openings(composer)
    _FURNISH[use](composer)
    composer.perhaps((*_ALSO[use], *_ALSO[use]), 0.5)
    shares = _PEOPLE[style]
    populate(composer, int(rng.choice(len(shares), p=shares)))
    decorate(composer)
    if hard:
        harden(composer)
    return room
