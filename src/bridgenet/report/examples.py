"""Visualisation of the best and worst images: photo, prediction, truth and error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from bridgenet.evaluation.classes import in_order_of
from bridgenet.evaluation.samples import PredictedSample, predicted_samples
from bridgenet.imaging import drawing
from bridgenet.imaging.drawing import MAX_LEGEND, colour_map
from bridgenet.model.records import required_record
from bridgenet.prediction.model import load_network
from bridgenet.report.blocks import Key, Strip, Tile
from bridgenet.report.sources import Source
from bridgenet.report.tables import image_score, ranked
from bridgenet.tasks.colours import ERROR_COLOURS
from bridgenet.tasks.scores import in_words
from bridgenet.tasks.visualize import as_map, colourise, key_of, range_of

LONG_SIDE = 520
"""Larger images are reduced to this length of the longer side [pixels]."""


def examples(
    source: Source,
    count: int,
    *,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[Strip]]:
    """{task: strips of the `count` best and worst images}; without scores per image, of images spread over the set.

    Raises:
        UserError: the folder is not a run, or its weights or data are missing or do not match.
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
    network = in_order_of(
        dataset.info, network, required_record(network).config, dataset.tasks, f"the network in {source.folder}"
    )
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
    """The run's settings with the evaluated data, canvas and precision. UserError if the weights have changed."""
    recorded = source.evaluation
    if recorded.get("weights_digest", digest := weights_digest(weights_path(source.folder))) != digest:
        raise UserError(f"the weights in {source.folder} are not those that were evaluated; evaluate again")
    settings = replace(
        config.data, name=recorded.get("data_name", config.data.name), root=recorded.get("data_root", config.data.root)
    )
    if canvas := recorded.get("canvas"):
        settings = replace(settings, eval_size=(canvas[0], canvas[1]))
    if recorded.get("shrink"):
        settings = replace(settings, shrink=recorded["shrink"])
    known = [task for task in source.scores if task in data.info(settings.name).tasks]
    return replace(config, data=replace(settings, tasks=known), precision=recorded.get("precision", config.precision))


def _chosen(task: str, source: Source, ids: Sequence[str], count: int) -> list[tuple[str, str]]:
    """Id and caption of the images to show."""
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
    """Draw photo, prediction, truth and error of a task, with a legend of their colours."""
    prediction, truth = (as_map(task, side[task]) for side in (sample.predictions, sample.truths))
    known = tasks.get(task)
    value_range = range_of(task, prediction, truth)
    key = _key(key_of(task, [prediction, truth], names, MAX_LEGEND, value_range), known.kind.digits)
    error, error_key = error_map(task, prediction, truth)
    exact = known.kind.has_classes
    pictures: list[tuple[str, NDArray[np.uint8], Key | None, bool]] = [
        ("Photo", sample.photo, None, True),
        ("Prediction", colourise(task, prediction, value_range=value_range), key, not exact),
        ("Truth", colourise(task, truth, value_range=value_range), None, not exact),
        ("Error", error, error_key, not exact),
    ]
    tiles = [
        Tile(name, _reduced(picture, lossy), f"{name} of {sample.id}, {known.title}", own, photograph=lossy)
        for name, picture, own, lossy in pictures
    ]
    return Strip(caption, tiles)


def error_map(task: str, prediction: NDArray[Any], truth: NDArray[Any]) -> tuple[NDArray[np.uint8], Key]:
    """Draw the error as (H, W, 3) RGB, dark where it is small, with a legend of its colours.

    Classes are right or wrong; depth has |error| [m], clipped at its 98th percentile; normals have the angle [deg];
    probabilities |difference|; regressions |difference|, averaged over channels. Pixels without a label have their own
    colour.
    """
    known = tasks.get(task)
    drawn = known.kind.error_map(known, prediction, truth)
    swatches = [(_hex(colour), name) for colour, name in drawn.swatches]
    return drawn.picture, Key(swatches, ramp(ERROR_COLOURS), drawn.ends) if drawn.ends else Key(swatches)


def _key(drawn: drawing.Key, digits: int) -> Key:
    """Convert the key of a drawing to that of a report, with `digits` significant digits at its ends."""
    if drawn.bar is None:
        return Key([(_hex(colour) if colour else "", name) for colour, name in drawn.swatches])
    colours, (low, high), unit = drawn.bar
    return Key(ramp=ramp(colours), ends=(f"{low:.{digits}g}{unit}", f"{high:.{digits}g}{unit}"))


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
