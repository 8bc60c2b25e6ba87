"""The decoration of furnished rooms: doors, windows, pictures, lamps, small things and people."""

from __future__ import annotations

import math
from functools import partial

from . import fittings, props
from . import materials as mat
from .composer import Composer
from .description import Builder, Light
from .furniture import Piece, Rng
from .people import person, standing

_THINGS = {  # things on furniture, by the use of the room
    "bedroom": ("lamp", "lamp", "books", "box", "bag"),
    "living": ("plant", "books", "cup", "bottle", "lamp", "television"),
    "dining": ("bottle", "bottle", "plant", "cup", "cup"),
    "kitchen": ("bottle", "bottle", "cup", "box", "plant"),
    "office": ("television", "television", "paper", "books", "lamp", "cup"),
    "bathroom": ("bottle", "cup", "box"),
}


def openings(c: Composer) -> None:
    """Door, windows with what hangs before them, and the light that comes through the first window."""
    rng, (width, length, _) = c.rng, c.room.size
    if rng.random() < 0.5:
        leaf = rng.uniform(0.8, 0.95)
        wall = c.mount("door", (leaf, 2.05), 0.0, partial(fittings.door, rng=rng, width=leaf))
        if wall is not None:  # keep the floor before it free
            a0, a1, *_ = c.on_walls[wall][-1]
            c.taken.append(
                {0: (0.0, a0, 0.8, a1), 1: (width - 0.8, a0, width, a1), 3: (a0, length - 0.8, a1, length)}[wall]
            )
    for _ in range(int(rng.choice((0, 1, 2), p=(0.3, 0.55, 0.15)))):
        span, height, sill = rng.uniform(0.9, 1.8), rng.uniform(1.0, 1.4), rng.uniform(0.75, 0.95)
        make = partial(fittings.window, rng=rng, width=span, height=height, sill=sill)
        wall = c.mount("window", (span + 0.5, height), sill, make)
        if wall is not None and len(c.room.lights) < 2:
            a0, a1, *_ = c.on_walls[wall][-1]
            middle = (a0 + a1) / 2
            x, y = {0: (0.35, middle), 1: (width - 0.35, middle), 3: (middle, length - 0.35)}[wall]
            strength = rng.uniform(0.7, 1.8)
            c.room.lights.append(Light((x, y, sill + height * 0.75), (0.95 * strength, strength, 1.08 * strength)))


def decorate(c: Composer) -> None:
    """Pictures, a rug, a ceiling lamp, small things on every top and on the floor."""
    rng = c.rng
    for _ in range(int(rng.integers(1, 4))):
        _hang(c)
    if rng.random() < 0.5:
        lay_rug(c, rng.uniform(1.8, 3.0), c.room.camera.yaw)
    if rng.random() < 0.7:
        width, length, height = c.room.size
        with c.build.object("lamp", (width / 2, length * rng.uniform(0.5, 0.7), height), 0.0):
            fittings.ceiling_lamp(c.build, rng)
    for top in c.build.surfaces:
        _set(c, *top)
    for _ in range(int(rng.integers(0, 3))):
        kind = mat.pick(rng, ("box", "bag", "box"))
        c.drop(Piece(kind, 0.4, 0.4, 0.4, partial(_small, rng=rng, kind=kind)))


def lay_rug(c: Composer, reach: float, yaw: float) -> None:
    """A rug around the point that far from the camera in that direction."""
    x, y, _ = c.room.camera.position
    with c.build.object("rug", (x - reach * math.sin(yaw), y + reach * math.cos(yaw), 0.0), 0.0):
        fittings.rug(c.build, c.rng, c.room.size)


def _hang(c: Composer) -> None:
    rng = c.rng
    size = (rng.uniform(0.35, 0.95), rng.uniform(0.35, 0.75))
    bottom = rng.uniform(1.3, 1.55)
    if c.use in ("bathroom", "bedroom") and rng.random() < 0.35:
        c.mount("mirror", size, bottom, partial(fittings.mirror, rng=rng, size=size))
    elif c.use == "office" and rng.random() < 0.5:
        size = (size[0] * 1.8, 0.9)
        c.mount("whiteboard", size, 1.0, partial(fittings.whiteboard, rng=rng, size=size))
    elif c.use == "bathroom" and rng.random() < 0.6:
        c.mount("towel", (0.5, 0.75), 0.75, partial(fittings.towel, rng=rng))
    else:
        c.mount("picture", size, bottom, partial(fittings.picture, rng=rng, size=size))


def _set(c: Composer, centre: tuple[float, float, float], yaw: float, width: float, depth: float) -> None:
    """Small things side by side on a top."""
    rng = c.rng
    slots = max(int(width / c.spacing), 1)
    for slot in range(slots):
        if rng.random() < c.gaps:
            continue
        kind = mat.pick(rng, _THINGS[c.use])
        if kind == "television" and (slot != slots // 2 or width < 0.5):
            kind = "books"
        screen = kind == "television"
        x, y = ((slot + 0.5) / slots - 0.5) * width, depth * (-0.2 if screen else rng.uniform(-0.3, 0.3))
        cos, sin = math.cos(yaw), math.sin(yaw)
        at = (centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y, centre[2])
        with c.build.object(kind, at, yaw + (0.0 if screen else rng.uniform(-0.3, 0.3))):
            props.small_thing(c.build, rng, kind)


def _small(b: Builder, rng: Rng, kind: str) -> None:
    b.origin = b.world(0, 0.2, 0)  # the middle of its footprint
    props.small_thing(b, rng, kind)


def populate(c: Composer, number: int) -> None:
    """Up to `number` people, sitting where there are seats in view or standing about, mostly turned to the camera."""
    rng, camera = c.rng, c.room.camera
    seats = [seat for seat in c.seats if seat[0][1] > camera.position[1] + 1.3]
    for _ in range(number):
        if seats and rng.random() < 0.45:
            origin, yaw, height = seats.pop(int(rng.integers(len(seats))))
            with c.build.object("person", origin, yaw):
                person(c.build, rng, seat=height)
        else:
            turn = math.pi + camera.yaw + rng.normal(0, 0.7)
            c.drop(Piece("person", 0.5, 0.4, 1.8, partial(standing, rng=rng)), 1.6, 3.8, turn)
