"""Boundary evaluation of a folder of predictions: counts image by image on all cores, resumed after a kill, then scores.

The counts of every image that is done stand as a line in a file; they are used again as long as prediction and truth
are the same files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bridgenet.data.base import DenseDataset
from bridgenet.data.published.readers import reading
from bridgenet.errors import UserError
from bridgenet.metrics import boundary
from bridgenet.metrics.boundary import BoundaryScores
from bridgenet.system import parallel

VERSION = 1
"""Of the protocol's implementation: counts of another version are not used again."""

CACHE = "boundary_counts"
"""Files of counts begin so."""

ReadLabels = Callable[[Path], NDArray[Any]]


@dataclass(frozen=True)
class BoundaryJob:
    """One image: its prediction, and the label map that its true boundaries come from.

    Attributes:
        name: of the image.
        prediction: 8-bit grey PNG, 255·probability, in the image's own size.
        truth: file of the label map.
        read_labels: reads `truth` as an (H, W) array; a function of a module.
        max_distance: see :func:`bridgenet.metrics.boundary.count`.
    """

    name: str
    prediction: Path
    truth: Path
    read_labels: ReadLabels
    max_distance: float


@dataclass(frozen=True)
class BoundaryCounts:
    """Counts of one image: matched and predicted pixels at each threshold, true pixels."""

    matched: list[int]
    predicted: list[int]
    true: int


def evaluate_boundaries(
    jobs: Sequence[BoundaryJob],
    *,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, BoundaryCounts]:
    """Counts of all images, by name.

    Args:
        jobs: the images.
        cache: file, named by :func:`cache_file`, that keeps the counts of every image as soon as it is done, a line of
            JSON each; what it or one beside it (of another process) holds of the same prediction and truth is not
            computed again.
        workers: processes, one per core if None.
        progress: told (images done, images in all).

    Raises:
        UserError: predictions that are missing or cannot be used, all of them together.
    """
    check_predictions(jobs)
    keys = {job.name: _key(job) for job in jobs}
    known: dict[str, BoundaryCounts] = {}
    for file in sorted(cache.parent.glob(f"{CACHE}*.jsonl")) if cache is not None else ():
        known |= _read_cache(file, tidy=file == cache)
    counts = {name: known[key] for name, key in keys.items() if key in known}
    todo = [job for job in jobs if job.name not in counts]
    if progress is not None:
        progress(len(counts), len(jobs))
    failures = []
    for job, result in zip(todo, parallel.run(_count, None, todo, workers=workers)):
        if isinstance(result, str):
            failures.append(result)
            continue
        counts[job.name] = result
        if cache is not None:
            _append(cache, job.name, keys[job.name], result)
        if progress is not None:
            progress(len(counts), len(jobs))
    if failures:
        raise _unusable(failures, len(jobs))
    return {job.name: counts[job.name] for job in jobs}


def jobs_of(dataset: DenseDataset, predictions: Path) -> list[BoundaryJob]:
    """The images of a data set's split that the protocol scores, with predictions in `predictions/ID.png`."""
    return [
        BoundaryJob(
            name=dataset.ids[index],
            prediction=predictions / f"{dataset.ids[index]}.png",
            truth=dataset.boundary_file(index),
            read_labels=dataset.boundary_reader(index),
            max_distance=dataset.boundary_distance(index),
        )
        for index in dataset.boundary_indices()
    ]


def protocol(dataset: DenseDataset, images: int) -> str:
    """The protocol's name, to stand beside its numbers."""
    info = dataset.info
    known = len(info.boundary_ids) or info.counts.get("val", 0)
    if dataset.is_synthetic:
        what = f"{images} synthetic rooms in {info.title}'s layout"
    else:
        split = "" if dataset.split == "val" else f" of the {dataset.split} split"
        published = "" if not known or (images == known and not split) else f" (published: {known})"
        what = f"{info.title}, {images} images{split}{published}"
    distances = sorted({dataset.boundary_distance(index) for index in dataset.boundary_indices()})
    return f"SEISM boundaries, {what}, maxDist {' and '.join(map(str, distances or [info.boundary_distance]))}"


def scores_of(counts: Iterable[BoundaryCounts]) -> BoundaryScores:
    """Scores over the images."""
    counts = list(counts)
    return boundary.summarise(
        np.array([image.matched for image in counts], np.int64),
        np.array([image.predicted for image in counts], np.int64),
        np.array([image.true for image in counts], np.int64),
    )


