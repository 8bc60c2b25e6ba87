"""`bridgenet evaluate` in four steps: load, score, count boundaries, report."""

from __future__ import annotations

import csv
import io
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState

from bridgenet import config as configuration
from bridgenet import data, tasks
from bridgenet.checkpoints import open_source
from bridgenet.config.resolved import evaluation_size, open_dataset, shrink_of, use_cpu
from bridgenet.config.settings import RunConfig
from bridgenet.data.checks.coverage import count_labels
from bridgenet.errors import UserError
from bridgenet.evaluation.augmentation import TestTimeAugmentation, check_scales
from bridgenet.evaluation.boundaries import (
    BoundaryCounts,
    cache_file,
    evaluate_boundaries,
    jobs_of,
    protocol,
    scores_of,
)
from bridgenet.evaluation.classes import check_classes, definitions, in_order_of
from bridgenet.evaluation.evaluate import Evaluation, Progress, gathered, score_split
from bridgenet.metrics.boundary import precision_recall
from bridgenet.model.description import NetworkConfig
from bridgenet.model.fast import accelerate_network
from bridgenet.model.inference import consume
from bridgenet.system import parallel
from bridgenet.system.files import write_atomically, write_json
from bridgenet.tasks.scores import Scores, gains, read_scores, relative_gain

