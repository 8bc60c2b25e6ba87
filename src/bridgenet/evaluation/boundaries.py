"""Boundary evaluation of a folder of predictions: counts of each image, on all cores, and scores over all images.

Counts are written to a file line by line, so that an interrupted evaluation is resumed. They are reused as long as the
files of prediction and truth are unchanged.
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
from bridgenet.data.published.readers import read_png, reading, stored_png
from bridgenet.errors import UserError
from bridgenet.imaging.reading import FORMATS
from bridgenet.metrics import boundary
from bridgenet.metrics.boundary import BoundaryScores
from bridgenet.system import parallel

VERSION = 1
"""Version of the protocol's implementation: counts of another version are not reused."""

CACHE = "boundary_counts"
"""Prefix of the names of files with counts."""

ReadLabels = Callable[[Path], NDArray[Any]]


@dataclass(frozen=True)
class BoundaryJob:
    """An image: its prediction, and the map that defines its true boundaries.

    Attributes:
        name: name of the image.
        prediction: 8-bit grey PNG, 255·probability, in the image's own size.
        truth: file of the map.
        read_labels: reads `truth` as an (H, W) array, see :func:`bridgenet.metrics.boundary.true_boundaries`: a function of a
            module, or an object whose `repr` says how it reads. Pixels that are NaN are left out.
        max_distance: see :func:`bridgenet.metrics.boundary.count`.
        size: (height, width) of what is read [pixels], if that is not the size of the file.
    """

    name: str
    prediction: Path
    truth: Path
    read_labels: ReadLabels
    max_distance: float
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class BoundaryCounts:
    """Counts of an image: matched and predicted pixels at each threshold, and true pixels."""

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
    """Count matched, predicted and true pixels of all images, by name.

    Args:
        jobs: the images.
        cache: file named by :func:`cache_file`. The counts of every finished image are appended to it as a line of JSON.
            Counts in it, or in files of other processes beside it, are reused for unchanged predictions and truths.
        workers: number of processes, one per core if None.
        progress: called with (finished images, all images).

    Raises:
        UserError: lists all predictions that are missing or cannot be used.
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
    """The images of a data set's split that the protocol scores. Predictions are `predictions/ID.png`."""
    return [
        BoundaryJob(
            name=dataset.ids[index],
            prediction=predictions / f"{dataset.ids[index]}.png",
            truth=dataset.boundary_file(index),
            read_labels=dataset.boundary_reader(index),
            max_distance=dataset.boundary_distance(index),
            size=getattr(dataset.boundary_reader(index), "size", None),
        )
        for index in dataset.boundary_indices()
    ]


def protocol(dataset: DenseDataset, images: int) -> str:
    """A text that names protocol, data and maximal distance."""
    info = dataset.info
    known = len(info.boundary_ids) or info.counts.get("val", 0)
    if dataset.is_synthetic:
        what = f"{images} synthetic rooms in {info.title}'s layout"
    else:
        split = "" if dataset.split == "val" else f" of the {dataset.split} split"
        published = "" if not known or (images == known and not split) else f" (published: {known})"
        what = f"{info.title}, {images} images{split}{published}"
    distances = {dataset.boundary_distance(index) for index in dataset.boundary_indices()} or {info.boundary_distance}
    shown = [f"{distance:.3g}" for distance in sorted(distances)]
    return (
        f"SEISM boundaries, {what}, maxDist {' and '.join(shown) if len(shown) < 3 else f'{shown[0]} to {shown[-1]}'}"
    )


def scores_of(counts: Iterable[BoundaryCounts]) -> BoundaryScores:
    """Compute scores over all images."""
    counts = list(counts)
    return boundary.summarise(
        np.array([image.matched for image in counts], np.int64),
        np.array([image.predicted for image in counts], np.int64),
        np.array([image.true for image in counts], np.int64),
    )


def check_predictions(jobs: Sequence[BoundaryJob]) -> None:
    """UserError listing predictions that are missing, damaged, not 8-bit grey PNGs, or of another size than their truth."""
    problems = []
    for job in jobs:
        if not job.prediction.is_file():
            problems.append(f"{job.prediction} is missing")
            continue
        try:
            with reading(job.prediction), Image.open(job.prediction, formats=FORMATS) as image:
                if image.mode != "L" or image.format != "PNG":
                    problems.append(
                        f"{job.prediction} is a {image.format} of mode {image.mode}, expected an 8-bit grey PNG"
                    )
                elif (size := _expected_size(job)) and size != image.size:
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


def _expected_size(job: BoundaryJob) -> tuple[int, int] | None:
    """(width, height) of the truth [pixels]; None if it cannot be told yet, or not be read, which is reported later."""
    if job.size is not None:
        return job.size[1], job.size[0]
    if job.truth.suffix != ".png":
        return None
    try:
        with Image.open(job.truth, formats=FORMATS) as image:
            return image.size
    except (OSError, ValueError, SyntaxError):
        return None


def _another_size(job: BoundaryJob, found: tuple[int, ...], truth: tuple[int, ...]) -> str:
    """The text for a prediction of wrong size; sizes are (width, height) [pixels]."""
    return (
        f"{job.prediction} has {found[1]}×{found[0]} pixels (height×width), {job.truth} has {truth[1]}×{truth[0]}; give "
        "predictions in the images' own size"
    )


def read_label_png(path: Path) -> NDArray[Any]:
    """Read a label map with one channel (grey of any depth, or palette indices) as (H, W) integers, as stored."""
    labels, _ = stored_png(path)
    if labels.ndim != 2:
        raise UserError(f"{path} has {labels.shape[2]} channels, expected a label map of one channel (grey or palette)")
    return labels


def cache_file(folder: Path, rank: int = 0) -> Path:
    """The file with the counts of a process."""
    return folder / (f"{CACHE}.{rank}.jsonl" if rank else f"{CACHE}.jsonl")


def _count(_: None, job: BoundaryJob) -> BoundaryCounts | str:
    """Count the pixels of an image; returns the text of an error if that is impossible."""
    try:
        prediction = read_png(job.prediction, channels=1)
        labels = job.read_labels(job.truth)
    except UserError as error:
        return str(error)
    if prediction.shape != labels.shape:
        return _another_size(job, prediction.shape[::-1], labels.shape[::-1])
    if labels.dtype.kind == "f":
        prediction = np.where(np.isnan(labels), np.uint8(0), prediction)
    truth = boundary.true_boundaries(labels)
    matched, predicted, true = boundary.count(prediction, truth, max_distance=job.max_distance)
    return BoundaryCounts(matched.tolist(), predicted.tolist(), true)


def _key(job: BoundaryJob) -> str:
    """A digest of everything that the counts depend on."""
    reader = getattr(job.read_labels, "__qualname__", repr(job.read_labels))
    digest = hashlib.sha256(json.dumps([VERSION, job.max_distance, reader]).encode())
    for path in (job.prediction, job.truth):
        with reading(path):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _append(cache: Path, name: str, key: str, counts: BoundaryCounts) -> None:
    line = json.dumps({"id": name, "key": key, **vars(counts)})
    with cache.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def _read_cache(cache: Path, *, tidy: bool) -> dict[str, BoundaryCounts]:
    """Read counts by key. With `tidy` an incomplete last line is removed from the file."""
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
