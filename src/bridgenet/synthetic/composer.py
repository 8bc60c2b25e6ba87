"""Placement of furniture and of objects on walls in a room."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .description import Builder, Room, Vector
from .furniture import Piece, Rng

_YAWS = {0: -math.pi / 2, 1: math.pi / 2, 3: math.pi}
"""Yaw of furniture against each wall; none is behind the camera [rad]."""


class Composer:
    """Places objects in a room so that they do not intersect each other, the openings of walls, or the camera."""

    def __init__(self, room: Room, use: str, rng: Rng) -> None:
        self.room, self.use, self.rng = room, use, rng
        self.build = Builder(room, rng)
        x, y, _ = room.camera.position
        self.taken: list[tuple[float, float, float, float]] = [(x - 0.6, y - 0.8, x + 0.6, y + 0.9)]
        self.on_walls: dict[int, list[tuple[float, float, float, float]]] = {0: [], 1: [], 2: [], 3: []}
        self.seats: list[tuple[Vector, float, float]] = []
        self.spacing, self.gaps = 0.34, 0.4  # of small things on tops: pitch [m], share of places left free

    def _footprint(self, origin: Vector, yaw: float, piece: Piece, front: float) -> tuple[float, float, float, float]:
        c, s = math.cos(yaw), math.sin(yaw)
        corners = [(x, y) for x in (-piece.width / 2, piece.width / 2) for y in (0.0, piece.depth + front)]
        xs = [origin[0] + c * x - s * y for x, y in corners]
        ys = [origin[1] + s * x + c * y for x, y in corners]
        return min(xs), min(ys), max(xs), max(ys)

    def put(self, piece: Piece, origin: Vector, yaw: float, *, front: float = 0.0, force: bool = False) -> bool:
        """Build a piece there if the floor is free (or `force`); returns whether it was built."""
        x0, y0, x1, y1 = self._footprint(origin, yaw, piece, front)
        width, length, _ = self.room.size
        if x0 < -0.01 or y0 < -0.01 or x1 > width + 0.01 or y1 > length + 0.01:
            return False
        if not force and any(x0 < b[2] and x1 > b[0] and y0 < b[3] and y1 > b[1] for b in self.taken):
            return False
        self.taken.append((x0, y0, x1, y1))
        with self.build.object(piece.kind, origin, yaw):
            piece.build(self.build)
            if piece.kind == "sofa":
                room_for = piece.width - 0.7
                self.seats.append((self.build.world(self.rng.uniform(-0.5, 0.5) * room_for, 0.5, 0), yaw, 0.45))
            elif piece.kind == "chair":
                self.seats.append((self.build.world(0, 0.26, 0), yaw, 0.48))
        return True

    def _spot(self, wall: int, width: float) -> tuple[Vector, float, float]:
        """A random place along a wall for something that wide: origin, yaw, coordinate along the wall."""
        along = self.room.size[0] if wall == 3 else self.room.size[1]
        s = self.rng.uniform(width / 2 + 0.02, max(along - width / 2 - 0.02, width / 2 + 0.03))
        w, length, _ = self.room.size
        origin = {0: (0.01, s, 0.0), 1: (w - 0.01, s, 0.0), 3: (s, length - 0.01, 0.0)}[wall]
        return origin, _YAWS[wall], s

    def wall(self) -> int:
        """A wall in view: mostly the one the camera faces."""
        turn = math.degrees(self.room.camera.yaw)
        left, right = max(18 + turn, 5), max(18 - turn, 5)
        return int(self.rng.choice((0, 1, 3), p=np.array((left, right, 40)) / (left + right + 40)))

    def _wall_free(self, wall: int, span: tuple[float, float, float, float]) -> bool:
        a0, a1, z0, z1 = span
        return not any(a0 < b[1] and a1 > b[0] and z0 < b[3] and z1 > b[2] for b in self.on_walls[wall])

    def against(self, piece: Piece, tries: int = 10) -> tuple[Vector, float] | None:
        """Place a piece against a wall; returns its position, or None if nothing is free."""
        for _ in range(tries):
            wall = self.wall()
            origin, yaw, s = self._spot(wall, piece.width)
            span = (s - piece.width / 2, s + piece.width / 2, 0.0, piece.height)
            if piece.height > 1.2 and wall != 3 and s < self.room.camera.position[1] + 1.2:
                continue  # tall and beside the camera: it would hide the room
            if self._wall_free(wall, span) and self.put(piece, origin, yaw, front=piece.front):
                self.on_walls[wall].append(span)
                return origin, yaw
        return None

    def perhaps(self, makers: Sequence[Callable[[Rng], Piece]], chance: float) -> None:
        """Place a piece of each maker against a wall, each with that probability."""
        for maker in makers:
            if self.rng.random() < chance:
                self.against(maker(self.rng))

    def mount(self, kind: str, size: tuple[float, float], bottom: float, make: Callable[[Builder], None]) -> int | None:
        """Hang something of `size` (width, height) on a wall; the wall, or None."""
        width, height = size
        for _ in range(8):
            wall = self.wall()
            origin, yaw, s = self._spot(wall, width)
            span = (s - width / 2 - 0.05, s + width / 2 + 0.05, bottom, bottom + height)
            if self._wall_free(wall, span):
                self.on_walls[wall].append(span)
                with self.build.object(kind, (origin[0], origin[1], bottom), yaw):
                    make(self.build)
                return wall
        return None

    def beside(
        self, piece: Piece, anchor: tuple[Vector, float], x: float, y: float, turn: float, *, force: bool = False
    ) -> bool:
        """Put a piece at (x, y) of another's frame."""
        (ox, oy, oz), yaw = anchor
        c, s = math.cos(yaw), math.sin(yaw)
        return self.put(piece, (ox + c * x - s * y, oy + s * x + c * y, oz), yaw + turn, force=force)

    def drop(self, piece: Piece, near: float = 1.2, far: float = 3.6, turn: float | None = None) -> bool:
        """Stand a piece on free floor in view, between `near` and `far` [m] from the camera."""
        x, y, _ = self.room.camera.position
        for _ in range(12):
            reach, angle = self.rng.uniform(near, far), self.room.camera.yaw + self.rng.uniform(-0.42, 0.42)
            at = (x - reach * math.sin(angle), y + reach * math.cos(angle), 0.0)
            if self.put(piece, at, turn if turn is not None else self.rng.uniform(-math.pi, math.pi)):
                return True
        return False