PER_IMAGE = "per_image.csv"
AS_PUBLISHED = {
    "sal.maxF": "as in published tables: the probability passes through a sigmoid again; maxF_clean is the definition",
    "edge.loss": "as in published tables: the probability is taken for the logit; loss_clean is the definition",
}
"""Scores with a quirk of commonly used evaluation code."""


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of an evaluation besides the settings of a run.

    Attributes:
        boundaries: compute odsF, oisF and AP of the edge task, too.
        boundary_workers: number of processes for that, one per core if None.
        flip, scales: test-time augmentation, see :class:`bridgenet.evaluation.augmentation.TestTimeAugmentation`.
        reference: folder of a run, or an evaluation.json, with the scores that the gain Δm is relative to.
    """

    boundaries: bool = True
    boundary_workers: int | None = None
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)
    reference: str | None = None


@dataclass(frozen=True)
class Loaded:
    """Network and data of an evaluation.

    Attributes:
        source: the source as given by the user.
        weights: the weight file.
        digest: digest of that file, see :func:`bridgenet.checkpoints.files.weights_digest`.
        information: information recorded with the weights.
        model: the network on its device, prepared for inference, with test-time augmentation.
        config: the settings, with the tasks that are scored.
        dataset: the validation split with these tasks.
        reference: scores that the gain is relative to.
        processes: index of this process and number of processes.
    """

    source: str
    weights: Path
    digest: str
    information: Mapping[str, Any]
    model: Any
    config: RunConfig
    dataset: data.DenseDataset
    reference: Scores | None
    processes: PartialState


def evaluate_source(
    source: str,
    config: RunConfig | None,
    *,
    out: Path,
    overrides: Sequence[str] = (),
    options: EvaluationOptions | None = None,
    device: str = "auto",
    progress: Callable[[str], Progress] | None = None,
) -> dict[str, Any]:
    """Score the validation split and write the results into `out`.

    These are `evaluation.json`, `per_image.csv`, and the boundary predictions `edge/ID.png`.

    Args:
        source: folder of a run, weights, or a name on the hub.
        config: the settings; if None, those that follow from the weights alone, changed by `overrides`.
        overrides: as on the command line, see :func:`bridgenet.config.load`.
        progress: makes the progress callback of a stage from its name.

    Returns:
        What `evaluation.json` holds: `scores`, `gain` over the reference if one is given, and how they were made.

    Raises:
        UserError: network and data do not belong together, or the reference holds no scores.
    """
    options = options or EvaluationOptions()
    loaded = load(source, config, overrides, options, device)
    is_main = loaded.processes.is_main_process
    stage = progress if progress is not None and is_main else lambda name: None
    if is_main:
        out.mkdir(parents=True, exist_ok=True)
    found = score_split(
        loaded.model,
        loaded.dataset,
        loaded.config,
        loaded.processes,
        edge_folder=out / "edge",
        progress=stage("evaluating"),
    )
    counts = count_boundaries(loaded, out, options, stage("boundaries"))
    results = report(loaded, found, counts, options)
    if is_main:
        write_json(out / "evaluation.json", results)
        write_atomically(out / PER_IMAGE, per_image_table(found.per_image))
    return results


def load(
    source: str, config: RunConfig | None, overrides: Sequence[str], options: EvaluationOptions, device: str
) -> Loaded:
    """Check the options, open weights and data, and check that they match."""
    check_scales(options.scales)
    if options.boundary_workers is not None and options.boundary_workers < 1:
        raise UserError(f"--boundary-workers {options.boundary_workers}: expected 1 or more")
    reference = read_scores(options.reference) if options.reference else None
    processes = PartialState(cpu=use_cpu(device))
    opened = open_source(source)
    network = opened.network().to(processes.device)
    if config is None:
        config = configuration.load(None, [*settings_of(opened.config), *overrides])
    config = _with_tasks(config, network.tasks, opened.config, source)
    dataset = open_dataset(config, "val")
    if reference is not None and not set(reference) & set(dataset.tasks):
        raise UserError(f"{options.reference} has scores of {', '.join(reference)} only: no task of these is evaluated")
    model: Any = consume(network) if config.precision == "float32" else accelerate_network(network)
    model = in_order_of(dataset.info, model, opened.config, dataset.tasks, source)
    if options.flip or options.scales != (1.0,):
        known = definitions(dataset, opened.config)
        model = TestTimeAugmentation(model, flip=options.flip, scales=options.scales, definitions=known)
    return Loaded(source, opened.path, opened.digest, opened.information, model, config, dataset, reference, processes)


def count_boundaries(
    loaded: Loaded, out: Path, options: EvaluationOptions, progress: Progress | None
) -> dict[str, BoundaryCounts]:
    """Boundary counts of all images by name; empty without boundaries or if `options` disable them.

    Each process counts the images that it has predicted; all receive the counts of all images.
    """
    dataset = loaded.dataset
    if not options.boundaries or "edge" not in dataset.tasks or not dataset.boundary_indices():
        return {}
    rank, world = loaded.processes.process_index, loaded.processes.num_processes
    batch_size = loaded.config.evaluation_batch_size
    own = {dataset.ids[i] for i in range(len(dataset)) if i // batch_size % world == rank}
    jobs = jobs_of(dataset, out / "edge")
    local_world = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    counts = evaluate_boundaries(
        [job for job in jobs if job.name in own],
        cache=cache_file(out, rank),
        workers=options.boundary_workers or max(1, parallel.cores() // local_world),
        progress=progress,
    )
    everything = gathered(counts, world)
    return {job.name: everything[job.name] for job in jobs}


def report(
    loaded: Loaded, found: Evaluation, counts: Mapping[str, BoundaryCounts], options: EvaluationOptions
) -> dict[str, Any]:
    """Create the content of `evaluation.json`. Boundary scores are added to `found`, also for each image."""
    config, dataset, scores = loaded.config, loaded.dataset, found.scores
    root = data.data_root(config.data.root) if dataset.info.needs_root else dataset.folder.parent
    results: dict[str, Any] = {
        "source": str(loaded.source),
        "weights": str(loaded.weights),
        "weights_digest": loaded.digest,
        "data": dataset.info.title,
        "data_name": config.data.name,
        "data_root": str(root.absolute()),
        "synthetic": dataset.is_synthetic,
        "split": "val",
        "images": len(dataset),
        "labelled": count_labels(dataset),
        "labelled_in_training": loaded.information.get("labels"),
        "canvas": list(evaluation_size(config)),
        "shrink": shrink_of(config),
        "precision": config.precision,
        "test_time_augmentation": loaded.model.title if isinstance(loaded.model, TestTimeAugmentation) else None,
        "scores": scores,
        "as_published": {name: text for name, text in AS_PUBLISHED.items() if name.partition(".")[0] in scores},
        "details": found.details,
        "class_names": {task: list(names) for task, names in dataset.info.class_names.items() if task in scores},
    }
    if counts:
        boundaries = scores_of(counts.values())
        scores["edge"] |= boundaries.headlines
        for name, own in counts.items():
            f = precision_recall(*map(np.array, (own.matched, own.predicted, own.true)))[2]
            found.per_image.setdefault(name, {}).setdefault("edge", {})["F"] = float(f.max())
        results["boundaries"] = {"protocol": protocol(dataset, len(counts)), **boundaries.as_dict()}
    for name, values in scores.items():
        if not np.isfinite(values[tasks.get(name).headline]):
            warnings.warn(f"{name} has no score: nothing is labelled, or predictions are no numbers", stacklevel=2)
    if loaded.reference is not None:
        _warn_of_other_reference(str(options.reference), results)
        results |= {
            "reference": options.reference,
            "gain": relative_gain(scores, loaded.reference),
            "gains": gains(scores, loaded.reference),
        }
    return results


def per_image_table(per_image: Mapping[str, Scores]) -> str:
    """The scores of each image as CSV: `id`, then `TASK.METRIC`; cells without labels are empty."""
    columns = list(dict.fromkeys((task, key) for row in per_image.values() for task in row for key in row[task]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", *(f"{task}.{key}" for task, key in columns)])
    for name, row in per_image.items():
        values = [row.get(task, {}).get(key, float("nan")) for task, key in columns]
        writer.writerow([name, *(f"{value:.6g}" if np.isfinite(value) else "" for value in values)])
    return text.getvalue()


def settings_of(network: NetworkConfig) -> list[str]:
    """Settings that follow from a network's description, as command-line overrides: its data set and image size."""
    if network.dataset is None:
        return []
    if network.dataset not in data.DATASETS:
        return ["--data.name", network.dataset]  # overrides may replace it, and give the size
    height, width = (side * data.info(network.dataset).shrink for side in network.image_size)
    return ["--data.name", network.dataset, "--data.eval_size", f"[{height}, {width}]"]


