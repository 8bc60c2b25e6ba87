"""Scene composition: a room with a camera, furniture that fits its use, things on the walls and people."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from . import furniture as fur
from . import materials as mat
from . import props
from .description import Builder, Camera, Light, Room, Vector
from .fittings import ceiling_lamp, door, mirror, picture, rug, whiteboard, window
from .furniture import Piece, Rng
from .people import person

_USES = ("bedroom", "living", "dining", "kitchen", "office", "bathroom")
_SHARES = {"nyud": (0.26, 0.24, 0.14, 0.13, 0.15, 0.08), "pascal": (0.08, 0.42, 0.26, 0.04, 0.2, 0.0)}
_PEOPLE = {"nyud": (0.84, 0.13, 0.03), "pascal": (0.28, 0.4, 0.22, 0.1)}  # chance of 0, 1, 2, … persons
_YAWS = {0: -math.pi / 2, 1: math.pi / 2, 3: math.pi}  # of what stands with its back against a wall


class Composer:
    """Places things in one room so that they do not run into each other, the walls' openings or the camera."""

    def __init__(self, room: Room, use: str, rng: Rng) -> None:
        self.room, self.use, self.rng = room, use, rng
        self.build = Builder(room, rng)
        x, y, _ = room.camera.position
        self.taken: list[tuple[float, float, float, float]] = [(x - 0.6, y - 0.8, x + 0.6, y + 0.9)]
        self.on_walls: dict[int, list[tuple[float, float, float, float]]] = {0: [], 1: [], 2: [], 3: []}
        self.seats: list[tuple[Vector, float, float]] = []

    def _footprint(self, origin: Vector, yaw: float, piece: Piece, front: float) -> tuple[float, float, float, float]:
        c, s = math.cos(yaw), math.sin(yaw)
        corners = [(x, y) for x in (-piece.width / 2, piece.width / 2) for y in (0.0, piece.depth + front)]
        xs = [origin[0] + c * x - s * y for x, y in corners]
        ys = [origin[1] + s * x + c * y for x, y in corners]
        return min(xs), min(ys), max(xs), max(ys)

    def put(self, piece: Piece, origin: Vector, yaw: float, *, front: float = 0.0, force: bool = False) -> bool:
        """Build a piece there if the floor is free (or `force`); tells whether it did."""
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
        """Stand a piece against a wall; where it stands, or None where nothing was free."""
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

    def beside(self, piece: Piece, anchor: tuple[Vector, float], x: float, y: float, turn: float, *, force: bool = False) -> bool:
        """Put a piece at (x, y) of another's frame."""
        (ox, oy, oz), yaw = anchor
        c, s = math.cos(yaw), math.sin(yaw)
        return self.put(piece, (ox + c * x - s * y, oy + s * x + c * y, oz), yaw + turn, force=force)

    def openings(self) -> None:
        """Door, windows with what hangs before them, and the light that comes through them."""
        rng = self.rng
        if rng.random() < 0.5:
            width = rng.uniform(0.8, 0.95)
            wall = self.mount("door", (width, 2.05), 0.0, lambda b: door(b, rng, width))
            if wall is not None:
                a0, a1, *_ = self.on_walls[wall][-1]
                w, length, _ = self.room.size
                self.taken.append(
                    {0: (0, a0, 0.8, a1), 1: (w - 0.8, a0, w, a1), 3: (a0, length - 0.8, a1, length)}[wall]
                )
        for _ in range(int(rng.choice((0, 1, 2), p=(0.3, 0.55, 0.15)))):
            width, height, sill = rng.uniform(0.9, 1.8), rng.uniform(1.0, 1.4), rng.uniform(0.75, 0.95)
            outer = width + 0.5
            wall = self.mount("window", (outer, height), sill, lambda b, w=width, h=height: window(b, rng, w, h, sill))  # type: ignore[misc]
            if wall is not None and len(self.room.lights) < 2:
                a0, a1, *_ = self.on_walls[wall][-1]
                w, length, _ = self.room.size
                middle = (a0 + a1) / 2
                x, y = {0: (0.35, middle), 1: (w - 0.35, middle), 3: (middle, length - 0.35)}[wall]
                strength = rng.uniform(0.7, 1.8)
                self.room.lights.append(Light((x, y, sill + height * 0.75), (0.95 * strength, strength, 1.08 * strength)))

    def finish(self) -> None:
        """Pictures, a rug, a ceiling lamp, small things on every top."""
        rng, use = self.rng, self.use
        for _ in range(int(rng.integers(1, 4))):
            size = (rng.uniform(0.35, 0.95), rng.uniform(0.35, 0.75))
            bottom = rng.uniform(1.3, 1.55)
            if use in ("bathroom", "bedroom") and rng.random() < 0.35:
                self.mount("mirror", size, bottom, lambda b, s=size: mirror(b, rng, s))  # type: ignore[misc]
            elif use == "office" and rng.random() < 0.5:
                board = (size[0] * 1.8, 0.9)
                self.mount("whiteboard", board, 1.0, lambda b, s=board: whiteboard(b, rng, s))  # type: ignore[misc]
            else:
                self.mount("picture", size, bottom, lambda b, s=size: picture(b, rng, s))  # type: ignore[misc]
        if rng.random() < 0.5:
            x, y, _ = self.room.camera.position
            reach = rng.uniform(1.8, 3.0)
            yaw = self.room.camera.yaw
            with self.build.object("rug", (x - reach * math.sin(yaw), y + reach * math.cos(yaw), 0.0), 0.0):
                rug(self.build, rng, self.room.size)
        if rng.random() < 0.7:
            width, length, height = self.room.size
            with self.build.object("lamp", (width / 2, length * rng.uniform(0.5, 0.7), height), 0.0):
                ceiling_lamp(self.build, rng)
        things = {
            "bedroom": ("lamp", "lamp", "books", "box", "bag"),
            "living": ("plant", "books", "cup", "bottle", "lamp", "television"),
            "dining": ("bottle", "bottle", "plant", "cup", "cup"),
            "kitchen": ("bottle", "bottle", "cup", "box", "plant"),
            "office": ("television", "television", "paper", "books", "lamp", "cup"),
            "bathroom": ("bottle", "cup", "box"),
        }[use]
        for centre, yaw, width, depth in self.build.surfaces:
            slots = max(int(width / 0.34), 1)
            for slot in range(slots):
                if rng.random() < 0.6:
                    kind = mat.pick(rng, things)
                    if kind == "television" and (slot != slots // 2 or width < 0.5):
                        kind = "books"
                    shift, deep = (slot + 0.5) / slots - 0.5, rng.uniform(-0.3, 0.3) * depth
                    c, s = math.cos(yaw), math.sin(yaw)
                    x, y = shift * width, -0.2 * depth if kind == "television" else deep
                    at = (centre[0] + c * x - s * y, centre[1] + s * x + c * y, centre[2])
                    turn = 0.0 if kind == "television" else rng.uniform(-0.3, 0.3)
                    with self.build.object(kind, at, yaw + turn):
                        props.small_thing(self.build, rng, kind)
        for _ in range(int(rng.integers(0, 3))):
            kind = mat.pick(rng, ("box", "bag", "box"))
            self._drop(Piece(kind, 0.4, 0.4, 0.4, lambda b, k=kind: self._shifted(b, k)))  # type: ignore[misc]

    def _shifted(self, b: Builder, kind: str) -> None:
        b.origin = b.world(0, 0.2, 0)
        props.small_thing(b, self.rng, kind)

    def _drop(self, piece: Piece, near: float = 1.2, far: float = 3.6, turn: float | None = None) -> bool:
        """Stand a piece on free floor in view."""
        x, y, _ = self.room.camera.position
        for _ in range(12):
            reach, angle = self.rng.uniform(near, far), self.room.camera.yaw + self.rng.uniform(-0.42, 0.42)
            at = (x - reach * math.sin(angle), y + reach * math.cos(angle), 0.0)
            if self.put(piece, at, turn if turn is not None else self.rng.uniform(-math.pi, math.pi)):
                return True
        return False

    def people(self, number: int) -> None:
        rng = self.rng
        seats = list(self.seats)
        camera = self.room.camera.position
        for _ in range(number):
            visible = [s for s in seats if s[0][1] > camera[1] + 1.3]
            if visible and rng.random() < 0.45:
                seat = mat.pick(rng, visible)
                seats.remove(seat)
                self.build.origin, self.build.yaw = seat[0], seat[1]
                person(self.build, rng, seat=seat[2])
                continue
            turn = math.pi + self.room.camera.yaw + rng.normal(0, 0.7)

            def stand(b: Builder) -> None:
                b.origin = b.world(0, 0.2, 0)
                person(b, rng)

            spot = Piece("person", 0.5, 0.4, 1.8, stand)
            self._stand(spot, turn)

    def _stand(self, spot: Piece, turn: float) -> None:
        before = set(self.room.kinds)
        if self._drop(spot, 1.5, 3.8, turn):
            # The piece and the person in it are one: the piece itself has no solids.
            del self.room.kinds[min(set(self.room.kinds) - before)]


def _bedroom(c: Composer) -> None:
    rng = c.rng
    piece = fur.bed(rng)
    stand = c.against(piece, 30)
    if stand:
        for side in (-1, 1):
            if rng.random() < 0.75:
                table = fur.night_stand(rng)
                c.beside(table, stand, side * (piece.width / 2 + table.width / 2 + 0.06), 0, 0)
    for maker in (fur.dresser, fur.wardrobe, mat.pick(rng, (fur.armchair, fur.bookshelf, fur.desk)), props.floor_lamp):
        if rng.random() < 0.7:
            c.against(maker(rng))


def _living(c: Composer) -> None:
    rng = c.rng
    piece = fur.sofa(rng)
    stand = c.against(piece, 30)
    if stand:
        table = fur.coffee_table(rng)
        c.beside(table, stand, rng.uniform(-0.2, 0.2), piece.depth + rng.uniform(0.3, 0.45), 0, force=True)
    for maker in (fur.armchair, fur.cabinet, fur.bookshelf, props.plant, props.floor_lamp, fur.sofa):
        if rng.random() < 0.6:
            c.against(maker(rng))
    if rng.random() < 0.45:
        width = rng.uniform(0.9, 1.4)
        c.mount("television", (width, width * 0.6), rng.uniform(0.95, 1.2), lambda b: props.television(b, rng, width, hung=True))


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
        seats = [(x, -y, 0.0) for x in (-0.3, 0.3) for y in (0.42 - in_,)] + [(x, piece.depth + 0.42 - in_, math.pi) for x in (-0.3, 0.3)]
        seats += [(-piece.width / 2 - 0.42 + in_, middle, -math.pi / 2), (piece.width / 2 + 0.42 - in_, middle, math.pi / 2)]
        for x, y, turn in seats:
            if rng.random() < 0.75:
                c.beside(fur.chair(np.random.default_rng(style)), stand, x, y, turn, force=True)
    for maker in (fur.cabinet, props.plant, fur.bookshelf, fur.cabinet):
        if rng.random() < 0.65:
            c.against(maker(rng))


def _kitchen(c: Composer) -> None:
    rng = c.rng
    c.against(props.counter(rng), 30)
    c.against(props.refrigerator(rng), 20)
    if rng.random() < 0.7:
        c.against(props.counter(rng))
    if rng.random() < 0.6:
        _dining(c)


def _office(c: Composer) -> None:
    rng = c.rng
    for _ in range(int(rng.integers(1, 3))):
        piece = fur.desk(rng)
        stand = c.against(piece, 20)
        if stand:
            seat = (fur.office_chair if rng.random() < 0.6 else fur.chair)(rng)
            c.beside(seat, stand, rng.uniform(-0.3, 0.1), piece.depth + seat.depth - rng.uniform(0.0, 0.25), math.pi, force=True)
    for maker in (fur.bookshelf, fur.cabinet, fur.bookshelf, fur.chair, props.plant, fur.sofa):
        if rng.random() < 0.55:
            c.against(maker(rng))


def _bathroom(c: Composer) -> None:
    for maker in (props.bathtub, props.wash_stand, props.toilet, fur.cabinet):
        c.against(maker(c.rng), 20)


_FURNISH = {"bedroom": _bedroom, "living": _living, "dining": _dining, "kitchen": _kitchen, "office": _office, "bathroom": _bathroom}


def compose(rng: Rng, style: str) -> Room:
    """One furnished room with a camera in it; `style` "nyud" or "pascal" sets how often which rooms and people occur."""
    use = str(rng.choice(_USES, p=_SHARES[style]))
    small = use in ("bathroom", "kitchen")
    width, length = rng.uniform(2.6, 3.6) if small else rng.uniform(3.2, 5.6), rng.uniform(3.4, 4.6) if small else rng.uniform(3.8, 7.2)
    height = rng.uniform(2.4, 2.9)
    side = rng.uniform(0.15, 0.85)
    yaw = math.radians((side - 0.5) * rng.uniform(20, 80) + rng.normal(0, 7))
    position = (side * width, rng.uniform(0.12, 0.45) + max(length - 5.5, 0) * rng.random(), rng.uniform(1.1, 1.75))
    pitch = -math.radians(rng.uniform(4, 13) + (position[2] - 1.1) * 13)
    camera = Camera(position, yaw, pitch, math.radians(rng.normal(0, 1.5)), math.radians(rng.uniform(56, 72)))
    common = mat.wall(rng)
    walls = [common] * 4
    if rng.random() < 0.25:
        walls[int(rng.choice((0, 1, 3)))] = mat.wall(rng)
    room = Room((width, length, height), (*walls, mat.floor(rng, wet=small and rng.random() < 0.7), mat.ceiling(rng)), camera)
    warm = rng.uniform(1.2, 2.4)
    at = (width * rng.uniform(0.3, 0.7), length * rng.uniform(0.35, 0.7), height - 0.42)
    room.lights.append(Light(at, (warm, warm * rng.uniform(0.84, 0.98), warm * rng.uniform(0.66, 0.92))))
    level = rng.uniform(0.32, 0.55)
    room.ambient = (level, level, level * rng.uniform(0.95, 1.08))
    composer = Composer(room, use, rng)
    composer.openings()
    _FURNISH[use](composer)
    shares = _PEOPLE[style]
    composer.people(int(rng.choice(len(shares), p=shares)))
    composer.finish()
    return room
