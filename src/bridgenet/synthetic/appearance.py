"""The look of hard rooms: dim, one-sided or coloured light, and misleading materials."""

from __future__ import annotations

import math
from dataclasses import replace

from . import materials as mat
from .description import Light, Room, Vector
from .furniture import Rng
from .textures import Material

_SPARED = ("wall", "floor", "ceiling", "person")  # faces have a separate probability, people keep their skin
_TEXTURES = ("spines", "bricks", "tiles", "planks", "plaid", "stripes", "folds", "checks", "slats")


def relight(room: Room, rng: Rng) -> None:
    """Dim, one-sided or coloured light, in any combination, and exposures that do not compensate for it."""
    width, length, height = room.size
    if rng.random() < 0.45:  # one strong lamp at one side, little light from elsewhere
        wall = rng.uniform(0.45, 0.75)  # clear of wardrobes and wall cabinets, in which it would light nothing
        side = wall if rng.random() < 0.5 else width - wall
        power = rng.uniform(1.5, 4.0)
        at = (side, length * rng.uniform(0.25, 0.9), height - rng.uniform(0.12, 0.2))
        room.lights = [Light(at, (power, power * rng.uniform(0.8, 1.0), power * rng.uniform(0.6, 1.05)))]
        room.ambient = mat.scaled(room.ambient, rng.uniform(0.2, 0.5))
    if rng.random() < 0.35:
        tint = mat.hsv(rng.random(), rng.uniform(0.2, 0.6), 1.0)
        room.lights = [replace(light, colour=_times(light.colour, tint)) for light in room.lights]
        if rng.random() < 0.5:
            room.ambient = _times(room.ambient, mat.hsv(rng.random(), rng.uniform(0.1, 0.35), 1.0))
    if rng.random() < 0.35:
        room.ambient = mat.scaled(room.ambient, rng.uniform(0.3, 0.7))
        level = math.exp(rng.uniform(math.log(0.04), math.log(0.13)))
        room.noise = (2.0, 7.0)
    else:
        level = math.exp(rng.uniform(math.log(0.13), math.log(0.42)))
    room.exposure = (level, level * 1.05)


def _times(first: Vector, second: Vector) -> Vector:
    return (first[0] * second[0], first[1] * second[1], first[2] * second[2])


def mislead(room: Room, rng: Rng) -> None:
    """Give some faces and objects a material that is usual for other ones."""
    faces = list(room.faces)
    if rng.random() < 0.4:
        look = _unusual(room, rng)
        for i in (0, 1, 2, 3) if rng.random() < 0.3 else (int(rng.choice((0, 1, 3))),):
            faces[i] = look
    for i, chance in ((4, 0.35), (5, 0.15)):
        if rng.random() < chance:
            faces[i] = _unusual(room, rng)
    room.faces = tuple(faces)
    solids: dict[int, list[int]] = {}
    for index, solid in enumerate(room.primitives):
        if solid.material.emission == 0 and room.kinds[solid.instance] not in _SPARED:
            solids.setdefault(solid.instance, []).append(index)
    for indices in solids.values():
        if rng.random() < 0.3:
            volumes: dict[Material, float] = {}
            for i in indices:
                solid = room.primitives[i]
                volumes[solid.material] = volumes.get(solid.material, 0.0) + math.prod(solid.half)
            main, look = max(volumes, key=lambda m: volumes[m]), _unusual(room, rng)
            for i in indices:
                if room.primitives[i].material == main:
                    room.primitives[i] = replace(room.primitives[i], material=look)


def _unusual(room: Room, rng: Rng) -> Material:
    """The material of a wall or the floor, or any pattern in any colours."""
    draw = rng.random()
    if draw < 0.35:
        return room.faces[int(rng.choice((0, 1, 3)))]
    if draw < 0.5:
        return room.faces[4]
    if draw < 0.65:
        return mat.pick(rng, (mat.floor, mat.wall, mat.wood, mat.paint, mat.metal))(rng)
    if draw < 0.75:
        return mat.cloth(rng, vivid=True, patterned=1.0)
    hues = mat.hues(rng, 3, (0.05, 0.7), (0.1, 0.75))
    return Material(mat.pick(rng, _TEXTURES), hues, scale=float(rng.uniform(0.08, 0.3)), phase=rng.random())
