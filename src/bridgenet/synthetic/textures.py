"""Procedural surfaces: albedo from local coordinates, without image files."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Colour = tuple[float, float, float]
_TABLE = 1024  # cells along one side of the noise table


@dataclass(frozen=True, slots=True)
class Material:
    """Look of a surface: albedo in [0, 1] (linear light), highlight strength in [0, 1], own light ≥ 0.

    `colours` are what the texture mixes, `scale` its period [m], `phase` shifts it so that no two objects look the same.
    """

    texture: str
    colours: tuple[Colour, ...]
    scale: float = 1.0
    phase: float = 0.0
    gloss: float = 0.0
    emission: float = 0.0


@functools.cache
def _noise_tables() -> tuple[Array, Array]:
    """Periodic 1/f noise (T, T) and white noise (T·T,), both uniform in [0, 1]; the same for every scene."""
    rng = np.random.default_rng(20240229)
    white = rng.random((_TABLE, _TABLE))
    frequency = np.hypot(np.fft.fftfreq(_TABLE)[:, None], np.fft.rfftfreq(_TABLE)[None]) * _TABLE
    spectrum = np.fft.rfft2(white - 0.5) / np.maximum(frequency, 4.0) ** 1.5
    smooth = np.fft.irfft2(spectrum, s=white.shape)
    ranks = np.empty(smooth.size, np.float32)
    ranks[np.argsort(smooth, axis=None, kind="stable")] = np.linspace(0, 1, smooth.size, dtype=np.float32)
    return ranks.reshape(white.shape), white.astype(np.float32).ravel()


def noise(u: Array, v: Array, period: float, phase: float, footprint: Array) -> Array:
    """Smooth noise in [0, 1] with its largest blobs a quarter of `period` [m] across; 0.5 where pixels are coarser."""
    table, _ = _noise_tables()
    scale, shift = np.float32(_TABLE / period), np.float32(phase * _TABLE)
    row = (v * scale + shift * np.float32(0.61)).astype(np.int32) & (_TABLE - 1)
    column = (u * scale + shift).astype(np.int32) & (_TABLE - 1)
    contrast = np.minimum(np.float32(period / 20) / footprint, 1)
    return np.float32(0.5) + (table[row, column] - np.float32(0.5)) * contrast


def _hash(i: Array, j: Array | int, phase: float) -> Array:
    """A number in [0, 1] for every integer cell (i, j)."""
    _, white = _noise_tables()
    key = i.astype(np.int32) * 7919 + np.asarray(j).astype(np.int32) * 104729 + int(phase * 65536)
    return white[key & (_TABLE * _TABLE - 1)]


def _mix(material: Material, weight: Array, tone: Array | float = 1.0) -> Array:
    """First colour at weight 0, second at 1, times tone: (3, N)."""
    first, second = np.array(material.colours[0], np.float32), np.array(material.colours[-1], np.float32)
    return (first[:, None] + (second - first)[:, None] * weight) * tone


def _band(x: Array, share: float, blur: Array) -> Array:
    """1 in the first `share` of every unit period of x, else 0, edges as wide as one pixel (`blur`, in periods)."""
    x = x - np.floor(x)
    edge = np.minimum(np.abs(x), np.minimum(np.abs(x - share), np.abs(1 - x))) / blur + 0.5
    inside = x < share
    covered = np.where(inside, np.minimum(edge, 1), np.maximum(1 - edge, 0))
    return covered + (np.float32(share) - covered) * np.minimum(blur, 1)  # seen from afar: the mean


def _plain(m: Material, u: Array, v: Array, blur: Array) -> Array:
    return _mix(
        m, noise(u, v, 3.0, m.phase, blur), np.float32(0.96) + np.float32(0.08) * noise(u, v, 0.9, m.phase, blur)
    )


def _fabric(m: Material, u: Array, v: Array, blur: Array) -> Array:
    weave = noise(u, v, 0.12, m.phase, blur) - np.float32(0.5)
    return _mix(m, noise(u, v, 1.2, m.phase, blur), 1 + np.float32(0.22) * weave)


def _carpet(m: Material, u: Array, v: Array, blur: Array) -> Array:
    pile = noise(u, v, 0.25, m.phase, blur) - np.float32(0.5)
    return _mix(m, noise(u, v, 4.0, m.phase, blur), 1 + np.float32(0.35) * pile)


def _wood(m: Material, u: Array, v: Array, blur: Array) -> Array:
    grain = noise(u * np.float32(0.09), v, 0.4, m.phase, blur)
    return _mix(m, grain, np.float32(0.92) + np.float32(0.16) * noise(u, v, 2.0, m.phase, blur))


def _planks(m: Material, u: Array, v: Array, blur: Array) -> Array:
    row = np.floor(v / m.scale)
    shift = _hash(row, 0, m.phase)
    along = u / (m.scale * 9) + shift
    tone = np.float32(0.8) + np.float32(0.35) * _hash(row, np.floor(along), m.phase)
    gap = np.maximum(_band(v / m.scale, 0.03, blur / m.scale), _band(along, 0.004, blur / (m.scale * 9)))
    grain = noise(u * np.float32(0.08) + shift, v, 0.5, m.phase, blur)
    return _mix(m, grain, tone * (1 - np.float32(0.55) * gap))


def _tiles(m: Material, u: Array, v: Array, blur: Array) -> Array:
    i, j = np.floor(u / m.scale), np.floor(v / m.scale)
    grout = np.maximum(_band(u / m.scale, 0.035, blur / m.scale), _band(v / m.scale, 0.035, blur / m.scale))
    tone = np.float32(0.92) + np.float32(0.12) * _hash(i, j, m.phase)
    return _mix(m, grout, tone * (np.float32(0.94) + np.float32(0.1) * noise(u, v, 1.0, m.phase, blur)))


def _bricks(m: Material, u: Array, v: Array, blur: Array) -> Array:
    row = np.floor(v / m.scale * 3)
    x = u / m.scale + np.float32(0.5) * (row - 2 * np.floor(row / 2))
    joint = np.maximum(_band(x, 0.05, blur / m.scale), _band(v / m.scale * 3, 0.14, 3 * blur / m.scale))
    tone = np.float32(0.75) + np.float32(0.4) * _hash(np.floor(x), row, m.phase)
    return _mix(m, joint, tone + (1 - tone) * joint)


def _checks(m: Material, u: Array, v: Array, blur: Array) -> Array:
    a, b = _band(u / m.scale, 0.5, blur / m.scale), _band(v / m.scale, 0.5, blur / m.scale)
    return _mix(m, a + b - 2 * a * b, np.float32(0.95) + np.float32(0.1) * noise(u, v, 0.5, m.phase, blur))


def _plaid(m: Material, u: Array, v: Array, blur: Array) -> Array:
    a, b = _band(u / m.scale, 0.4, blur / m.scale), _band(v / m.scale, 0.4, blur / m.scale)
    return _mix(m, np.float32(0.5) * (a + b))


def _stripes(m: Material, u: Array, v: Array, blur: Array) -> Array:
    return _mix(m, _band(u / m.scale + m.phase, 0.45, blur / m.scale))


def _slats(m: Material, u: Array, v: Array, blur: Array) -> Array:
    return _mix(m, _band(v / m.scale, 0.25, blur / m.scale))


def _folds(m: Material, u: Array, v: Array, blur: Array) -> Array:
    wave = np.sin(u * np.float32(2 * np.pi / m.scale) + np.float32(5) * noise(u, v, 6.0, m.phase, blur))
    return _mix(m, np.float32(0.5) + np.float32(0.5) * wave)


def _blotches(m: Material, u: Array, v: Array, blur: Array) -> Array:
    field = noise(u, v, 8 * m.scale, m.phase, blur)
    return _mix(m, np.clip((np.abs(field - np.float32(0.5)) - np.float32(0.2)) * 20, 0, 1))


def _painting(m: Material, u: Array, v: Array, blur: Array) -> Array:
    field = noise(u, v, 6 * m.scale, m.phase, blur) + np.float32(0.8) * v / np.float32(m.scale)
    steps = np.clip(((field + 1) * np.float32(0.5 * len(m.colours))).astype(np.int32), 0, len(m.colours) - 1)
    colours = np.array(m.colours, np.float32)
    return colours[steps].T * (np.float32(0.85) + np.float32(0.3) * noise(u, v, m.scale, m.phase, blur))


def _gradient(m: Material, u: Array, v: Array, blur: Array) -> Array:
    return _mix(m, np.clip(v / np.float32(m.scale) + np.float32(0.5), 0, 1))


def _spines(m: Material, u: Array, v: Array, blur: Array) -> Array:
    cell = np.floor(u / m.scale)
    pick = (_hash(cell, 0, m.phase) * np.float32(0.999 * len(m.colours))).astype(np.int32)
    tone = np.float32(0.6) + np.float32(0.5) * _hash(cell, 1, m.phase)
    gap = _band(u / m.scale, 0.12, blur / m.scale)
    return np.array(m.colours, np.float32)[pick].T * (tone * (1 - np.float32(0.7) * gap))


def _facade(m: Material, u: Array, v: Array, blur: Array) -> Array:
    """Rows of windows, each with its own reflection, in a wall."""
    x, y = u / m.scale + m.phase, v / np.float32(1.2 * m.scale)
    pane = _band(x, 0.42, blur / m.scale) * _band(y, 0.5, blur / m.scale)
    wall = _mix(m, 0 * pane, np.float32(0.88) + np.float32(0.2) * noise(u, v, 6.0, m.phase, blur))
    glass = _mix(m, 0 * pane + 1, np.float32(0.5) + _hash(np.floor(x), np.floor(y), m.phase))
    return wall + (glass - wall) * pane


def _leaves(m: Material, u: Array, v: Array, blur: Array) -> Array:
    fine = noise(u, v, 1.4 * m.scale, m.phase, blur)
    return _mix(m, noise(u, v, 5 * m.scale, m.phase, blur), np.float32(0.5) + fine)


def _clouds(m: Material, u: Array, v: Array, blur: Array) -> Array:
    """From the first colour at the horizon to the second at height `scale`, and clouds of the first."""
    cloud = noise(u, v * np.float32(2.5), 4 * m.scale, m.phase, blur)
    return _mix(m, np.clip(v / np.float32(m.scale) * np.float32(1.6) * (np.float32(1.3) - cloud), 0, 1))


_TEXTURES: dict[str, Callable[[Material, Array, Array, Array], Array]] = {
    "plain": _plain,
    "fabric": _fabric,
    "carpet": _carpet,
    "wood": _wood,
    "planks": _planks,
    "tiles": _tiles,
    "bricks": _bricks,
    "checks": _checks,
    "plaid": _plaid,
    "stripes": _stripes,
    "slats": _slats,
    "folds": _folds,
    "blotches": _blotches,
    "painting": _painting,
    "gradient": _gradient,
    "spines": _spines,
    "facade": _facade,
    "leaves": _leaves,
    "clouds": _clouds,
}


def albedo(material: Material, local: list[Array], normal: list[Array], footprint: Array) -> Array:
    """Albedo (3, N), float32, of surface points.

    Args:
        local: three (N,) coordinates [m] in the object's frame.
        normal: three (N,) components of the unit normal in the same frame.
        footprint: (N,) width of one pixel on the surface [m]; patterns finer than it fade to their mean.
    """
    x, y, z = local
    nx, ny, nz = (np.abs(n) for n in normal)
    flat = nz > np.maximum(nx, ny)
    side = nx > ny
    u = np.where(flat, x, np.where(side, y, x))
    v = np.where(flat, y, z)
    if material.texture == "wood":  # the grain of legs, doors and drawers runs upwards
        u, v = np.where(flat, u, v), np.where(flat, v, u)
    return _TEXTURES[material.texture](material, u, v, footprint)
