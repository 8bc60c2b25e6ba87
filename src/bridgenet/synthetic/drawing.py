"""Draw random scenes: streets, and rooms that are composed again if a small rendering shows too little."""

from __future__ import annotations

from typing import Any

import numpy as np

from .description import KINDS, Room
from .raycast import Scene, instances_of, look, render_room
from .rooms import compose
from .streets import compose_street

_TRIES = 8
_PROBE = 40  # longer side of the rendering that decides [pixels]


def draw_street(seed: Any, size: tuple[int, int]) -> Scene:
    """A street by a seed of `numpy.random.default_rng`."""
    rng = np.random.default_rng(seed)
    return render_room(compose_street(rng), size, rng)


def draw_room(seed: Any, size: tuple[int, int], style: str, *, hard: bool = False) -> Scene:
    """The first of a few rooms that shows enough, or else the best one, rendered at `size`."""
    rng = np.random.default_rng(seed)
    longer = max(size)
    small = (max(size[0] * _PROBE // longer, 8), max(size[1] * _PROBE // longer, 8))
    best: tuple[float, Room] | None = None
    for _ in range(_TRIES):
        room = compose(rng, style, hard=hard)
        score = _worth(room, small, needs_voc=style == "pascal")
        if best is None or score > best[0]:
            best = (score, room)
        if score >= 1:
            break
    assert best is not None  # there was at least one try
    return render_room(best[1], size, rng)


def _worth(room: Room, size: tuple[int, int], *, needs_voc: bool) -> float:
    """The share of the requirements of a good picture that are met, 0 to 1."""
    view = look(room, size)
    ids, counts = np.unique(instances_of(room, view), return_counts=True)
    share = dict(zip(ids.tolist(), (counts / counts.sum()).tolist()))
    objects = {i: s for i, s in share.items() if i > 6}
    largest_wall = max((s for i, s in share.items() if i <= 4), default=0.0)
    voc = sum(s for i, s in objects.items() if KINDS[room.kinds[i]].voc)
    checks = (
        len(objects) >= 5,
        sum(objects.values()) > 0.22,
        largest_wall < 0.5,
        max(objects.values(), default=0.0) < 0.45,
        float(np.quantile(view.depth, 0.02)) > 0.65,
        float(np.median(view.depth)) > 1.5,
        share.get(5, 0.0) > 0.04,
        voc > 0.02 or not needs_voc,
        voc > 0 or not needs_voc,
    )
    return sum(checks) / len(checks)
