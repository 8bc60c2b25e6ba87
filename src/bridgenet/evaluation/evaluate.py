"""Evaluation: every task's metrics pooled over a split, shared among processes with the same result as on one."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from bridgenet import data, tasks
from bridgenet.checkpoints import load, weights_path
from bridgenet.config.resolved import evaluation_size, open_dataset, shrink_of, use_cpu
from bridgenet.config.settings import RunConfig
from bridgenet.data.checks.coverage import count_labels
from bridgenet.data.pipeline.batches import to_device
from bridgenet.data.pipeline.loading import evaluation_loader
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
from bridgenet.extensions import load_object
from bridgenet.metrics.boundary import precision_recall
from bridgenet.metrics.making import computed, make_metric, update
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.model.inference import optimize_for_inference
from bridgenet.system import parallel
from bridgenet.system.files import write_atomically, write_json
from bridgenet.tasks.decoding import decode, enlarged
from bridgenet.tasks.scores import Scores, gains, read_scores, relative_gain

Progress = Callable[[int, int], None]

PER_IMAGE = "per_image.csv"
AS_PUBLISHED = {
    "sal.maxF": "as in published tables: the probability passes through a sigmoid again; maxF_clean is the definition",
    "edge.loss": "as in published tables: the probability is taken for the logit; loss_clean is the definition",
}
"""Scores that carry a quirk of the field's common evaluation code."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        scores: pooled over the split.
        details: by task what the scores leave out, JSON types: per-class values, confusion matrix, curves, histograms.
        per_image: {id: {task: {metric: value}}}, each image by itself, in the data set's order.
    """

    scores: Scores
    details: dict[str, dict[str, Any]]
    per_image: dict[str, Scores]


def evaluate(
    network: BridgeNet,
    dataset: data.DenseDataset,
    *,
    size: tuple[int, int],
    batch_size: int = 6,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    shrink: int = 1,
    precision: str = "float32",
    edge_folder: Path | None = None,
    metrics: Mapping[str, Callable[[int], Any]] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a network on all samples of a data set. With several processes a collective call; all get the same result.

    Args:
        size: (height, width) of the canvas that images are padded to [pixels].
        shrink: the network sees images at 1/shrink of that; its logits are resized to the targets.
        rank, world: this process and their number; each takes its share of the samples, none twice.
        precision: `float32`, or `bfloat16` for autocast.
        edge_folder: write the boundary predictions here as 8-bit PNG (255·probability, truncated), in the image's own size.
        metrics: classes of some tasks' metrics, in place of their own; see :class:`bridgenet.Task`.
        progress: told (batches done, batches in all) of this process.

    Raises:
        UserError: a metric of one's own fails, or does not give the score that stands for the task.
    """
    device = next(network.parameters()).device
    scorers = {
        task: make_metric(task, network.tasks[task], (metrics or {}).get(task)).to(device) for task in dataset.tasks
    }
    loader = evaluation_loader(
        dataset, size=size, batch_size=batch_size, num_workers=workers, rank=rank, world=world, shrink=shrink
    )
    done, total = 0, len(loader)
    per_image: dict[str, Scores] = {}
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        for batch in loader:
            seen = to_device(batch, device, dataset.tasks)
            with autocast(device, precision):
                logits = enlarged(network(seen["image"]).logits, seen)
            for task, metric in scorers.items():
                update(task, metric, logits[task], seen[task])
                for name, row in zip(batch["id"], metric.per_image() if hasattr(metric, "per_image") else ()):
                    per_image.setdefault(name, {})[task] = row
            if edge_folder is not None and "edge" in logits:
                write_edges(decode("edge", logits["edge"]), batch, edge_folder)
            done += 1
            if progress is not None:
                progress(done, total)
        network.train(was_training)
        scores = {task: computed(task, metric) for task, metric in scorers.items()}
        details = {task: metric.details() for task, metric in scorers.items() if hasattr(metric, "details")}
    everything = gathered(per_image, world)
    return Evaluation(scores, details, {name: everything[name] for name in dataset.ids if name in everything})


def gathered(own: Mapping[str, Any], world: int) -> dict[str, Any]:
    """The entries of all processes together. A collective call."""
    parts: list[Any] = [own]
    if world > 1:
        parts = [None] * world
        torch.distributed.all_gather_object(parts, own)
    return {name: value for part in parts for name, value in part.items()}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of a forward pass in `float32` or `bfloat16`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def write_edges(probability: Tensor, batch: Mapping[str, Any], folder: Path) -> None:
    """Write (B, H, W) boundary probabilities as 8-bit grey PNG, cut to each image's own place on the canvas."""
    values = (probability.float() * 255).to(torch.uint8).cpu().numpy()  # truncated, as the boundary protocol asks
    for value, name, size, offset in zip(values, batch["id"], batch["size"].tolist(), batch["offset"].tolist()):
        top, left = offset
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, _png(value[top : top + size[0], left : left + size[1]]))


