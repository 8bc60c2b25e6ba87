"""Pictures of the best and worst images: photo, prediction, truth, and where they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bridgenet import data, tasks
from bridgenet.checkpoints import weights_path
from bridgenet.checkpoints.files import weights_digest
from bridgenet.config.resolved import evaluation_size, open_dataset, shrink_of
from bridgenet.config.settings import RunConfig
from bridgenet.errors import UserError
from bridgenet.evaluation.samples import PredictedSample, predicted_samples
from bridgenet.prediction.model import load_network
from bridgenet.report.blocks import Key, Strip, Tile
from bridgenet.report.sources import Source
from bridgenet.report.tables import image_score, ranked
from bridgenet.tasks import IGNORE
from bridgenet.tasks.scores import in_words
from bridgenet.tasks.visualize import (
    DEPTH_COLOURS,
    NO_LABEL,
    PROBABILITY_COLOURS,
    REGRESSION_COLOURS,
    as_map,
    colour_map,
    colourise,
    find_depth_range,
    find_value_range,
    known_depth,
    legend,
)

ERROR_COLOURS = "magma"
RIGHT, WRONG = np.array((214, 224, 232), np.uint8), np.array((213, 94, 0), np.uint8)
BLANK = np.array((150, 170, 190), np.uint8)
"""No label beside a ramp of colours that has dark ones of its own."""
LARGEST_ANGLE = 60.0
"""Angles from here on are drawn alike [deg]."""
LONG_SIDE = 520
"""Larger pictures are reduced to this [pixels]."""


def examples(
    source: Source,
    count: int,
    *,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[Strip]]:
    """{task: strips of the `count` best and worst images}; without scores of images, of some spread over the set.

    Raises:
        UserError: the folder is no run's; its weights or data are not here or do not belong together.
    """

    config = source.config
    if config is None:
        raise UserError(f"{source.folder} is not the folder of a run, whose weights and data are needed")
    config = _as_evaluated(config, source)
    dataset = open_dataset(config, "val")
    labelled = {
        task: [name for name, here in zip(dataset.ids, row) if here]
        for task, row in zip(dataset.tasks, dataset.labelled())
    }
    wanted = {task: _chosen(task, source, labelled[task], count) for task in source.scores if task in dataset.tasks}
    network = load_network(source.folder, device=device)
    if missing := [task for task in dataset.tasks if task not in network.tasks]:
        raise UserError(f"the weights in {source.folder} do not predict {', '.join(missing)}")
    index = {name: number for number, name in enumerate(dataset.ids)}
    needed = sorted({index[name] for chosen in wanted.values() for name, _ in chosen})
    samples: dict[str, PredictedSample] = {}
    size = evaluation_size(config)
    for sample in predicted_samples(
        network, dataset, size, needed, shrink=shrink_of(config), precision=config.precision
    ):
        samples[sample.id] = sample
        if progress is not None:
            progress(len(samples), len(needed))
    return {
        task: [strip(task, samples[name], caption, source.class_names(task)) for name, caption in chosen]
        for task, chosen in wanted.items()
    }


def _as_evaluated(config: RunConfig, source: Source) -> RunConfig:
    """The run's settings with the data, canvas and precision that were evaluated; UserError if the weights are others now."""

    told = source.evaluation
    if told.get("weights_digest", digest := weights_digest(weights_path(source.folder))) != digest:
        raise UserError(f"the weights in {source.folder} are not those that were evaluated; evaluate again")
    settings = replace(
        config.data, name=told.get("data_name", config.data.name), root=told.get("data_root", config.data.root)
    )
    if canvas := told.get("canvas"):
        settings = replace(settings, eval_size=(canvas[0], canvas[1]))
    if told.get("shrink"):
        settings = replace(settings, shrink=told["shrink"])
    known = [task for task in source.scores if task in data.info(settings.name).tasks]
    return replace(config, data=replace(settings, tasks=known), precision=told.get("precision", config.precision))


