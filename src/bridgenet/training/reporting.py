"""What a run reports: metrics.jsonl, trackers, and the progress bar with loss, speed and remaining time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bridgenet import data
from bridgenet.config.settings import RunConfig
from bridgenet.errors import UserError, nearest
from bridgenet.evaluation.samples import predicted_samples
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.system.files import finite
from bridgenet.tasks.visualize import panel
from bridgenet.training.rows import METRICS

PLAIN_SECONDS = 15
"""Interval between printed lines of progress where the output is not a terminal [s]."""


def check_trackers(names: Sequence[str]) -> None:
    """UserError for a tracker that Accelerate does not know, or whose package is not installed."""
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    installed = {str(tracker) for tracker in get_available_trackers()}
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise UserError(f"trackers: '{name}' is not a tracker{nearest(name, map(str, LOGGER_TYPE_TO_CLASS))}")
        if name not in installed:
            raise UserError(
                f"trackers: '{name}' is not installed; install it or leave it out (--trackers '[tensorboard]')"
            )


class Reporter:
    """Writes rows and shows progress on the main process; does nothing on the others."""

    def __init__(self, accelerator: Accelerator, config: RunConfig, out: Path, rows: Sequence[Mapping[str, Any]]):
        self.accelerator, self.config, self.out = accelerator, config, out
        self.active = accelerator.is_main_process
        self.rows = len(rows)
        known = (row["loss"] for row in reversed(rows) if row["kind"] == "train" and row["loss"] is not None)
        self.loss = next(known, float("nan"))
        self.seconds_per_step: float | None = None
        self.last_line = 0.0
        self.console = Console()
        self.bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=not (self.active and self.console.is_terminal),
        )
        self.bar_task = self.bar.add_task("training", total=config.steps, status="")

    def __enter__(self) -> Reporter:
        if self.config.trackers:
            self.accelerator.init_trackers("bridgenet")
        self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def log(self, row: Mapping[str, Any]) -> None:
        """Append a row to metrics.jsonl and log its numbers to the trackers."""
        if not self.active:
            return
        with (self.out / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite(row), allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())  # what is saved afterwards counts on it
        self.rows += 1
        if row["kind"] == "train":
            self.loss = row["loss"]
        numbers = {f"{row['kind']}/{name}": value for name, value in _numbers(row) if name != "step"}
        self.accelerator.log(numbers, step=row["step"])

    def log_images(self, panels: Mapping[str, Any], step: int) -> None:
        """Log PIL images by name to the trackers that show images."""
        for tracker in self.accelerator.trackers if self.active else ():
            if tracker.name == "tensorboard":
                for name, picture in panels.items():
                    tracker.writer.add_image(name, np.asarray(picture), step, dataformats="HWC")
            elif hasattr(tracker, "log_images"):
                tracker.log_images({name: [picture] for name, picture in panels.items()}, step=step)

    def advance(self, step: int, seconds: float) -> None:
        """Show that `step` steps are done, the last one in `seconds` [s]."""
        previous = self.seconds_per_step
        self.seconds_per_step = seconds if previous is None else 0.95 * previous + 0.05 * seconds
        if not self.active:
            return
        images = self.config.batch_size * self.config.accumulate * self.accelerator.num_processes
        left = (self.config.steps - step) * self.seconds_per_step
        loss = f"loss {self.loss:.2f}  " if np.isfinite(self.loss) else ""  # none is logged yet
        status = f"{loss}{images / self.seconds_per_step:.1f} img/s  {timedelta(seconds=round(left))} left"
        self.bar.update(self.bar_task, completed=step, status=status)
        now = time.monotonic()
        if not self.console.is_terminal and (now - self.last_line > PLAIN_SECONDS or step == self.config.steps):
            self.last_line = now
            print(f"training {step}/{self.config.steps}  {status}", flush=True)

    def evaluating(self, done: int, total: int) -> None:
        """Show that `done` of `total` validation batches are scored."""
        self.bar.update(self.bar_task, status=f"evaluating {done}/{total}")


def _numbers(row: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    found = []
    for name, value in row.items():
        if isinstance(value, Mapping):
            found += _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            found.append((prefix + name, value))
    return found


def prediction_panels(
    network: BridgeNet, dataset: data.DenseDataset, size: tuple[int, int], number: int, *, shrink: int = 1
) -> dict[str, Any]:
    """Draw panels {id: PIL image} of `number` samples spread over the set: image, predictions, and truth below.

    `size` and `shrink` are those of :func:`bridgenet.evaluation.samples.predicted_samples`.
    """
    if number == 0:
        return {}
    names = {task: tuple(classes) for task, classes in dataset.info.class_names.items()}
    indices = range(0, len(dataset), max(1, len(dataset) // number))[:number]
    return {
        sample.id: panel(sample.photo, sample.predictions, class_names=names, truths=sample.truths)
        for sample in predicted_samples(network, dataset, size, indices, shrink=shrink)
    }
