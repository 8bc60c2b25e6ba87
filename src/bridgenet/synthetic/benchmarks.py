"""Named benchmarks of synthetic scenes, equal on every machine: their arguments, and checksums of their labels."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bridgenet import data, tasks
from bridgenet.data.base import SPLITS, SYNTHETIC
from bridgenet.errors import UserError, nearest
from bridgenet.synthetic import VERSION, Difficulty, Layout, generate, recorded
from bridgenet.system.files import write_atomically

_STEPS = {"depth": 100, "normals": 8}
"""Steps per unit to which the checksum rounds values, by the kind of the task; others are whole numbers."""


@dataclass(frozen=True, kw_only=True)
class SyntheticBenchmark:
    """The arguments of a benchmark. They never change: other scenes need a new name.

    Attributes:
        name: in commands, and of the folder that holds the data set's folder.
        layout, train, val, size, seed, difficulty: arguments of :func:`bridgenet.synthetic.generate`.
        labels_sha256: :func:`labels_checksum` of the labels.
        generator_version: `bridgenet.synthetic.VERSION` that renders it.
    """

    name: str
    layout: Layout
    train: int
    val: int
    size: tuple[int, int]
    seed: int
    difficulty: Difficulty
    labels_sha256: str
    generator_version: int

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `generate` other than layout and folder."""
        return {key: getattr(self, key) for key in ("train", "val", "size", "seed", "difficulty")}


BENCHMARKS: dict[str, SyntheticBenchmark] = {
    "rooms-v1": SyntheticBenchmark(
        name="rooms-v1",
        layout="nyud",
        train=600,
        val=150,
        size=(192, 256),
        seed=192256,
        difficulty="hard",
        labels_sha256="958fd054fff4d4d1cb9b6b0e969e86c08fba5af70706e29652aaad1245431ed2",
        generator_version=1,
    ),
}
"""The benchmarks by name."""


def find(name: str) -> SyntheticBenchmark:
    """The benchmark of that name. Raises UserError with the nearest name for an unknown one."""
    if name not in BENCHMARKS:
        raise UserError(f"'{name}' is not a benchmark{nearest(name, BENCHMARKS)} (benchmarks: {', '.join(BENCHMARKS)})")
    return BENCHMARKS[name]


def make(name: str, out: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Render a benchmark into a folder of its name, or use an existing one, and verify the checksum of its labels.

    `scenes.json` then says `"benchmark"` and, as `"labels_sha256"`, the checksum found; a warning tells if that is not
    the registered one. An error or interrupt while rendering leaves nothing behind.

    Args:
        out: gets a folder of that name, which is the data root to train with.
        progress: called with (images done, images in all) after every image.

    Returns:
        The data set's folder, `out/rooms-v1/NYUDv2`.

    Raises:
        UserError: there is no such benchmark, its place is taken, files are missing or damaged, or the generator is another.
    """
    benchmark = find(name)
    root = Path(out) / name
    folder = root / data.info(benchmark.layout).folder
    expected = recorded(benchmark.layout, **benchmark.arguments) | {"generator": benchmark.generator_version}
    if not folder.is_dir() or not any(folder.iterdir()):
        if benchmark.generator_version != VERSION:
            raise UserError(
                f"{name} is made by version {benchmark.generator_version} of the generator of scenes, this is {VERSION}. "
                f"Install the release of bridgenet that brought {name}"
            )
        try:
            generate(benchmark.layout, root, **benchmark.arguments, progress=progress)
        except BaseException:
            with contextlib.suppress(OSError):  # only if empty
                root.rmdir()
            raise
    record = _record(folder)
    if {key: record.get(key) for key in expected} != expected:
        raise UserError(
            f"{folder} holds something else than {name} (by its {SYNTHETIC}). Give another folder, or move it away"
        )
    found = labels_checksum(folder, benchmark.layout)
    if found != benchmark.labels_sha256:
        warnings.warn(
            f"the labels in {folder} are not those of {name}: results do not compare with others' on {name}. Checksum "
            f"{found}, expected {benchmark.labels_sha256}. If nobody changed the files, this machine computes differently",
            stacklevel=2,
        )
    named = record | {"benchmark": name, "labels_sha256": found}
    if named != record:
        write_atomically(folder / SYNTHETIC, json.dumps(named, indent=1) + "\n")
    return folder


def labels_checksum(folder: Path, layout: Layout = "nyud") -> str:
    """SHA-256 of the values of all labels, in hexadecimal, independent of their encoding in files.

    In the order of splits, ids and tasks: what it is and its shape, then its values as 4-byte integers. Depth is rounded to
    centimetres, normals to eighths; classes and boundaries are whole numbers. Pictures are left out.

    `folder`: of the data set, `DATA/NYUDv2`. Raises UserError if a file is missing, damaged, or not of that layout.
    """
    digest = hashlib.sha256()
    for split in SPLITS:
        dataset = data.get(layout)(folder.parent, split)
        for index, sample in enumerate(dataset.ids):
            size = dataset.image_size(index)
            for task in dataset.tasks:
                stored = np.nan_to_num(dataset.stored_target(task, index, size), nan=tasks.IGNORE)
                values = stored * np.float32(_STEPS.get(tasks.get(task).kind.name, 1))
                digest.update(f"{split} {sample} {task} {values.shape}\n".encode())
                digest.update(np.rint(values).astype("<i4").tobytes())
    return digest.hexdigest()


def _record(folder: Path) -> dict[str, Any]:
    """The content of scenes.json; empty if the file is missing or invalid."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return dict(json.loads((folder / SYNTHETIC).read_text(encoding="utf-8")))
    return {}
