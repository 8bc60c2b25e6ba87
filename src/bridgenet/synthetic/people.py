"""People made of capsules and ellipsoids; each solid has the name of a part of PASCAL-Part's person."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import materials as mat
from .description import Builder, Vector
from .textures import Material

Looks = tuple[Material, Material, Material]


def person(b: Builder, rng: np.random.Generator, *, seat: float | None = None) -> None:
    """Add one person to the instance at hand, in the builder's frame, facing +y, their right hand towards +x.

    Standing on z = 0, or with `seat` sitting on a seat of that height [m] whose middle is the origin.
    """
    s = rng.uniform(0.93, 1.08)
    skin, shirt, trousers = mat.skin(rng), mat.cloth(rng, vivid=True, patterned=0.3), mat.cloth(rng)
    shoes = mat.plain(rng, mat.pick(rng, ((0.03, 0.025, 0.02), (0.6, 0.6, 0.6), (0.2, 0.08, 0.04))), 0.2)
    sleeve = shirt if rng.random() < 0.5 else skin
    shorts = rng.random() < 0.2
    hip = 0.93 * s if seat is None else seat + 0.1 * s
    lean = rng.uniform(-0.04, 0.05) if seat is None else rng.uniform(-0.12, 0.02)
    shoulder = (0.0, lean, hip + 0.5 * s)
    _torso(b, hip, shoulder, s, shirt, trousers)
    _head(b, rng, (0.0, lean * 1.2 + 0.01, shoulder[2] + 0.235 * s), s, skin)
    for letter, side in (("r", 1), ("l", -1)):
        limb = _Limb(b, rng, letter, side, s, seat is not None)
        limb.arm(shoulder, (shirt, sleeve, skin))
        limb.leg(hip, (trousers, skin if shorts else trousers, shoes))


def standing(b: Builder, rng: np.random.Generator) -> None:
    """A person in the footprint of a piece of furniture, which begins at its back."""
    b.origin = b.world(0, 0.2, 0)
    person(b, rng)


def _torso(b: Builder, hip: float, shoulder: Vector, s: float, shirt: Material, trousers: Material) -> None:
    x, y, z = shoulder
    b.ellipsoid((0, y * 0.6, hip + 0.3 * s), (0.185 * s, 0.12 * s, 0.29 * s), shirt, part="torso")
    b.capsule((0.05 * s, 0, hip + 0.08 * s), (-0.05 * s, 0, hip + 0.08 * s), 0.125 * s, shirt, part="torso")
    b.capsule((0.09 * s, 0, hip - 0.02), (-0.09 * s, 0, hip - 0.02), 0.105 * s, trousers, part="torso")
    b.capsule((x + 0.14 * s, y, z - 0.02), (x - 0.14 * s, y, z - 0.02), 0.075 * s, shirt, part="torso")


def _head(b: Builder, rng: np.random.Generator, centre: Vector, s: float, skin: Material) -> None:
    x, y, z = centre
    locks = mat.hair(rng)
    b.capsule((x, y - 0.02, z - 0.24 * s), (x, y - 0.01, z - 0.1 * s), 0.055 * s, skin, part="neck")
    b.ellipsoid((x, y, z), (0.082 * s, 0.098 * s, 0.122 * s), skin, part="head")
    if rng.random() < 0.92:
        b.ellipsoid((x, y - 0.022 * s, z + 0.032 * s), (0.092 * s, 0.1 * s, 0.108 * s), locks, part="hair")
    if rng.random() < 0.4:
        b.ellipsoid((x, y - 0.055 * s, z - 0.06 * s), (0.1 * s, 0.065 * s, 0.17 * s), locks, part="hair")
    white, red = mat.plain(rng, (0.05, 0.04, 0.035)), mat.plain(rng, (0.4, 0.08, 0.07))
    brow = Material("plain", locks.colours)
    for letter, side in (("r", 1), ("l", -1)):
        at = (x + side * 0.033 * s, y + 0.088 * s, z + 0.012 * s)
        b.ellipsoid(at, (0.013 * s, 0.012 * s, 0.009 * s), white, part=f"{letter}eye")
        at = (x + side * 0.034 * s, y + 0.084 * s, z + 0.036 * s)
        b.ellipsoid(at, (0.02 * s, 0.014 * s, 0.005 * s), brow, part=f"{letter}ebrow")
        b.ellipsoid((x + side * 0.083 * s, y - 0.005, z), (0.014 * s, 0.022 * s, 0.034 * s), skin, part=f"{letter}ear")
    b.ellipsoid((x, y + 0.1 * s, z - 0.018 * s), (0.014 * s, 0.022 * s, 0.024 * s), skin, part="nose")
    b.ellipsoid((x, y + 0.083 * s, z - 0.062 * s), (0.028 * s, 0.012 * s, 0.01 * s), red, part="mouth")


@dataclass(frozen=True, slots=True)
class _Limb:
    """Arm or leg of one side: "r" and 1, "l" and -1; `s` is the person's scale."""

    b: Builder
    rng: np.random.Generator
    letter: str
    side: int
    s: float
    seated: bool

    def arm(self, shoulder: Vector, looks: Looks) -> None:
        b, rng, s = self.b, self.rng, self.s
        upper, lower, hand = looks
        start = (self.side * 0.205 * s, shoulder[1], shoulder[2] - 0.03 * s)
        if self.seated:
            raise_ = rng.uniform(0.1, 0.45)
        else:
            raise_ = float(mat.pick(rng, (0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 2.3))) + rng.uniform(-0.08, 0.1)
        swing = rng.uniform(0.2, 0.7) if self.seated else rng.uniform(-0.4, 0.6)  # forwards
        elbow = _step(start, 0.29 * s, raise_ * self.side, swing)
        bend = rng.uniform(0.7, 1.2) if self.seated else rng.uniform(0.05, 1.6)
        outward = (raise_ * 0.9 if raise_ < 1 else 2.8) * self.side - 0.3 * self.side * (bend > 0.8)
        wrist = _step(elbow, 0.25 * s, outward, swing + bend)
        b.capsule(start, elbow, 0.052 * s, upper, part=f"{self.letter}uarm")
        b.capsule(elbow, wrist, 0.041 * s, lower, part=f"{self.letter}larm")
        reach = [w + 0.06 * (w - e) / 0.25 for w, e in zip(wrist, elbow)]
        b.capsule(wrist, (reach[0], reach[1], reach[2]), 0.042 * s, hand, part=f"{self.letter}hand")

    def leg(self, hip: float, looks: Looks) -> None:
        b, rng, s = self.b, self.rng, self.s
        upper, lower, shoe = looks
        start = (self.side * 0.1 * s, 0.0, hip - 0.04 * s)
        if self.seated:
            knee = (self.side * rng.uniform(0.1, 0.2), 0.43 * s, max(hip + 0.02, 0.5 * s))
            ankle = (knee[0], 0.43 * s + rng.uniform(-0.08, 0.12), 0.09)
        else:
            stride = rng.uniform(-0.25, 0.3)
            knee = (
                self.side * 0.115 * s,
                0.42 * s * math.sin(stride) + 0.02,
                hip - 0.04 * s - 0.42 * s * math.cos(stride),
            )
            back = stride - rng.uniform(0.0, 0.25)
            reach = knee[2] - 0.09
            ankle = (self.side * 0.12 * s, knee[1] + reach * math.tan(back), 0.09)
        b.capsule(start, knee, 0.077 * s, upper, part=f"{self.letter}uleg")
        b.capsule(knee, ankle, 0.06 * s, lower, part=f"{self.letter}lleg")
        heel, toe = (ankle[0], ankle[1] - 0.03, 0.05), (ankle[0] + self.side * 0.03, ankle[1] + 0.16 * s, 0.045)
        b.capsule(heel, toe, 0.045 * s, shoe, part=f"{self.letter}foot")


def _step(start: Vector, length: float, outward: float, forward: float) -> Vector:
    """End of a limb that hangs down from `start`, turned outwards and then forwards [rad]."""
    down = math.cos(outward) * math.cos(forward)
    return (
        start[0] + length * math.sin(outward),
        start[1] + length * math.cos(outward) * math.sin(forward) if abs(outward) < 1.5 else start[1] + 0.1 * length,
        start[2] - length * down if abs(outward) < 1.5 else start[2] - length * math.cos(outward),
    )
