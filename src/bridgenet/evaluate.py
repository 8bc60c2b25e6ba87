"""Evaluation: every task's metrics pooled over a split, shared among processes with the same result as on one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bridgenet import data, tasks
from bridgenet.checkpoints import load, weights_path
from bridgenet.config import RunConfig
from bridgenet.data.loading import evaluation_loader
from bridgenet.decoding import decode
from bridgenet.errors import UserError
from bridgenet.files import write_atomically
from bridgenet.model.bridgenet import BridgeNet

Scores = dict[str, dict[str, float]]
"""{task: {metric: value}}; shares in 0..1, depth errors in [m], angles in [deg]."""

Progress = Callable[[int, int], None]


def evaluate(
    network: BridgeNet,
    dataset: data.DenseDataset,
    *,
    size: tuple[int, int],
    batch_size: int = 6,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    precision: str = "float32",
    edge_folder: Path | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score a network on all samples of a data set. With several processes a collective call; all get the same scores.

    Args:
        size: (height, width) of the canvas that images are padded to [pixels].
        rank, world: this process and their number; each takes its share of the samples, none twice.
        precision: `float32`, or `bfloat16` for autocast.
        edge_folder: write the boundary predictions here as 8-bit PNG (255·probability, truncated), in the image's own size.
        progress: told (batches done, batches in all) of this process.
    """
    device = next(network.parameters()).device
    metrics = {task: tasks.resolve(tasks.get(task).metric)(network.tasks[task]).to(device) for task in dataset.tasks}
    loader = evaluation_loader(dataset, size=size, batch_size=batch_size, num_workers=workers, rank=rank, world=world)
    done, total = 0, len(loader)
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        for batch in loader:
            images = batch["image"].to(device, non_blocking=True)
            with autocast(device, precision):
                logits = network(images).logits
            for task, metric in metrics.items():
                metric.update(logits[task], batch[task].to(device, non_blocking=True))
            if edge_folder is not None and "edge" in logits:
                write_edges(decode("edge", logits["edge"]), batch, edge_folder)
            done += 1
            if progress is not None:
                progress(done, total)
        network.train(was_training)
        return {task: metric.compute() for task, metric in metrics.items()}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of a forward pass in `float32` or `bfloat16`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def write_edges(probability: Tensor, batch: Mapping[str, Any], folder: Path) -> None:
    """Write (B, H, W) boundary probabilities as 8-bit grey PNG, cut to each image's own place on the canvas."""
    folder.mkdir(parents=True, exist_ok=True)
    values = (probability.float() * 255).to(torch.uint8).cpu().numpy()  # truncated, as the boundary protocol asks
    for value, name, size, offset in zip(values, batch["id"], batch["size"].tolist(), batch["offset"].tolist()):
        top, left = offset
        write_atomically(folder / f"{name}.png", _png(value[top : top + size[0], left : left + size[1]]))


def _png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", np.ascontiguousarray(image))[1].tobytes()


def open_dataset(config: RunConfig, split: str) -> data.DenseDataset:
    """The data set that a configuration names."""
    return data.get(config.data.name)(data.data_root(config.data.root), split, config.data.tasks)


def evaluation_size(config: RunConfig) -> tuple[int, int]:
    """The (height, width) [pixels] of the canvas that evaluation pads to."""
    return config.data.eval_size or data.info(config.data.name).size


def check_canvas(dataset: data.DenseDataset, size: tuple[int, int]) -> None:
    """UserError naming the first image that is larger than the canvas, from the images' headers alone."""
    for index in range(len(dataset)):
        try:
            with Image.open(dataset.image_path(index)) as image:
                width, height = image.size
        except (OSError, ValueError):
            dataset.load(index)  # says what is wrong with it
            continue
        if height > size[0] or width > size[1]:
            raise UserError(
                f"{dataset.image_path(index)} has {height}×{width} pixels (height×width), more than the evaluation's "
                f"canvas of {size[0]}×{size[1]}; give --data.eval-size"
            )


def use_cpu(device: str) -> bool:
    """Whether to run on the CPU: asked for, or there is no CUDA GPU (the metrics' float64 sums rule out Apple's)."""
    return device == "cpu" or not torch.cuda.is_available()


def headline(task: str, scores: Mapping[str, float]) -> float:
    """The value that stands for the task."""
    return scores[tasks.get(task).headline]


def relative_gain(scores: Scores, reference: Scores) -> float:
    """Mean over tasks of the relative improvement of the headlines over a reference; 0.1 is 10 % better.

    The multi-task gain of evaluation protocols, Δm, as a share. A task without a number on either side takes no part.
    """
    gains = []
    for task, values in scores.items():
        value, base = headline(task, values), headline(task, reference[task])
        if np.isfinite(value) and np.isfinite(base):
            sign = 1 if tasks.get(task).higher_is_better else -1
            gains.append(sign * (value - base) / max(abs(base), 1e-3))  # a first mIoU may be 0
    return float(np.mean(gains)) if gains else 0.0


def evaluate_source(
    source: str,
    config: RunConfig,
    *,
    out: Path,
    device: str = "auto",
    progress: Progress | None = None,
) -> Scores:
    """What `bridgenet evaluate` does: load, score the validation split, write `evaluation.json` and `edge/` into `out`."""
    from accelerate import PartialState

    state = PartialState(cpu=use_cpu(device))
    network = load(source, device=state.device)
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
    dataset = open_dataset(config, "val")
    if state.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
    scores = evaluate(
        network,
        dataset,
        size=evaluation_size(config),
        batch_size=config.evaluation_batch_size,
        workers=config.data.workers,
        rank=state.process_index,
        world=state.num_processes,
        precision=config.precision,
        edge_folder=out / "edge",
        progress=progress if state.is_main_process else None,
    )
    if state.is_main_process:
        report = {
            "source": str(source),
            "weights": str(weights_path(source)),
            "data": dataset.info.title,
            "split": "val",
            "images": len(dataset),
            "canvas": list(evaluation_size(config)),
            "precision": config.precision,
            "scores": scores,
        }
        write_atomically(out / "evaluation.json", json.dumps(report, indent=2) + "\n")
    return scores


def settings_of(source: str) -> list[str]:
    """Settings, as command-line overrides, that follow from weights alone: their data set and image size."""
    config = load(source, device="cpu").config
    if config is None or config.dataset is None:
        return []
    height, width = config.image_size
    return ["--data.name", config.dataset, "--data.eval_size", f"[{height}, {width}]"]


def table(scores: Scores) -> str:
    """The headlines as a text table: task, metric with its direction, value with its unit."""
    lines = [f"{'task':<12}{'metric':<10}{'value':>10}"]
    for name, values in scores.items():
        task = tasks.get(name)
        arrow = "↑" if task.higher_is_better else "↓"
        lines.append(f"{name:<12}{task.headline_title + ' ' + arrow:<10}{in_words(task, headline(name, values)):>10}")
    return "\n".join(lines)


def in_words(task: tasks.Task, value: float) -> str:
    """A headline with its unit: `41.2 %`, `0.412 m`, `14.8°`, `0.0476`."""
    if task.unit == "%":
        return f"{100 * value:.1f} %"
    if task.unit == "deg":
        return f"{value:.1f}°"
    return f"{value:.3f} {task.unit}" if task.unit else f"{value:.4f}"