def _png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", np.ascontiguousarray(image))[1].tobytes()


@dataclass(frozen=True)
class EvaluationOptions:
    """How a network is evaluated, beside the run's settings.

    Attributes:
        boundaries: compute odsF, oisF and AP of the edge task as well.
        boundary_workers: processes that do so, one per core if None.
        flip, scales: test-time augmentation, see :class:`bridgenet.evaluation.augmentation.TestTimeAugmentation`.
        reference: folder of a run, or an evaluation.json, whose scores the gain Δm is told over.
    """

    boundaries: bool = True
    boundary_workers: int | None = None
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)
    reference: str | None = None


def evaluate_source(
    source: str,
    config: RunConfig,
    *,
    out: Path,
    options: EvaluationOptions | None = None,
    device: str = "auto",
    progress: Callable[[str], Progress] | None = None,
) -> dict[str, Any]:
    """What `bridgenet evaluate` does: load, score the validation split, write the results into `out`.

    `evaluation.json`, `per_image.csv`, and the boundary predictions `edge/ID.png`.

    Args:
        progress: makes the progress callback of a stage from its name.

    Returns:
        What `evaluation.json` holds: `scores`, `gain` over the reference if one is given, and how they were made.

    Raises:
        UserError: network and data do not belong together, or the reference holds no scores.
    """
    from accelerate import PartialState

    options = options or EvaluationOptions()
    check_scales(options.scales)
    if options.boundary_workers is not None and options.boundary_workers < 1:
        raise UserError(f"--boundary-workers {options.boundary_workers}: expected 1 or more")
    reference = read_scores(options.reference) if options.reference else None
    state = PartialState(cpu=use_cpu(device))
    network = load(source, device=state.device)
    dataset, config = _dataset_for(network, source, config)
    if reference is not None and not set(reference) & set(dataset.tasks):
        raise UserError(f"{options.reference} has scores of {', '.join(reference)} only: no task of these is evaluated")
    if config.precision == "float32":
        optimize_for_inference(network)
    model: Any = network
    if options.flip or options.scales != (1.0,):
        model = TestTimeAugmentation(network, flip=options.flip, scales=options.scales)
    if state.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
    show = progress if progress is not None and state.is_main_process else None
    found = evaluate(
        model,
        dataset,
        size=evaluation_size(config),
        batch_size=config.evaluation_batch_size,
        workers=config.data.workers,
        rank=state.process_index,
        world=state.num_processes,
        shrink=shrink_of(config),
        precision=config.precision,
        edge_folder=out / "edge",
        metrics={task: load_object(path, f"metrics.{task}", kind="metric") for task, path in config.metrics.items()},
        progress=show("evaluating") if show else None,
    )
    scores = found.scores
    root = data.data_root(config.data.root) if dataset.info.needs_root else dataset.folder.parent
    report: dict[str, Any] = {
        "source": str(source),
        "weights": str(weights_path(source)),
        "weights_digest": weights_digest(weights_path(source)),
        "data": dataset.info.title,
        "data_name": config.data.name,
        "data_root": str(root.absolute()),
        "synthetic": dataset.is_synthetic,
        "split": "val",
        "images": len(dataset),
        "labelled": count_labels(dataset),
        "labelled_in_training": network.information.get("labels"),
        "canvas": list(evaluation_size(config)),
        "shrink": shrink_of(config),
        "precision": config.precision,
        "test_time_augmentation": None if model is network else model.title,
        "scores": scores,
        "as_published": {name: text for name, text in AS_PUBLISHED.items() if name.partition(".")[0] in scores},
        "details": found.details,
        "class_names": {task: list(names) for task, names in dataset.info.class_names.items() if task in scores},
    }
    if options.boundaries and "edge" in dataset.tasks and dataset.boundary_indices():
        counts = _count_boundaries(dataset, config, out, state, options, show("boundaries") if show else None)
        boundaries = scores_of(counts.values())
        scores["edge"] |= boundaries.headlines
        for name, own in counts.items():
            f = precision_recall(*map(np.array, (own.matched, own.predicted, own.true)))[2]
            found.per_image.setdefault(name, {}).setdefault("edge", {})["F"] = float(f.max())
        report["boundaries"] = {"protocol": protocol(dataset, len(counts)), **boundaries.as_dict()}
    for name, values in scores.items():
        if not np.isfinite(values[tasks.get(name).headline]):
            warnings.warn(f"{name} has no score: nothing is labelled, or predictions are no numbers", stacklevel=2)
    if reference is not None:
        _warn_of_other_reference(str(options.reference), report)
        report |= {
            "reference": options.reference,
            "gain": relative_gain(scores, reference),
            "gains": gains(scores, reference),
        }
    if state.is_main_process:
        write_json(out / "evaluation.json", report)
        write_atomically(out / PER_IMAGE, per_image_table(found.per_image))
    return report


