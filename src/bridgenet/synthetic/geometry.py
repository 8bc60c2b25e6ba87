"""Convex primitives and their intersection with bundles of rays that share an origin.

World frame: right-handed, z up, metres. Camera rays leave the camera and shadow rays leave the light, so every bundle has
one origin and all terms that depend on it alone are scalars. Arrays are float32, coordinates first: (3, ...).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .textures import Material

Array = np.ndarray
Shape = Literal["box", "ellipsoid", "cylinder", "capsule"]
MISS = np.float32(np.inf)


@dataclass(frozen=True, slots=True)
class Primitive:
    """A solid in its own frame: point = axesᵀ · local + centre.

    `half` holds the half extents [m] along the three local axes: a box's sides, an ellipsoid's radii, the two radii and
    half height of a cylinder (axis z; `taper` = top radius / bottom radius), the radius (twice) and half length with caps
    of a capsule (axis z).
    """

    shape: Shape
    centre: tuple[float, float, float]
    axes: tuple[tuple[float, float, float], ...]
    half: tuple[float, float, float]
    material: Material
    instance: int
    part: str = ""
    taper: float = 1.0
    casts_shadow: bool = True

    @property
    def radius(self) -> float:
        """Radius of a sphere about the centre that holds the solid [m]."""
        a, b, c = self.half
        if self.shape == "box":
            return math.sqrt(a * a + b * b + c * c)
        if self.shape == "cylinder":
            return math.hypot(max(a, b) * max(1.0, self.taper), c)
        return max(a, b, c)


_SIGNS = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], np.float64)


def corners(prims: Sequence[Primitive]) -> Array:
    """(P, 8, 3) corners of the boxes that bound the solids, in the world."""
    half = np.array([p.half for p in prims]).reshape(-1, 1, 3)
    half[..., :2] *= np.array([max(1.0, p.taper) for p in prims]).reshape(-1, 1, 1)
    axes = np.array([p.axes for p in prims]).reshape(-1, 3, 3)
    return np.einsum("pci,pij->pcj", _SIGNS * half, axes) + np.array([p.centre for p in prims]).reshape(-1, 1, 3)


def _project(axis: tuple[float, float, float], vectors: Array) -> Array:
    """Dot product with one axis. Plain sums, so that the result does not depend on the BLAS; most axes have zeros."""
    total: Array | None = None
    for coefficient, component in zip(axis, vectors):
        if coefficient != 0.0:
            term = component if coefficient == 1.0 else np.float32(coefficient) * component
            total = term if total is None else total + term
    return np.zeros_like(vectors[0]) if total is None else total


def to_local(prim: Primitive, vectors: Array) -> list[Array]:
    """Components of world vectors (3, ...) along the primitive's axes."""
    return [_project(axis, vectors) for axis in prim.axes]


def _local_origin(prim: Primitive, origin: Array) -> list[float]:
    offset = [float(o) - c for o, c in zip(origin, prim.centre)]
    return [sum(a * o for a, o in zip(axis, offset)) for axis in prim.axes]


def intersect(prim: Primitive, origin: Array, directions: Array) -> Array:
    """Ray parameter of the first hit from outside, `inf` for a miss; directions (3, ...), result (...), float32."""
    o = _local_origin(prim, origin)
    d = to_local(prim, directions)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _INTERSECT[prim.shape](prim, o, d)


def _box(prim: Primitive, o: list[float], d: list[Array]) -> Array:
    near, far = -MISS, MISS
    for origin, direction, half in zip(o, d, prim.half):
        inverse = np.float32(1) / direction
        middle = np.float32(-origin) * inverse
        reach = np.float32(half) * np.abs(inverse)
        enter, leave = middle - reach, middle + reach
        near, far = np.maximum(near, enter), np.minimum(far, leave)
    return np.where((near <= far) & (near > 0), near, MISS)


def _ellipsoid(prim: Primitive, o: list[float], d: list[Array]) -> Array:
    o = [x / h for x, h in zip(o, prim.half)]
    d = [x * np.float32(1 / h) for x, h in zip(d, prim.half)]
    a = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    b = np.float32(o[0]) * d[0] + np.float32(o[1]) * d[1] + np.float32(o[2]) * d[2]
    c = np.float32(o[0] ** 2 + o[1] ** 2 + o[2] ** 2 - 1)
    t = (-b - np.sqrt(b * b - a * c)) / a
    return np.where(t > 0, t, MISS)


