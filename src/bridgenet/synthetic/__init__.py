"""Synthetic rooms and streets: a ray caster that writes data sets in the published layouts, with perfect labels for every task.

Nothing here is read from files or downloaded; the same seed gives the same bytes. See `generate` and `render`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from bridgenet.errors import UserError, nearest
from bridgenet.system.files import writing_folder

if TYPE_CHECKING:
    import numpy as np

    from .raycast import Scene

Layout = Literal["nyud", "pascal", "cityscapes", "cityscapes_mtan"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
SCENES: dict[str, str] = {"nyud": "rooms", "pascal": "rooms", "cityscapes": "streets", "cityscapes_mtan": "streets"}
"""Kind of scene by layout."""
Difficulty = Literal["plain", "hard"]
DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)
VERSION = 1  # incremented when the same arguments give other bytes; benchmarks (data/benchmarks.py) are of one version
SMALLEST, LARGEST = 32, 8192  # sides of an image [pixels]

__all__ = ["DIFFICULTIES", "LAYOUTS", "SCENES", "SMALLEST", "VERSION", "Difficulty", "Layout", "generate", "render"]


def render(
    seed: int | list[int] | np.random.SeedSequence | np.random.Generator,
    size: tuple[int, int],
    layout: Layout = "nyud",
    difficulty: Difficulty = "plain",
) -> Scene:
    """Draw one room or street at random and render it.

    Args:
        seed: anything `numpy.random.default_rng` takes; the result depends on it and the other arguments alone.
        size: height and width [pixels].
        layout: how often which rooms and people occur: mostly furniture ("nyud") or mostly people ("pascal"). Both layouts of
            Cityscapes: a street, whose kinds are names of Cityscapes' labels.
        difficulty: "hard" rooms are cluttered, partly hidden, badly lit and have materials that mislead.

    Raises:
        UserError: hard streets are asked for; there are none.
    """
    _check_difficulty(difficulty, layout)
    from .drawing import draw_room, draw_street

    if SCENES[layout] == "streets":
        return draw_street(seed, size)
    return draw_room(seed, size, layout, hard=difficulty == "hard")


def generate(
    layout: Layout,
    out: Path,
    *,
    train: int,
    val: int,
    size: tuple[int, int],
    seed: int = 0,
    difficulty: Difficulty = "plain",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render rooms or streets and write them as a data set in a published layout.

    The folder appears once it is complete; an error or interrupt leaves nothing behind. Image i of a split depends on
    `seed`, the split, i, `size` and `difficulty` alone, so a larger set begins with the smaller one's images.

    Args:
        layout: "nyud" writes `out/NYUDv2`, "pascal" `out/PASCALContext`, the others the folder of their name.
        train, val: images per split.
        size: height and width [pixels], 32 to 8192 each.
        difficulty: of rooms, see `render`.
        progress: called with (images done, images in all) after every image.

    Returns:
        The folder written. Its `scenes.json` records the arguments.

    Raises:
        UserError: an argument is out of range, or the folder exists and is not empty.
    """
    _check(layout, train, val, size, seed)
    _check_difficulty(difficulty, layout)
    import cv2

    from .writers import WRITERS

    writer = WRITERS[layout]
    target = Path(out) / writer.folder
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists and is not empty. Give another folder, or remove it to generate it again.")
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the images are small: threads are slower
    done = 0
    try:
        with writing_folder(target) as partial:
            for folder in writer.folders:
                (partial / folder).mkdir(parents=True)
            for split, (name, count) in enumerate((("train", train), ("val", val))):
                ids = [writer.name(name, index) for index in range(count)]
                for index, sample_id in enumerate(ids):
                    scene = render([seed, split, index], size, layout, difficulty)
                    writer.write(partial, sample_id, scene, index)
                    done += 1
                    if progress is not None:
                        progress(done, train + val)
                if writer.lists is not None:
                    (partial / writer.lists / f"{name}.txt").write_text(
                        "".join(f"{line}\n" for line in ids), encoding="utf-8"
                    )
            record = recorded(layout, train=train, val=val, size=size, seed=seed, difficulty=difficulty)
            (partial / "scenes.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    finally:
        cv2.setNumThreads(threads)
    return target


def recorded(
    layout: Layout, *, train: int, val: int, size: tuple[int, int], seed: int, difficulty: Difficulty
) -> dict[str, Any]:
    """The arguments of `generate` for `scenes.json`; the difficulty only if it is not "plain"."""
    record = {"generator": VERSION, "layout": layout, "train": train, "val": val, "size": list(size), "seed": seed}
    return record if difficulty == "plain" else record | {"difficulty": difficulty}


def _check_difficulty(difficulty: str, layout: Layout) -> None:
    if difficulty not in DIFFICULTIES:
        raise UserError(
            f"difficulty: {difficulty!r} is not one{nearest(str(difficulty), DIFFICULTIES)}; "
            f"give {' or '.join(DIFFICULTIES)}"
        )
    if difficulty != "plain" and SCENES[layout] != "rooms":
        rooms = " or ".join(name for name, scenes in SCENES.items() if scenes == "rooms")
        raise UserError(f"difficulty {difficulty}: layout {layout} holds streets, expected one of rooms: {rooms}")


def _check(layout: str, train: int, val: int, size: tuple[int, int], seed: int) -> None:
    if layout not in LAYOUTS:
        known = f"{', '.join(LAYOUTS[:-1])} or {LAYOUTS[-1]}"
        raise UserError(f"layout: {layout!r} is not a layout{nearest(str(layout), LAYOUTS)}; give {known}")
    if train < 0 or val < 0 or train + val == 0:
        raise UserError(f"train {train}, val {val}: give counts of 0 or more, at least one image in all")
    if len(size) != 2 or min(size) < SMALLEST or max(size) > LARGEST:
        raise UserError(
            f"size {tuple(size)}: give height and width, at least {SMALLEST} and at most {LARGEST} pixels each"
        )
    if seed < 0:
        raise UserError(f"seed {seed}: give 0 or a positive number")