def per_image_table(per_image: Mapping[str, Scores]) -> str:
    """Scores of single images as CSV: `id`, then `TASK.METRIC`; an empty cell where nothing is labelled."""
    columns = list(dict.fromkeys((task, key) for row in per_image.values() for task in row for key in row[task]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", *(f"{task}.{key}" for task, key in columns)])
    for name, row in per_image.items():
        values = [row.get(task, {}).get(key, float("nan")) for task, key in columns]
        writer.writerow([name, *(f"{value:.6g}" if np.isfinite(value) else "" for value in values)])
    return text.getvalue()


def _dataset_for(network: BridgeNet, source: str, config: RunConfig) -> tuple[data.DenseDataset, RunConfig]:
    """The validation split with the tasks that are scored, and the settings with them."""
    if config.data.tasks is None:
        known = [task for task in network.tasks if task in data.info(config.data.name).tasks]
        config = replace(config, data=replace(config.data, tasks=known))
    for task in config.data.tasks or []:
        offered = data.info(config.data.name).num_outputs.get(task)
        if task not in network.tasks:
            raise UserError(
                f"{source} does not predict {task} (it predicts {', '.join(network.tasks)}); choose with --data.tasks"
            )
        if offered is not None and offered != network.tasks[task]:
            raise UserError(
                f"{source} has {network.tasks[task]} outputs for {task}, {config.data.name} has {offered}; "
                "give the data set that it was trained on with --data.name"
            )
    return open_dataset(config, "val"), config


def _count_boundaries(
    dataset: data.DenseDataset,
    config: RunConfig,
    out: Path,
    state: Any,
    options: EvaluationOptions,
    progress: Progress | None,
) -> dict[str, BoundaryCounts]:
    """Counts of all images, each process counting those that it has predicted; all get all of them."""
    rank, world = state.process_index, state.num_processes
    own = {dataset.ids[i] for i in range(len(dataset)) if i // config.evaluation_batch_size % world == rank}
    jobs = [job for job in jobs_of(dataset, out / "edge") if job.name in own]
    local_world = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    workers = max(1, parallel.cores() // local_world) if options.boundary_workers is None else options.boundary_workers
    counts = evaluate_boundaries(jobs, cache=cache_file(out, rank), workers=workers, progress=progress)
    everything = gathered(counts, world)
    return {job.name: everything[job.name] for job in jobs_of(dataset, out / "edge")}


def weights_digest(path: Path) -> str:
    """What tells weights from others of the same network: sha256 of the file's size and first MiB."""
    with path.open("rb") as file:
        return hashlib.sha256(str(path.stat().st_size).encode() + file.read(1 << 20)).hexdigest()


def _warn_of_other_reference(source: str, report: Mapping[str, Any]) -> None:
    """A gain over scores of other images means little: say so."""
    path = Path(source)
    other = json.loads((path / "evaluation.json" if path.is_dir() else path).read_text(encoding="utf-8"))
    for key in ("data", "synthetic", "images", "canvas", "test_time_augmentation"):
        if key in other and other[key] != report[key]:
            warnings.warn(f"the reference has {key} {other[key]}, this evaluation {report[key]}", stacklevel=2)


def settings_of(source: str) -> list[str]:
    """Settings, as command-line overrides, that follow from weights alone: their data set and image size."""
    config = load(source, device="cpu").config
    if config is None or config.dataset is None:
        return []
    if config.dataset not in data.DATASETS:
        return ["--data.name", config.dataset]  # what is given beside the weights takes its place, and says the size
    height, width = (side * data.info(config.dataset).shrink for side in config.image_size)
    return ["--data.name", config.dataset, "--data.eval_size", f"[{height}, {width}]"]
