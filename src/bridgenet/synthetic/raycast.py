"""Render a scene: the visible solid of every pixel, its exact labels, and its colour under point lights with shadows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from .description import Light, Room
from .geometry import FACE_NORMALS, Primitive, corners, intersect, room_exit, surface
from .textures import albedo

Array = np.ndarray
_NEAR = 0.05  # [m]


@dataclass(frozen=True, slots=True)
class Scene:
    """A rendered room; labels hold at pixel centres.

    rgb: (H, W, 3) uint8. depth: (H, W) float32, distance along the optical axis [m]. normals: (H, W, 3) float32 unit
    vectors, x right, y up, z towards the viewer. instances: (H, W) int16 keys of `kinds` (1..4 walls, 5 floor, 6 ceiling,
    then objects). parts: (H, W) uint8, index into `part_names` (0 = no body part). kinds: instance → key of
    `description.KINDS`, in streets of `data.cityscapes.LABELS`. fov: (horizontal, vertical) field of view [rad].
    """

    rgb: Array
    depth: Array
    normals: Array
    instances: Array
    parts: Array
    kinds: dict[int, str]
    part_names: tuple[str, ...]
    fov: tuple[float, float]


@dataclass(frozen=True, slots=True)
class View:
    """Primary visibility: z-depth (H, W) [m] and solid (H, W) int16: index into the room's solids, or −1 − face."""

    directions: Array  # (3, H, W), one metre along the optical axis
    depth: Array
    solid: Array
    tangents: tuple[float, float]  # half the image's width and height at one metre [m]


def look(room: Room, size: tuple[int, int]) -> View:
    """Cast one ray through every pixel centre of an image of `size` (height, width)."""
    height, width = size
    right, up, forward = room.camera.axes()
    half = np.tan(room.camera.field_of_view / 2) / max(size)  # half a pixel at one metre [m]
    tx, ty = half * width, half * height
    x = ((np.arange(width) * 2 + 1 - width) * half).astype(np.float32)
    y = ((height - 1 - np.arange(height) * 2) * half).astype(np.float32)
    directions = np.stack(
        [np.float32(f) + np.float32(r) * x + np.float32(u) * y[:, None] for f, r, u in zip(forward, right, up)]
    )
    origin = np.array(room.camera.position)
    depth, face = room_exit(room.size, origin, directions)
    solid = -1 - face
    frame = np.stack((right, up, forward))
    for index, window in _windows(room.primitives, origin, frame, (tx, ty), size):
        prim = room.primitives[index]
        t = intersect(prim, origin, directions[:, window[0], window[1]])
        closer = t < depth[window]
        np.copyto(depth[window], t, where=closer)
        solid[window][closer] = index
    return View(directions, depth, solid, (float(tx), float(ty)))


