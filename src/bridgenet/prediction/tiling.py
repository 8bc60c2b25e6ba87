"""Prediction of large pictures in overlapping tiles, whose logits are blended and decoded band by band.

At an inner border of a tile its weight is 0 over a quarter of the overlap, where the tile has the least context, and then
rises linearly to 1 over half of the overlap. No seams are visible, and a network whose receptive field reaches no farther
than a quarter of the overlap gives the same result as for the whole picture. Only one band of logits, as high as a tile, is
in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bridgenet.errors import UserError
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.description import NetworkConfig
from bridgenet.ops.normalisation import normalise
from bridgenet.tasks.decoding import decode


@dataclass(frozen=True)
class Tiling:
    """Height and width of the tiles, and the least overlap of neighbours [pixels]."""

    size: tuple[int, int]
    overlap: int


def tiling_for(network: BridgeNet, config: NetworkConfig | None, tile: int | str, overlap: int | None) -> Tiling | None:
    """The tiles for a network: of its training images' size (`"auto"`), squares of a given side, or None (`"off"`).

    Sides are rounded up to multiples of the backbone's divisor; the overlap is a quarter of the shorter side by default.

    Raises:
        UserError: another word, a side below the backbone's divisor, or an overlap of more than half a tile.
    """
    if tile == "off":
        if overlap is not None:
            raise UserError("an overlap is given, but no tiles: give --tile SIZE or auto too")
        return None
    if tile == "auto":
        if config is None:
            raise UserError("tile is 'auto', but the size of this network's training images is not known: give a size")
        sides = config.image_size
    elif isinstance(tile, int) and tile >= 1:
        sides = (tile, tile)
    else:
        raise UserError(f"tile is {tile!r}, expected a size in pixels, auto or off")
    divisor = network.backbone.size_divisor
    if min(sides) < divisor:
        raise UserError(
            f"tile (--tile) is {min(sides)}, expected at least {divisor} pixels, the smallest size of this network"
        )
    height, width = (-(-side // divisor) * divisor for side in sides)
    overlap = min(height, width) // 4 if overlap is None else overlap
    if not 0 <= overlap <= min(height, width) // 2:
        raise UserError(f"overlap is {overlap}, expected 0 to half a tile, {min(height, width) // 2} pixels")
    return Tiling((height, width), overlap)


def starts_along(length: int, tile: int, overlap: int, divisor: int) -> list[int]:
    """Starts of the tiles along a side, evenly spaced multiples of `divisor`; the last tile ends with the side."""
    if length <= tile:
        return [0]
    last = -(-(length - tile) // divisor)  # rounded up, so that the last tile is shorter rather than longer
    steps = -(-last // max((tile - overlap) // divisor, 1))
    return [round(last * place / steps) * divisor for place in range(steps + 1)]


def weights_along(length: int, tile: int, starts: Sequence[int]) -> list[NDArray[np.float32]]:
    """Weights of every tile along a side; they sum to 1 at each pixel of the side."""
    spans = [(start, min(start + tile, length)) for start in starts]
    found = []
    for place, (start, end) in enumerate(spans):
        at = np.arange(start, end) + 0.5
        weight = np.ones(end - start)
        if place:
            weight = np.minimum(weight, _ramp(at - start, spans[place - 1][1] - start))
        if place + 1 < len(spans):
            weight = np.minimum(weight, _ramp(end - at, end - spans[place + 1][0]))
        found.append(weight)
    total = np.zeros(length)
    for (start, end), weight in zip(spans, found):
        total[start:end] += weight
    return [(weight / total[start:end]).astype(np.float32) for (start, end), weight in zip(spans, found)]


def _ramp(distance: NDArray[Any], overlap: int) -> NDArray[Any]:
    """0 up to a quarter of the overlap, 1 from three quarters on. Without overlap 1."""
    return np.clip((distance - overlap / 4) / max(overlap / 2, 1e-9), 0, 1) if overlap > 0 else np.ones_like(distance)


def predict_tiled(
    network: BridgeNet, picture: NDArray[np.uint8], tiling: Tiling, tasks: Sequence[str], batch_size: int = 1
) -> dict[str, NDArray[Any]]:
    """{task: decoded map (H, W[, C])} of a picture (H, W, 3) uint8 RGB, from its tiles."""
    height, width = picture.shape[:2]
    maps: dict[str, NDArray[Any]] = {}
    for top, logits in _bands(network, picture, tiling, tasks, batch_size):
        for task, band in logits.items():
            values = decode(task, band)[0].cpu().numpy()
            if task not in maps:
                dtype = values.dtype if values.dtype.kind == "f" else np.int64
                maps[task] = np.empty((height, width, *values.shape[2:]), dtype)
            maps[task][top : top + len(values)] = values
    return maps


def _bands(
    network: BridgeNet, picture: NDArray[np.uint8], tiling: Tiling, tasks: Sequence[str], batch_size: int
) -> Iterator[tuple[int, Mapping[str, Tensor]]]:
    """(first row, {task: blended logits (1, n, rows, W)}) from top to bottom, every row once; valid until the next."""
    height, width = picture.shape[:2]
    (tile_height, tile_width), divisor = tiling.size, network.backbone.size_divisor
    tops = starts_along(height, tile_height, tiling.overlap, divisor)
    lefts = starts_along(width, tile_width, tiling.overlap, divisor)
    device = next(network.parameters()).device
    rows = [torch.from_numpy(w).to(device)[:, None] for w in weights_along(height, tile_height, tops)]
    columns = [torch.from_numpy(w).to(device) for w in weights_along(width, tile_width, lefts)]
    # All bands use the same memory: rows shared with the next band are moved to its top.
    sums = {task: torch.zeros(1, network.tasks[task], min(tile_height, height), width, device=device) for task in tasks}
    for place, top in enumerate(tops):
        end = min(top + tile_height, height)
        for left, weight, logits in _tiles(network, picture[top:end], lefts, columns, tile_width, batch_size):
            for task in tasks:
                part = sums[task][0, :, : end - top, left : left + len(weight)]
                part.addcmul_(logits[task], (rows[place] * weight).expand_as(part))
        following = tops[place + 1] if place + 1 < len(tops) else height
        yield top, {task: x[..., : following - top, :] for task, x in sums.items()}
        rows_kept = end - following
        for x in sums.values():
            x[..., :rows_kept, :] = x[..., following - top : end - top, :].clone()
            x[..., rows_kept:, :] = 0


def _tiles(
    network: BridgeNet,
    band: NDArray[np.uint8],
    lefts: Sequence[int],
    columns: Sequence[Tensor],
    tile_width: int,
    batch_size: int,
) -> Iterator[tuple[int, Tensor, Mapping[str, Tensor]]]:
    """(left, weights along the row, {task: logits (n, rows, columns)}) of a band's tiles, computed in batches."""
    width = band.shape[1]
    # The last tile may be narrower, and is then a batch of its own.
    groups = [lefts[i : i + batch_size] for i in range(0, len(lefts), batch_size)]
    if lefts[-1] + tile_width > width and len(groups[-1]) > 1:
        groups[-1:] = [groups[-1][:-1], groups[-1][-1:]]
    weights = dict(zip(lefts, columns))
    for group in groups:
        pixels = np.stack([band[:, left : left + tile_width] for left in group])
        logits = network(normalised(torch.from_numpy(pixels).permute(0, 3, 1, 2), network)).logits
        for number, left in enumerate(group):
            yield left, weights[left], {task: x[number] for task, x in logits.items()}


def normalised(pixels: Tensor, network: BridgeNet) -> Tensor:
    """Normalise images (B, 3, H, W) uint8 RGB for a network, on its device and in its dtype."""
    parameter = next(network.parameters())
    return normalise(pixels.to(parameter.device), network.mean, network.deviation).to(parameter.dtype)
