"""Hard rooms: clutter, occluding and rare objects, bad light, misleading materials."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from . import fittings, oddments, props
from . import furniture as fur
from . import materials as mat
from .appearance import mislead, relight
from .composer import Composer
from .description import Builder, Vector
from .dressing import lay_rug
from .furniture import Piece, Rng
from .people import standing

CROWDED = (0.3, 0.12)
"""Pitch [m] of small things on tops, and the share of places that stay free."""
_LITTER = ("box", "bag", "books", "clothes", "box", "bottle", "paper", "bag", "plant")
_ON_SEATS = ("books", "clothes", "paper", "books", "bag")


def harden(c: Composer) -> None:
    """Make a furnished room harder, with the room's random generator. Labels stay exact: only solids are added."""
    _rare(c)
    _in_the_way(c)
    _clutter(c)
    relight(c.room, c.rng)
    mislead(c.room, c.rng)


def _rare(c: Composer) -> None:
    """Rare objects, each with a small probability."""
    rng = c.rng
    for instance, kind in list(c.room.kinds.items()):
        if kind == "bathtub" and rng.random() < 0.6:
            back = next(p for p in c.room.primitives if p.instance == instance)
            along, across = back.axes[0], back.axes[1]
            origin = (back.centre[0] - 0.05 * across[0], back.centre[1] - 0.05 * across[1], 0.0)
            with c.build.object("shower curtain", origin, math.atan2(along[1], along[0])):
                oddments.shower_curtain(c.build, rng, back.half[0] * 2)
    width = rng.uniform(0.5, 1.2)
    face = c.room.faces[0]
    hung: tuple[tuple[float, str, tuple[float, float], float, Callable[[Builder], None]], ...] = (
        (0.07, "shelf", (width, 0.8), rng.uniform(1.25, 1.45), partial(oddments.shelf, rng=rng, width=width)),
        (0.06, "clothes", (width, 0.9), 0.95, partial(oddments.hung_clothes, rng=rng, width=width)),
        (0.04, "towel", (0.5, 0.75), 0.75, partial(fittings.towel, rng=rng)),
        (0.04, "whiteboard", (width, 0.8), 1.0, partial(fittings.whiteboard, rng=rng, size=(width, 0.8))),
        (0.06, "mirror", (0.6, 1.1), 0.8, partial(fittings.mirror, rng=rng, size=(0.6, 1.1))),
        (0.05, "paper", (0.21, 0.3), 1.4, partial(_sheet, rng=rng)),
    )
    for chance, kind, size, bottom, make in hung:
        if rng.random() < chance:
            c.mount(kind, size, bottom, make)
    for chance, maker in ((0.05, oddments.radiator), (0.03, props.refrigerator), (0.04, fur.night_stand)):
        if rng.random() < chance:
            c.against(maker(rng))
    if rng.random() < 0.08:
        c.drop(oddments.stool(rng), 1.4)
    if rng.random() < 0.04:
        c.drop(oddments.pillar(rng, c.room.size[2], face), 1.3, 3.2, 0.0)


def _in_the_way(c: Composer) -> None:
    """Often a large object close to the camera, and pieces anywhere in the room."""
    rng, (x, y, _) = c.rng, c.room.camera.position
    near = (fur.armchair, fur.chair, fur.chair, fur.office_chair, props.plant, props.plant, props.floor_lamp)
    if rng.random() < 0.6:
        kept, c.taken[0] = c.taken[0], (x - 0.25, y - 0.5, x + 0.25, y + 0.4)  # closer than other things may come
        if rng.random() < 0.06:
            piece = Piece("person", 0.5, 0.4, 1.8, partial(standing, rng=rng))
        else:
            piece = replace(mat.pick(rng, near)(rng), front=0.0)
        c.drop(piece, 0.8, 1.8)
        c.taken[0] = kept
    for _ in range(int(rng.integers(0, 3))):
        maker = mat.pick(rng, (fur.chair, fur.chair, fur.armchair, fur.office_chair, props.plant, fur.coffee_table))
        c.drop(replace(maker(rng), front=0.0), 1.5, 4.2)


def _clutter(c: Composer) -> None:
    """Things on the floor, on seats and beds; posters and sheets on the walls."""
    rng = c.rng
    for _ in range(int(rng.integers(3, 9))):
        kind = mat.pick(rng, _LITTER)
        if kind == "clothes" and rng.random() < 0.85:
            kind = "box"  # heaps of clothes stay rare
        side = 0.24 if kind in ("bottle", "books", "paper") else 0.42
        c.drop(Piece(kind, side, side, 0.4, partial(_lying, rng=rng, kind=kind, middle=side / 2)), 1.2, 4.2)
    for at, yaw in _soft_places(c):
        if rng.random() < 0.4:
            kind = mat.pick(rng, _ON_SEATS)
            if kind == "clothes" and rng.random() < 0.85:
                kind = "books"
            with c.build.object(kind, at, yaw + rng.uniform(-0.4, 0.4)):
                _lying(c.build, rng, kind, 0.0)
    for _ in range(int(rng.integers(1, 5))):
        size = (rng.uniform(0.3, 1.1), rng.uniform(0.3, 1.1))
        c.mount("picture", size, rng.uniform(0.9, 1.3), partial(oddments.poster, rng=rng, size=size))
    if rng.random() < 0.35:  # flat, with patterns that end nowhere near things
        reach, yaw = rng.uniform(1.2, 3.6), c.room.camera.yaw + rng.uniform(-0.3, 0.3)
        if "rug" not in c.room.kinds.values():
            lay_rug(c, reach, yaw)


def _soft_places(c: Composer) -> list[tuple[Vector, float]]:
    """Where things may lie on seats and beds, with the yaw there; none on seats where people may sit."""
    places: list[tuple[Vector, float]] = []
    if "person" not in c.room.kinds.values():
        places += [((at[0], at[1], height), yaw) for at, yaw, height in c.seats]
    beds = {instance for instance, kind in c.room.kinds.items() if kind == "bed"}
    wide = [p for p in c.room.primitives if p.instance in beds and p.shape == "box" and min(p.half[:2]) > 0.4]
    for bed in beds:
        cover = max((p for p in wide if p.instance == bed), key=lambda p: p.centre[2] + p.half[2])
        along, across = cover.axes[0], cover.axes[1]
        for side in (-0.5, 0.4):
            x, y = side * cover.half[0], c.rng.uniform(-0.5, 0.5) * cover.half[1]
            at = (cover.centre[0] + x * along[0] + y * across[0], cover.centre[1] + x * along[1] + y * across[1])
            places.append(((*at, cover.centre[2] + cover.half[2]), math.atan2(along[1], along[0])))
    return places


def _lying(b: Builder, rng: Rng, kind: str, middle: float) -> None:
    b.origin = b.world(0, middle, 0)  # a piece's footprint begins at its back
    if kind == "clothes":
        oddments.clothes(b, rng)
    else:
        props.small_thing(b, rng, kind)


def _sheet(b: Builder, rng: Rng) -> None:
    b.box((0, 0.004, 0), (0.21, 0.006, 0.297), mat.plain(rng, (0.85, 0.85, 0.84)))
