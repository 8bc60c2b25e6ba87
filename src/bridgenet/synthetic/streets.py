"""Scene composition: a street with a camera behind a car's windscreen, and the traffic on it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from . import materials as mat
from . import roadside, vehicles
from .description import Builder, Camera, Light, Room
from .furniture import Rng
from .people import person
from .textures import Material

FIELD_OF_VIEW = 2 * math.atan(1024 / 2262.52)
"""Field of view of Cityscapes' camera across the longer side: focal length 2262.52 pixels at a width of 2048 [rad]."""

_MIDDLE, _WIDTH, _LENGTH, _HEIGHT = 50.0, 100.0, 170.0, 60.0  # of the box that the sky is painted on [m]
_START = 6.0  # where the camera stands along the street [m]
_KERB = 0.13  # height of the pavement [m]
_SUN, _SUN_GAP = 400.0, 0.25  # how far the sun is: nearly parallel light; what float32 loses over that distance [m]


class _Street:
    """A street under construction: x is across it from its middle, y along it from the camera."""

    def __init__(self, rng: Rng, room: Room, half: float) -> None:
        self.rng, self.half = rng, half
        self.build = Builder(room, rng)
        self.taken: list[tuple[float, float, float, float]] = []

    def object(self, kind: str, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> AbstractContextManager[None]:
        """What is built inside is one new object of `kind` that stands there."""
        return self.build.object(kind, (_MIDDLE + x, _START + y, z), yaw)

    @contextmanager
    def frame(self, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Iterator[None]:
        """What is built inside stands there; it makes its own objects."""
        before = (self.build.origin, self.build.yaw)
        self.build.origin, self.build.yaw = (_MIDDLE + x, _START + y, z), yaw
        yield
        self.build.origin, self.build.yaw = before

    def is_free(self, x: float, y: float, width: float, length: float) -> bool:
        """Whether that place of the ground is free; it is taken then."""
        box = (x - width / 2, y - length / 2, x + width / 2, y + length / 2)
        if any(box[0] < b[2] and box[2] > b[0] and box[1] < b[3] and box[3] > b[1] for b in self.taken):
            return False
        self.taken.append(box)
        return True


def compose_street(rng: np.random.Generator) -> Room:
    """One street with a camera in it; its kinds are names of :data:`bridgenet.data.published.cityscapes.LABELS`."""
    half = mat.pick(rng, (3.6, 4.6, 7.0, 8.2))  # of the road's width [m]
    lane = half / 2 if half < 6 else half / 4
    pitch = math.radians(rng.normal(-1.7, 0.4))
    camera_x = lane + rng.normal(0, 0.25)
    height = rng.uniform(1.18, 1.32)
    yaw, roll = math.radians(rng.normal(0.5, 1.5)), math.radians(rng.normal(0, 0.4))
    camera = Camera((_MIDDLE + camera_x, _START, height), yaw, pitch, roll, FIELD_OF_VIEW)
    room = Room((_WIDTH, _LENGTH, _HEIGHT), _faces(rng), camera)
    room.kinds = dict(enumerate(("sky", "sky", "sky", "sky", "road", "sky"), start=1))
    _light(rng, room)
    street = _Street(rng, room, half)
    _markings(street, lane)
    street.taken.append((camera_x - 1.6, -4.0, camera_x + 1.6, 9.0))
    for side in (-1, 1):
        _side(street, side)
    _crossing(street)
    _traffic(street, lane)
    with street.object("ego vehicle", camera_x, 0):
        paint = mat.plain(rng, mat.pick(rng, ((0.03, 0.03, 0.035), (0.3, 0.3, 0.32))), 0.3)
        street.build.ellipsoid((0, 1.0, 0.5), (0.9, 1.15, height - 0.82), paint)
    return room


def _faces(rng: Rng) -> tuple[Material, ...]:
    """Sky all around, asphalt below. The sky gives its own light: strong and dark, so that nothing falls on it."""
    clear = rng.random() < 0.6
    haze = mat.scaled((0.75, 0.8, 0.86), 0.045)
    zenith = mat.scaled((0.32, 0.5, 0.8) if clear else (0.62, 0.66, 0.7), 0.045)
    sky = Material("clouds", (haze, zenith), scale=45.0, phase=rng.random(), emission=24.0)
    above = Material("plain", (zenith, zenith), emission=24.0)
    grey = rng.uniform(0.09, 0.17)
    colours = ((grey, grey, grey * 1.03), (grey * 0.75, grey * 0.75, grey * 0.78))
    asphalt = Material("carpet", colours, phase=rng.random())
    return (sky, sky, sky, sky, asphalt, above)


def _light(rng: Rng, room: Room) -> None:
    strength = rng.uniform(0.2, 1.5)
    up, turn = math.radians(rng.uniform(28, 60)), rng.uniform(0, 2 * math.pi)
    x, y, z = math.cos(up) * math.cos(turn), math.cos(up) * math.sin(turn), math.sin(up)
    power = strength * 0.25 * _SUN**2
    at = (_MIDDLE + _SUN * x, 30 + _SUN * y, _SUN * z)
    room.lights.append(Light(at, (power, 0.95 * power, 0.86 * power), gap=_SUN_GAP))
    ambient = rng.uniform(0.5, 0.75)
    room.ambient = (ambient * 0.94, ambient * 0.98, ambient * 1.06)


def _markings(street: _Street, lane: float) -> None:
    white = Material("plain", ((0.55, 0.55, 0.53), (0.4, 0.4, 0.39)))
    with street.object("road", 0, 0):
        for y in range(2, 90, 6):
            street.build.box((0, y + 1.5, 0), (0.13, 3.0, 0.004), white)
            if street.half > 6:
                for side in (-1, 1):
                    street.build.box((side * 2 * lane, y, 0), (0.12, 1.5, 0.004), white)


def _side(street: _Street, side: int) -> None:
    """Pavement, strip of grass, houses and gardens, trees, lamps, signs and people of one side (−1 left, 1 right)."""
    rng, b, half = street.rng, street.build, street.half
    walk, strip = rng.uniform(2.6, 4.2), mat.pick(rng, (0.0, 0.0, 1.6, 2.6))
    inner = half + strip
    grey = rng.uniform(0.26, 0.4)
    paving = Material(
        "tiles", ((grey, grey * 0.97, grey * 0.93), (grey * 0.6,) * 3), scale=rng.uniform(0.4, 0.9), phase=rng.random()
    )
    with street.object("sidewalk", side * (inner + walk / 2), _LENGTH / 2 - 10):
        b.box((0, 0, 0), (walk, _LENGTH, _KERB), paving)
    if strip:
        with street.object("terrain", side * (half + strip / 2), _LENGTH / 2 - 10):
            b.box((0, 0, 0), (strip, _LENGTH, _KERB - 0.02), _grass(rng))
    with street.object("terrain", side * (inner + walk + 12), _LENGTH / 2 - 10):
        b.box((0, 0, 0), (24, _LENGTH, _KERB - 0.03), _grass(rng))
    _plots(street, side, inner + walk)
    x = side * (half + (strip / 2 if strip else 0.6))
    for y in np.arange(rng.uniform(8, 16), 110, rng.uniform(8, 16)).tolist():
        if rng.random() < (0.75 if strip else 0.4) and street.is_free(x, y, 0.8, 0.8):
            with street.object("vegetation", x, y):
                roadside.tree(b, rng)
    for y in np.arange(rng.uniform(12, 30), 120, 28.0).tolist():
        if street.is_free(side * (half + 0.45), y, 0.4, 0.4):
            with street.object("pole", side * (half + 0.45), y, yaw=0.0 if side < 0 else math.pi):
                roadside.lamp_post(b, rng)
    for y in rng.uniform(10, 60, int(rng.integers(1, 4))).tolist():
        if street.is_free(side * (half + 0.4), y, 0.5, 0.5):
            with street.frame(side * (half + 0.4), y, yaw=rng.normal(0, 0.15)):
                roadside.sign_post(b, rng)
    if rng.random() < 0.3:
        for y in range(12, 40, 2):
            with street.object("pole", side * (half + 0.25), y):
                roadside.bollard(b, rng)
    for y in rng.uniform(9, 45, int(rng.integers(1, 6))).tolist():
        _walker(street, side * (inner + rng.uniform(0.4, walk - 0.4)), y)
    for y in rng.uniform(9, 40, int(rng.integers(0, 4))).tolist():
        _parked_bicycle(street, side * (inner + 0.6), y)


def _grass(rng: Rng) -> Material:
    colour = mat.scaled((0.1, 0.15, 0.04), rng.uniform(0.7, 1.4))
    return Material("carpet", (colour, mat.scaled(colour, 0.7)), phase=rng.random())


def _plots(street: _Street, side: int, front: float) -> None:
    """Houses, and between them gardens behind a fence, a wall or a hedge."""
    rng, b = street.rng, street.build
    turn = math.pi if side < 0 else 0.0  # a house goes away from the road
    y = -rng.uniform(0, 10)
    gap = rng.uniform(0.15, 0.65)
    while y < 150:
        length = rng.uniform(9, 22)
        middle = y + length / 2
        if rng.random() < gap:
            kind = mat.pick(rng, ("fence", "wall", "vegetation", "fence", "wall"))
            with street.object(kind, side * (front + 0.3), middle, _KERB):
                {"fence": roadside.fence, "wall": roadside.wall, "vegetation": roadside.hedge}[kind](b, rng, length)
            for _ in range(int(rng.integers(1, 4))):
                with street.object("vegetation", side * (front + rng.uniform(2, 7)), y + rng.random() * length):
                    roadside.tree(b, rng)
        else:
            back = rng.uniform(0, 1.2)
            with street.object("building", side * (front + back), middle, yaw=turn + math.pi):
                roadside.building(b, rng, length, 12, rng.uniform(7, 19))
        y += length
    if side > 0 and rng.random() < 0.5:  # the street ends or bends
        with street.object("building", 0, rng.uniform(85, 140), yaw=-math.pi / 2):
            roadside.building(b, rng, 60, 12, rng.uniform(9, 16))


def _crossing(street: _Street) -> None:
    """Now and then a zebra crossing with signals and people on it."""
    rng, b, half = street.rng, street.build, street.half
    if rng.random() < 0.4:
        return
    y = rng.uniform(14, 34)
    white = Material("plain", ((0.6, 0.6, 0.58), (0.45, 0.45, 0.44)))
    with street.object("road", 0, y):
        for i in range(int(2 * half)):
            b.box((i - half + 0.5, 0, 0), (0.5, 3.0, 0.006), white)
    for side in (-1, 1):
        if street.is_free(side * (half + 0.5), y - 2, 0.4, 0.4):
            with street.frame(side * (half + 0.5), y - 2):
                roadside.signal(b, rng, -side * rng.uniform(1.5, 3.0))
    for _ in range(int(rng.integers(0, 4))):
        _walker(street, rng.uniform(-half, half), y + rng.uniform(-1, 1), across=True)


def _walker(street: _Street, x: float, y: float, *, across: bool = False) -> None:
    rng, b = street.rng, street.build
    if not street.is_free(x, y, 0.7, 0.7):
        return
    ground = 0.0 if across else _KERB
    yaw = mat.pick(rng, (math.pi / 2, -math.pi / 2) if across else (0.0, math.pi)) + rng.normal(0, 0.3)
    with street.object("person", x, y, ground, yaw=yaw):
        person(b, rng)


def _parked_bicycle(street: _Street, x: float, y: float) -> None:
    rng, b = street.rng, street.build
    kind = mat.pick(rng, ("bicycle", "motorcycle"))
    if street.is_free(x, y, 0.7, 1.9):
        with street.object(kind, x, y, _KERB, yaw=rng.normal(math.pi / 4, 0.5)):
            (vehicles.bicycle if kind == "bicycle" else vehicles.motorcycle)(b, rng)


_LENGTHS = {"car": 4.8, "truck": 9.2, "bus": 12.2, "train": 24.0, "bicycle": 2.0, "motorcycle": 2.2}
_SHARES = {"car": 0.55, "truck": 0.08, "bus": 0.08, "train": 0.06, "bicycle": 0.13, "motorcycle": 0.1}


def _traffic(street: _Street, lane: float) -> None:
    """Parked cars at both kerbs, and what drives: on the right away from the camera, on the left towards it."""
    rng, half = street.rng, street.half
    for side in (-1, 1):
        if rng.random() < 0.65:
            density = rng.uniform(0.3, 0.9)
            for y in np.arange(rng.uniform(7, 12), 90, 5.6).tolist():
                if rng.random() < density:
                    _drive(street, "car", side * (half - 1.0), y, 0.0 if side > 0 or rng.random() < 0.2 else math.pi)
    lanes = (lane,) if half < 6 else (lane, 3 * lane)
    for side in (-1, 1):
        for x in lanes:
            y = rng.uniform(10, 26)
            while y < 100:
                kind = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
                length = _LENGTHS[kind]
                if kind == "train" and x > lane:
                    kind, length = "bus", _LENGTHS["bus"]  # rails lie in the middle of the road
                is_small = kind in ("bicycle", "motorcycle")
                shift = rng.uniform(0.6, 1.2) * (half < 6 or x > lane) if is_small else rng.normal(0, 0.15)
                _drive(street, kind, side * (x + shift), y + length / 2, 0.0 if side > 0 else math.pi)
                y += length + rng.exponential(13) + 5


def _drive(street: _Street, kind: str, x: float, y: float, yaw: float) -> None:
    rng, b = street.rng, street.build
    small = kind in ("bicycle", "motorcycle")
    if not street.is_free(x, y, 0.8 if small else (1.9 if kind == "car" else 2.7), _LENGTHS[kind]):
        return
    if small:
        with street.frame(x, y, yaw=yaw + rng.normal(0, 0.1)):
            vehicles.with_rider(b, rng, kind)
        return
    make = {"car": vehicles.car, "truck": vehicles.truck, "bus": vehicles.bus, "train": vehicles.train}[kind]
    with street.object(kind, x, y, yaw=yaw + rng.normal(0, 0.02)):
        make(b, rng)
