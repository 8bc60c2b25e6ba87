"""The description of a room before rendering: kinds of objects, camera, lights, and the builder that places solids."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .geometry import Primitive, Shape
from .textures import Colour, Material

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Kind:
    """An object's names in the three label sets; an empty name = not one of that set's classes (background)."""

    nyu: str
    voc: str
    context: str
    salience: float = 1.0  # attention per visible pixel; 0 = never the subject of a picture


KINDS: dict[str, Kind] = {
    "wall": Kind("wall", "", "wall", 0),
    "floor": Kind("floor", "", "floor", 0),
    "ceiling": Kind("ceiling", "", "ceiling", 0),
    "door": Kind("door", "", "door", 0),
    "window": Kind("window", "", "window", 0),
    "blinds": Kind("blinds", "", "window blinds", 0),
    "curtain": Kind("curtain", "", "curtain", 0),
    "picture": Kind("picture", "", "picture", 0.5),
    "mirror": Kind("mirror", "", "mirror", 0.5),
    "whiteboard": Kind("whiteboard", "", "board", 0.3),
    "television": Kind("television", "tvmonitor", "tvmonitor", 2),
    "bed": Kind("bed", "", "bed", 1),
    "pillow": Kind("pillow", "", "pillow", 1),
    "sofa": Kind("sofa", "sofa", "sofa", 1.5),
    "chair": Kind("chair", "chair", "chair", 2),
    "table": Kind("table", "", "table", 1),
    "dining table": Kind("table", "diningtable", "table", 1.5),
    "desk": Kind("desk", "", "table", 0.7),
    "cabinet": Kind("cabinet", "", "cabinet", 0.3),
    "wardrobe": Kind("cabinet", "", "wardrobe", 0.3),
    "dresser": Kind("dresser", "", "cabinet", 0.3),
    "night stand": Kind("night stand", "", "cabinet", 0.3),
    "bookshelf": Kind("bookshelf", "", "shelves", 0.3),
    "books": Kind("books", "", "book", 0.2),
    "counter": Kind("counter", "", "counter", 0.3),
    "sink": Kind("sink", "", "sink", 0.5),
    "refrigerator": Kind("refridgerator", "", "fridge", 0.7),
    "toilet": Kind("toilet", "", "toilet", 1.5),
    "bathtub": Kind("bathtub", "", "bathtub", 1),
    "towel": Kind("towel", "", "towel", 0.3),
    "lamp": Kind("lamp", "", "light", 0.7),
    "rug": Kind("floor mat", "", "rug", 0),
    "plant": Kind("otherprop", "pottedplant", "pottedplant", 2),
    "bottle": Kind("otherprop", "bottle", "bottle", 3),
    "cup": Kind("otherprop", "", "cup", 1),
    "box": Kind("box", "", "box", 0.7),
    "bag": Kind("bag", "", "bag", 1),
    "paper": Kind("paper", "", "paper", 0.2),
    "person": Kind("person", "person", "person", 10),
    "shelf": Kind("shelves", "", "shelves", 0.3),
    "clothes": Kind("clothes", "", "cloth", 0.5),
    "shower curtain": Kind("shower curtain", "", "curtain", 0),
    "stool": Kind("otherfurniture", "", "stool", 1),
    "pillar": Kind("otherstructure", "", "pillar", 0),
    "radiator": Kind("otherstructure", "", "radiator", 0.2),
}


@dataclass(frozen=True, slots=True)
class Camera:
    """Pinhole camera: position [m], yaw (0 looks along +y, positive to the left), pitch (positive up), roll, and the
    field of view across the image's longer side, all [rad]."""

    position: Vector
    yaw: float
    pitch: float
    roll: float
    field_of_view: float

    def axes(self) -> np.ndarray:
        """(3, 3) rows: right, up and forward in the world."""
        cy, sy, cp, sp = math.cos(self.yaw), math.sin(self.yaw), math.cos(self.pitch), math.sin(self.pitch)
        forward = np.array((-sy * cp, cy * cp, sp))
        right = np.array((cy, sy, 0.0))
        up = np.cross(right, forward)
        cr, sr = math.cos(self.roll), math.sin(self.roll)
        return np.stack((cr * right + sr * up, cr * up - sr * right, forward))


@dataclass(frozen=True, slots=True)
class Light:
    """Point light: position [m], colour × strength (linear); what lies within `gap` behind a surface is not in its shade [m]."""

    position: Vector
    colour: Colour
    gap: float = 0.015