def _cylinder(prim: Primitive, o: list[float], d: list[Array]) -> Array:
    rx, ry, h = prim.half
    ox, oy, oz = o[0] / rx, o[1] / ry, o[2]
    dx, dy, dz = d[0] * np.float32(1 / rx), d[1] * np.float32(1 / ry), d[2]
    slope = (prim.taper - 1) / (2 * h)  # relative radius = middle + slope · z
    middle = (1 + prim.taper) / 2
    width = middle + slope * oz
    a = dx * dx + dy * dy - np.float32(slope * slope) * dz * dz
    b = np.float32(ox) * dx + np.float32(oy) * dy - np.float32(slope * width) * dz
    root = np.sqrt(b * b - a * np.float32(ox * ox + oy * oy - width * width))
    result = np.full(dx.shape, MISS, np.float32)
    for sign in (-1,) if slope == 0 else (-1, 1):  # seen along the axis, a cone is entered through the second root
        t = (-b + sign * root) / a
        valid = (t > 0) & (t < result) & (np.abs(np.float32(oz) + t * dz) <= h)
        np.copyto(result, t, where=valid)
    if abs(oz) > h:  # the cap that faces the origin
        end = math.copysign(h, oz)
        t = np.float32(end - oz) / dz
        x, y = np.float32(ox) + t * dx, np.float32(oy) + t * dy
        valid = (t > 0) & (t < result) & (x * x + y * y <= (middle + slope * end) ** 2)
        np.copyto(result, t, where=valid)
    return result


def _capsule(prim: Primitive, o: list[float], d: list[Array]) -> Array:
    radius = prim.half[0]
    stem = prim.half[2] - radius
    ox, oy, oz = (np.float32(x) for x in o)
    a = d[0] * d[0] + d[1] * d[1]
    b = ox * d[0] + oy * d[1]
    t = (-b - np.sqrt(b * b - a * np.float32(o[0] ** 2 + o[1] ** 2 - radius**2))) / a
    z = oz + t * d[2]
    # Outside the stem the sphere at the nearer end decides.
    pz = oz - np.where(z > 0, np.float32(stem), np.float32(-stem))
    a = a + d[2] * d[2]
    b = b + pz * d[2]
    c = np.float32(o[0] ** 2 + o[1] ** 2 - radius**2) + pz * pz
    ball = (-b - np.sqrt(b * b - a * c)) / a
    t = np.where(np.abs(z) <= stem, t, ball)
    return np.where(t > 0, t, MISS)


_INTERSECT = {"box": _box, "ellipsoid": _ellipsoid, "cylinder": _cylinder, "capsule": _capsule}


def surface(prim: Primitive, points: Array) -> tuple[list[Array], list[Array], Array]:
    """Local coordinates, local and world unit normals (3 × (N,), 3 × (N,), (3, N)) of world points (3, N) on the surface."""
    p = to_local(prim, points - np.array(prim.centre, np.float32)[:, None])
    half = prim.half
    if prim.shape == "box":
        share = np.stack([np.abs(x) * np.float32(1 / h) for x, h in zip(p, half)])
        face = share.argmax(0)
        normal = [np.where(face == i, np.sign(p[i]), np.float32(0)) for i in range(3)]
    elif prim.shape == "ellipsoid":
        normal = [x * np.float32(1 / h**2) for x, h in zip(p, half)]
    elif prim.shape == "capsule":
        stem = half[2] - half[0]
        normal = [p[0], p[1], p[2] - np.clip(p[2], -stem, stem)]
    else:
        slope = (prim.taper - 1) / (2 * half[2])
        width = np.float32((1 + prim.taper) / 2) + np.float32(slope) * p[2]
        x, y = p[0] * np.float32(1 / half[0]), p[1] * np.float32(1 / half[1])
        radial = np.sqrt(x * x + y * y)
        cap = np.abs(np.abs(p[2]) / half[2] - 1) < np.abs(radial / width - 1)
        normal = [
            np.where(cap, np.float32(0), x * np.float32(1 / half[0])),
            np.where(cap, np.float32(0), y * np.float32(1 / half[1])),
            np.where(cap, np.sign(p[2]), np.float32(-slope) * width),
        ]
    length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) + np.float32(1e-12)
    normal = [n / length for n in normal]
    columns = list(zip(*prim.axes))
    world = np.stack([_project(column, np.stack(normal)) for column in columns])
    return p, normal, world


def room_exit(size: tuple[float, float, float], origin: Array, directions: Array) -> tuple[Array, Array]:
    """Where rays from inside the box [0, size] leave it: ray parameter and face index (…).

    Faces: 0 x = 0, 1 x = size[0], 2 y = 0, 3 y = size[1], 4 floor, 5 ceiling.
    """
    best = np.full(directions.shape[1:], MISS, np.float32)
    face = np.zeros(directions.shape[1:], np.int16)
    with np.errstate(divide="ignore"):
        for axis in range(3):
            inverse = np.float32(1) / directions[axis]
            ahead = inverse > 0
            t = np.where(ahead, np.float32(size[axis] - origin[axis]), np.float32(-origin[axis])) * inverse
            closer = t < best
            np.copyto(best, t, where=closer)
            np.copyto(face, ahead.astype(np.int16) + np.int16(2 * axis), where=closer)
    return best, face


FACE_NORMALS = np.array(
    [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], np.float32
)  # inwards, by face index