def _windows(
    prims: list[Primitive], origin: Array, frame: Array, tangents: tuple[float, float], size: tuple[int, int]
) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Index of every solid that may be visible, with its rows and columns in the image."""
    height, width = size
    x, y, z = np.moveaxis(np.einsum("pci,ji->pcj", corners(prims) - origin, frame), -1, 0)
    nearest, farthest = z.min(1), z.max(1)
    z = np.maximum(z, _NEAR)
    column = (x / z / tangents[0] + 1) * width / 2
    row = (1 - y / z / tangents[1]) * height / 2
    low = np.stack((row.min(1), column.min(1)), 1).clip(0, (height, width)).astype(int) - 1
    high = np.stack((row.max(1), column.max(1)), 1).clip(-2, (height, width)).astype(int) + 2
    low[nearest < _NEAR], high[nearest < _NEAR] = 0, (height, width)  # beside or around the camera
    low = np.maximum(low, 0)
    seen = (farthest >= _NEAR) & (low < high).all(1) & (low < (height, width)).all(1)
    for index in np.flatnonzero(seen).tolist():
        (top, left), (bottom, right) = low[index].tolist(), high[index].tolist()
        yield index, (slice(top, bottom), slice(left, right))


def instances_of(room: Room, view: View) -> Array:
    """(H, W) int16 instance map."""
    table = np.array([p.instance for p in room.primitives] + [6, 5, 4, 3, 2, 1], np.int16)
    return table[view.solid]  # −1 − face counts from the table's end


def render_room(room: Room, size: tuple[int, int], rng: np.random.Generator) -> Scene:
    """Render a room at `size` (height, width); `rng` draws exposure, white balance and sensor noise."""
    view = look(room, size)
    origin = np.array(room.camera.position, np.float32)
    points = origin[:, None, None] + view.directions * view.depth
    colour, normals, gloss, emission = _materials(room, view, points)
    light = _lighting(room, view, points, normals, gloss)
    image = colour * (light[0] + emission) + light[1]
    instances = instances_of(room, view)
    frame = room.camera.axes().astype(np.float32)
    seen = np.stack([sum(a * n for a, n in zip(axis, normals)) for axis in (frame[0], frame[1], -frame[2])], -1)
    seen /= np.sqrt((seen * seen).sum(-1, keepdims=True))
    names = ("", *sorted({p.part for p in room.primitives} - {""}))
    parts = np.array([names.index(p.part) for p in room.primitives] + [0] * 6, np.uint8)[view.solid]
    tx, ty = view.tangents
    return Scene(
        _develop(image, view.solid, room, rng),
        view.depth,
        seen,
        instances,
        parts,
        dict(room.kinds),
        names,
        (2 * float(np.arctan(tx)), 2 * float(np.arctan(ty))),
    )


def _materials(room: Room, view: View, points: Array) -> tuple[Array, Array, Array, Array]:
    """Albedo and world normals (3, H, W), gloss and emission (H, W) of what every pixel sees."""
    flat = view.solid.ravel()
    order = np.argsort(flat, kind="stable")
    found, starts = np.unique(flat[order], return_index=True)
    bounds = [*starts.tolist(), flat.size]
    points = points.reshape(3, -1)[:, order]
    pixel = np.float32(2 * view.tangents[0] / view.solid.shape[1])
    footprint = view.depth.ravel()[order] * pixel
    colour = np.empty_like(points)
    normals = np.empty_like(points)
    gloss, emission = np.zeros_like(footprint), np.zeros_like(footprint)
    for index, start, stop in zip(found.tolist(), bounds[:-1], bounds[1:]):
        part = slice(start, stop)
        if index < 0:
            material = room.faces[-1 - index]
            normal = FACE_NORMALS[-1 - index]
            local = list(points[:, part])
            local_normal = [np.full(stop - start, n, np.float32) for n in normal]
            normals[:, part] = normal[:, None]
        else:
            material = room.primitives[index].material
            local, local_normal, normals[:, part] = surface(room.primitives[index], points[:, part])
        colour[:, part] = albedo(material, local, local_normal, footprint[part])
        gloss[part], emission[part] = material.gloss, material.emission
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    shape = view.solid.shape
    colour, normals = colour[:, back].reshape(3, *shape), normals[:, back].reshape(3, *shape)
    return colour, normals, gloss[back].reshape(shape), emission[back].reshape(shape)


def _lighting(room: Room, view: View, points: Array, normals: Array, gloss: Array) -> tuple[Array, Array]:
    """Diffuse light and highlights, (3, H, W) each."""
    shape = view.depth.shape
    # Light thrown back by the room: more from above, a little more from one side than from the other.
    right, ahead, up = normals
    sky = np.float32(0.78) + np.float32(0.22) * up + np.float32(0.07) * right - np.float32(0.05) * ahead
    sky *= _openness(room, view, points, normals)
    diffuse = np.array(room.ambient, np.float32)[:, None, None] * sky
    highlight = np.zeros(shape, np.float32)
    eye = -view.directions / np.sqrt((view.directions**2).sum(0))
    for light in room.lights:
        away = points - np.array(light.position, np.float32)[:, None, None]
        square = (away * away).sum(0)
        distance = np.sqrt(square)
        away = away / distance
        cosine = -(away * normals).sum(0)
        lit = np.flatnonzero(cosine.ravel() > 0)
        visible = np.zeros(distance.size, np.float32)
        visible[lit] = _visible(room, light, away.reshape(3, -1)[:, lit], distance.ravel()[lit])
        fading = np.float32(1) / (np.float32(0.6) + np.float32(0.25) * square)
        strength = visible.reshape(shape) * np.maximum(cosine, 0) * fading
        diffuse += np.array(light.colour, np.float32)[:, None, None] * strength
        middle = eye - away
        shine = (middle * normals).sum(0) / np.sqrt((middle * middle).sum(0))
        shine = np.maximum(shine, 0) ** 2
        for _ in range(4):  # (n · h) to the power 32
            shine *= shine
        highlight += shine * (gloss * strength * np.float32(1.2))
    return diffuse, np.broadcast_to(highlight, (3, *shape))


def _visible(room: Room, lamp: Light, rays: Array, distance: Array) -> Array:
    """1 where a surface at `distance` along unit `rays` (3, N) from the light is reached, 0 in shadow.

    A bounding cone, seen from the light, first per object and then per solid, spares most exact tests.
    """
    light, gap = np.array(lamp.position), np.float32(lamp.gap)
    shadow = np.zeros(distance.shape, bool)
    objects: dict[int, list[Primitive]] = {}
    for prim in room.primitives:
        if prim.casts_shadow:
            objects.setdefault(prim.instance, []).append(prim)
    for prims in objects.values():
        centres = np.array([p.centre for p in prims])
        middle = ((centres.min(0) + centres.max(0)) / 2).tolist()
        radius = max(math.dist(p.centre, middle) + p.radius for p in prims)
        near = np.flatnonzero(_in_cone([m - c for m, c in zip(middle, lamp.position)], radius, rays, distance))
        near = near[~shadow[near]]
        if near.size == 0:
            continue
        some, reach = rays[:, near], distance[near]
        for prim in prims:
            centre = [m - c for m, c in zip(prim.centre, lamp.position)]
            hits = np.flatnonzero(_in_cone(centre, prim.radius, some, reach))
            if hits.size:
                t = intersect(prim, light, some[:, hits])
                shadow[near[hits[t < reach[hits] - gap]]] = True
    return (~shadow).astype(np.float32)


def _in_cone(centre: list[float], radius: float, rays: Array, distance: Array) -> Array:
    """Can the ray meet a sphere at `centre` (relative to the rays' origin) before `distance`?"""
    far = math.hypot(*centre)
    if far <= radius * 1.001:
        return np.ones(distance.shape, bool)
    x, y, z = (np.float32(c / far) for c in centre)
    cosine = np.float32(math.sqrt(1 - (radius / far) ** 2) - 1e-4)
    return (x * rays[0] + y * rays[1] + z * rays[2] > cosine) & (distance > np.float32(far - radius))


def _openness(room: Room, view: View, points: Array, normals: Array) -> Array:
    """Share of the ambient light that arrives: less in the room's corners and where nearer things surround a pixel."""
    openness = np.ones(view.depth.shape, np.float32)
    for axis in range(3):
        gap = np.minimum(points[axis], np.float32(room.size[axis]) - points[axis])
        across = 1 - np.abs(normals[axis])
        openness *= 1 - np.float32(0.4) * across * np.exp(gap * np.float32(-4))
    nearness = np.float32(1) / view.depth
    height, width = view.depth.shape
    for sigma in (max(height, width) / 25, max(height, width) / 70):
        # Luft, Colditz and Deussen, "Image enhancement by unsharp masking the depth buffer".
        around = cv2.blur(nearness, (int(sigma) * 2 + 1, int(sigma) * 2 + 1))
        openness *= 1 - np.clip((around / nearness - 1) * np.float32(1.5), 0, np.float32(0.3))
    return openness


def _develop(image: Array, solid: Array, room: Room, rng: np.random.Generator) -> Array:
    """Linear light (3, H, W) to an 8-bit photograph (H, W, 3): exposure, white balance, soft clipping, edges, noise."""
    exposure = rng.uniform(*room.exposure) / max(float(np.minimum(image, 2).mean()), 1e-3)
    balance = np.clip(rng.normal(1, 0.03, 3), 0.92, 1.08) * exposure
    shown = np.ascontiguousarray(np.moveaxis(image, 0, -1)) * balance.astype(np.float32)
    levels = np.linspace(0, 4, 4096)
    curve = (255 * ((1 - np.exp(-1.55 * levels)) / (1 - np.exp(-1.55 * 4))) ** (1 / 2.2)).astype(np.float32)
    shown = curve[np.minimum(shown * np.float32(4095 / 4), 4095).astype(np.int32)]
    edge = np.zeros(solid.shape, bool)
    edge[:-1] |= solid[:-1] != solid[1:]
    edge[1:] |= solid[:-1] != solid[1:]
    edge[:, :-1] |= solid[:, :-1] != solid[:, 1:]
    edge[:, 1:] |= solid[:, :-1] != solid[:, 1:]
    shown[edge] = cv2.GaussianBlur(shown, (3, 3), 0)[edge]  # in place of anti-aliasing
    shown += rng.standard_normal(shown.shape, np.float32) * np.float32(rng.uniform(*room.noise))
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8)