@dataclass(slots=True)
class Room:
    """A furnished box [0, size]: walls are instances 1..6 in the order of `geometry.room_exit`, objects follow.

    `exposure`: the mean brightness of a photograph is drawn from this range (1: white), the strength of its noise from
    `noise` [8-bit levels].
    """

    size: Vector
    faces: tuple[Material, ...]
    camera: Camera
    primitives: list[Primitive] = field(default_factory=list)
    kinds: dict[int, str] = field(default_factory=dict)
    lights: list[Light] = field(default_factory=list)
    ambient: Colour = (0.4, 0.4, 0.4)
    exposure: tuple[float, float] = (0.22, 0.33)
    noise: tuple[float, float] = (0.5, 2.5)

    def __post_init__(self) -> None:
        self.kinds = {i + 1: name for i, name in enumerate(("wall", "wall", "wall", "wall", "floor", "ceiling"))}


class Builder:
    """Adds solids to a room in the frame of the piece of furniture at hand: +y is its front, z = 0 the floor."""

    def __init__(self, room: Room, rng: np.random.Generator) -> None:
        self.room, self.rng = room, rng
        self.origin: Vector = (0.0, 0.0, 0.0)
        self.yaw = 0.0
        self.instance = 0
        self.surfaces: list[tuple[Vector, float, float, float]] = []  # tops to put things on: centre, yaw, width, depth

    @contextmanager
    def object(self, kind: str, origin: Vector | None = None, yaw: float | None = None) -> Iterator[None]:
        """What is added inside is one new instance of `kind`; its frame sits at `origin` (in the world)."""
        before = (self.origin, self.yaw, self.instance)
        self.instance = max(self.room.kinds) + 1
        self.room.kinds[self.instance] = kind
        self.origin = self.origin if origin is None else origin
        self.yaw = self.yaw if yaw is None else yaw
        yield
        self.origin, self.yaw, self.instance = before

    def world(self, x: float, y: float, z: float) -> Vector:
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return (self.origin[0] + c * x - s * y, self.origin[1] + s * x + c * y, self.origin[2] + z)

    def _axes(self, yaw: float = 0.0, tilt: float = 0.0) -> np.ndarray:
        """Rows: local axes after a tilt about x (positive leans back) and a turn about z."""
        c, s = math.cos(self.yaw + yaw), math.sin(self.yaw + yaw)
        ct, st = math.cos(tilt), math.sin(tilt)
        return np.array(((c, s, 0), (-s * ct, c * ct, st), (s * st, -c * st, ct)))

    def _add(self, shape: Shape, centre: Vector, axes: np.ndarray, half: Vector, look: Material, **more: Any) -> None:
        rows = np.where(np.abs(axes) > 1e-9, axes, 0.0).tolist()  # exact zeros: products with them are left out
        shades = look.emission < 0.5 and max(half) > 0.025
        solid = Primitive(
            shape, centre, tuple(map(tuple, rows)), half, look, self.instance, casts_shadow=shades, **more
        )
        self.room.primitives.append(solid)

    def box(
        self, at: Vector, size: Vector, material: Material, *, yaw: float = 0.0, tilt: float = 0.0, part: str = ""
    ) -> None:
        """`at`: centre of the bottom face; `size`: width, depth, height."""
        w, d, h = size
        axes = self._axes(yaw, tilt)
        x, y, z = self.world(*at)
        ax, ay, az = (axes[2] * (h / 2)).tolist()
        self._add("box", (x + ax, y + ay, z + az), axes, (w / 2, d / 2, h / 2), material, part=part)

    def cylinder(self, at: Vector, radius: float, height: float, material: Material, *, taper: float = 1.0) -> None:
        """Upright; `at`: centre of the bottom; `taper`: top radius / bottom radius."""
        centre = self.world(at[0], at[1], at[2] + height / 2)
        # The solid's relative radius is 1 at the bottom and `taper` at the top.
        self._add("cylinder", centre, self._axes(), (radius, radius, height / 2), material, taper=taper)

    def ellipsoid(
        self, centre: Vector, radii: Vector, material: Material, *, yaw: float = 0.0, tilt: float = 0.0, part: str = ""
    ) -> None:
        self._add("ellipsoid", self.world(*centre), self._axes(yaw, tilt), radii, material, part=part)

    def capsule(self, start: Vector, end: Vector, radius: float, material: Material, *, part: str = "") -> None:
        """A rod with round ends from `start` to `end`."""
        a, b = self.world(*start), self.world(*end)
        length = max(math.dist(a, b), 1e-6)
        zx, zy, zz = ((q - p) / length for p, q in zip(a, b))
        if zx * zx + zy * zy > 1e-6:  # x: level and across the rod
            level = math.hypot(zx, zy)
            xx, xy = zy / level, -zx / level
        else:
            xx, xy = 1.0, 0.0
        axes = np.array(((xx, xy, 0.0), (-zz * xy, zz * xx, zx * xy - zy * xx), (zx, zy, zz)))
        centre = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (a[2] + b[2]) / 2)
        self._add("capsule", centre, axes, (radius, radius, length / 2 + radius), material, part=part)

    def surface(self, at: Vector, width: float, depth: float) -> None:
        """Remember a level top, centred at `at`, that small things may stand on."""
        self.surfaces.append((self.world(*at), self.yaw, width, depth))