def _chosen(task: str, source: Source, ids: Sequence[str], count: int) -> list[tuple[str, str]]:
    """(id, caption) of the images to show."""
    found = image_score(task, source)
    if found is None:
        step = max(1, len(ids) // count)
        return [(name, f"{name} (not ranked: no scores of single images)") for name in ids[::step][:count]]
    score, values = found
    present = {name: value for name, value in values.items() if name in set(ids)}
    if values and not present:
        raise UserError(f"no image of {source.folder / 'per_image.csv'} is in the data; evaluate again")
    return [
        (name, f"{place} {number}: {name}, {score.title} {in_words(score, values[name])}")
        for place, names in zip(("Best", "Worst"), ranked(score, present, count))
        for number, name in enumerate(names, 1)
    ]


def strip(task: str, sample: PredictedSample, caption: str, names: Sequence[str] = ()) -> Strip:
    """Photo, prediction, truth and error of one task, with what their colours mean."""
    prediction, truth = (as_map(task, side[task]) for side in (sample.predictions, sample.truths))
    kind, title = tasks.get(task).kind, tasks.get(task).title
    options: Mapping[str, Any] = {}
    key: Key
    if kind == "depth":
        near, far = find_depth_range([prediction, truth])
        options = {"value_range": (near, far)}
        key = Key(ramp=ramp(DEPTH_COLOURS), ends=(f"{near:.2g} m", f"{far:.2g} m"))
    elif kind == "regression":
        low, high = find_value_range([prediction, truth])
        unit = f" {tasks.get(task).unit}".rstrip()
        options = {"value_range": (low, high)}
        key = Key(
            ramp=ramp(REGRESSION_COLOURS if truth.ndim == 2 else "gray"), ends=(f"{low:.3g}{unit}", f"{high:.3g}{unit}")
        )
    elif kind == "classes":
        present = legend([prediction, truth], names)
        key = Key([(_hex(colour) if colour else "", name) for colour, name in present])
    elif kind == "normals":
        key = Key([("#ff8080", "to the right"), ("#80ff80", "up"), ("#8080ff", "to the camera")])
    else:
        key = Key(ramp=ramp(PROBABILITY_COLOURS), ends=("0", "1"))
    error, error_key = error_map(task, prediction, truth)
    exact = kind == "classes"
    pictures: list[tuple[str, NDArray[np.uint8], Key | None, bool]] = [
        ("Photo", sample.photo, None, True),
        ("Prediction", colourise(task, prediction, **options), key, not exact),
        ("Truth", colourise(task, truth, **options), None, not exact),
        ("Error", error, error_key, not exact),
    ]
    tiles = [
        Tile(name, _reduced(picture, lossy), f"{name} of {sample.id}, {title}", own, photograph=lossy)
        for name, picture, own, lossy in pictures
    ]
    return Strip(caption, tiles)


def error_map(task: str, prediction: NDArray[Any], truth: NDArray[Any]) -> tuple[NDArray[np.uint8], Key]:
    """(H, W, 3) RGB of the error, dark where it is small, and what its colours mean.

    Classes are right or wrong; depth |error| in [m], drawn alike from its 98th percentile on; normals the angle in
    degrees; probabilities |difference|; regressions |difference|, of several channels its mean. Pixels without a label have a colour of their own.
    """
    kind = tasks.get(task).kind
    if kind == "classes":
        valid = truth != IGNORE
        colours = np.where((prediction == truth)[..., None], RIGHT, WRONG)
        key = Key([(_hex(RIGHT), "right"), (_hex(WRONG), "wrong"), (_hex(NO_LABEL), "no label")])
        return np.where(valid[..., None], colours, NO_LABEL), key
    if kind == "normals":
        valid = (truth != IGNORE).any(axis=-1)
        difference, total = (np.linalg.norm(value, axis=-1) for value in (prediction - truth, prediction + truth))
        error, largest, ends = np.degrees(2 * np.arctan2(difference, total)), LARGEST_ANGLE, f"≥ {LARGEST_ANGLE:g}°"
    elif kind == "depth":
        valid = known_depth(truth)
        error = np.abs(prediction - truth)
        largest = max(float(np.percentile(error[valid], 98)), 1e-3) if valid.any() else 1.0
        ends = f"≥ {largest:.2g} m"
    elif kind == "regression":
        valid = truth != IGNORE
        error = np.abs(prediction - truth)
        if truth.ndim == 3:
            valid, error = valid.all(axis=2), error.mean(axis=2)
        largest = max(float(np.percentile(error[valid], 98)), 1e-12) if valid.any() else 1.0
        ends = f"≥ {largest:.2g} {tasks.get(task).unit}".rstrip()
    else:
        valid = truth != IGNORE
        error, largest, ends = np.abs(prediction - truth), 1.0, "1"
    colours = np.where(valid[..., None], colour_map(ERROR_COLOURS, np.where(valid, error, 0) / largest), BLANK)
    unit = {"normals": "°", "depth": " m"}.get(kind, "")
    return colours, Key([(_hex(BLANK), "no label")], ramp(ERROR_COLOURS), (f"0{unit}", ends))


def ramp(name: str) -> list[str]:
    """Nine colours of a colour map as `#rrggbb`."""
    return [_hex(colour) for colour in colour_map(name, np.linspace(0, 1, 9))]


def _hex(colour: Sequence[int] | NDArray[np.uint8]) -> str:
    return "#" + "".join(f"{int(value):02x}" for value in colour)


def _reduced(picture: NDArray[np.uint8], smooth: bool) -> Image.Image:
    drawn = Image.fromarray(np.ascontiguousarray(picture))
    if max(drawn.size) > LONG_SIDE:
        factor = LONG_SIDE / max(drawn.size)
        size = (max(1, round(drawn.width * factor)), max(1, round(drawn.height * factor)))
        drawn = drawn.resize(size, Image.Resampling.BOX if smooth else Image.Resampling.NEAREST)
    return drawn