def _with_tasks(config: RunConfig, predicted: Mapping[str, int], network: NetworkConfig, source: str) -> RunConfig:
    """Set the scored tasks: the configured ones, else all that network and data have in common."""
    offered = data.info(config.data.name).num_outputs
    if config.data.tasks is None:
        known = [task for task in predicted if task in data.info(config.data.name).tasks]
        config = replace(config, data=replace(config.data, tasks=known))
    for task in config.data.tasks or []:
        if task not in predicted:
            raise UserError(
                f"{source} does not predict {task} (it predicts {', '.join(predicted)}); choose with --data.tasks"
            )
        check_classes(data.info(config.data.name), network, task, source)
        if offered.get(task, predicted[task]) != predicted[task]:
            raise UserError(
                f"{source} has {predicted[task]} outputs for {task}, {config.data.name} has {offered[task]}; "
                "give the data set that it was trained on with --data.name"
            )
    return config


def _warn_of_other_reference(source: str, results: Mapping[str, Any]) -> None:
    """Warn if the reference was scored on other images or in another way."""
    path = Path(source)
    other = json.loads((path / "evaluation.json" if path.is_dir() else path).read_text(encoding="utf-8"))
    for key in ("data", "synthetic", "images", "canvas", "test_time_augmentation"):
        if key in other and other[key] != results[key]:
            warnings.warn(f"the reference has {key} {other[key]}, this evaluation {results[key]}", stacklevel=2)
    names = other.get("class_names")
    for task, own in results["class_names"].items():
        known = names.get(task) if isinstance(names, dict) else None
        if known and sorted(map(str, known)) != sorted(own):
            warnings.warn(f"the reference has other classes of {task} than this evaluation", stacklevel=2)