def check_predictions(jobs: Sequence[BoundaryJob]) -> None:
    """UserError naming every prediction that is missing, damaged, no 8-bit grey PNG, or unlike a truth stored as PNG in size."""
    problems = []
    for job in jobs:
        if not job.prediction.is_file():
            problems.append(f"{job.prediction} is missing")
            continue
        try:
            with reading(job.prediction), Image.open(job.prediction) as image:
                if image.mode != "L" or image.format != "PNG":
                    problems.append(
                        f"{job.prediction} is a {image.format} of mode {image.mode}, expected an 8-bit grey PNG"
                    )
                elif job.truth.suffix == ".png" and (size := _png_size(job.truth)) not in (None, image.size):
                    problems.append(_another_size(job, image.size, size))
                image.verify()
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise _unusable(problems, len(jobs))


def _unusable(problems: Sequence[str], number: int) -> UserError:
    shown = "\n".join(f"         {problem}" for problem in problems[:20])
    more = f"\n         … and {len(problems) - 20} more" if len(problems) > 20 else ""
    return UserError(f"{len(problems)} of {number} predictions cannot be used:\n{shown}{more}")


def _png_size(path: Path) -> tuple[int, int] | None:
    """(width, height) told by a picture's header; None if it cannot be read, which is told when it is needed."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError):
        return None


def _another_size(job: BoundaryJob, found: tuple[int, int], truth: tuple[int, int] | None) -> str:
    """In words; sizes as (width, height)."""
    assert truth is not None
    return (
        f"{job.prediction} has {found[1]}×{found[0]} pixels (height×width), {job.truth} has {truth[1]}×{truth[0]}; give "
        "predictions in the images' own size"
    )


def read_prediction(path: Path) -> NDArray[np.uint8]:
    """An 8-bit grey PNG, (H, W) uint8."""
    with reading(path), Image.open(path) as image:
        return np.asarray(image)


def read_label_png(path: Path) -> NDArray[Any]:
    """A label map stored as a picture of one channel (grey of 8 or 16 bits, or palette indices), (H, W) integers."""
    with reading(path), Image.open(path) as image:
        labels, mode = np.asarray(image), image.mode
    if labels.ndim != 2 or labels.dtype.kind not in "iub":
        raise UserError(f"{path} has mode {mode}, expected a label map of one channel (grey or palette)")
    return labels


def cache_file(folder: Path, rank: int = 0) -> Path:
    """Where one of several processes keeps its counts."""
    return folder / (f"{CACHE}.{rank}.jsonl" if rank else f"{CACHE}.jsonl")


def _count(_: None, job: BoundaryJob) -> BoundaryCounts | str:
    """Counts of one image, or why there are none."""
    try:
        prediction = read_prediction(job.prediction)
        labels = job.read_labels(job.truth)
    except UserError as error:
        return str(error)
    if prediction.shape != labels.shape:
        return _another_size(job, prediction.shape[::-1], labels.shape[::-1])
    matched, predicted, true = boundary.count(prediction, boundary.boundaries(labels), max_distance=job.max_distance)
    return BoundaryCounts(matched.tolist(), predicted.tolist(), true)


def _key(job: BoundaryJob) -> str:
    """What the counts hang on."""
    digest = hashlib.sha256(json.dumps([VERSION, job.max_distance, job.read_labels.__qualname__]).encode())
    for path in (job.prediction, job.truth):
        with reading(path):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _append(cache: Path, name: str, key: str, counts: BoundaryCounts) -> None:
    line = json.dumps({"id": name, "key": key, **vars(counts)})
    with cache.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def _read_cache(cache: Path, *, tidy: bool) -> dict[str, BoundaryCounts]:
    """Counts by key; with `tidy` a line that a kill left unfinished is cut off."""
    if not cache.is_file():
        return {}
    content = cache.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if tidy and whole != content:
        with cache.open("r+b") as file:
            file.truncate(len(whole))
    known = {}
    for line in whole.splitlines():
        try:
            row: Mapping[str, Any] = json.loads(line)
            counts = BoundaryCounts(row["matched"], row["predicted"], row["true"])
            pairs = list(zip(counts.matched, counts.predicted, strict=True))
            if len(pairs) == len(boundary.THRESHOLDS) and all(0 <= m <= min(p, counts.true) for m, p in pairs):
                known[row["key"]] = counts
        except (ValueError, KeyError, TypeError):
            continue  # of another version, or damaged: computed again
    return known
