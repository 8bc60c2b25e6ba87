"""The training run: a loop of optimiser steps on Accelerate, from one CPU to many GPUs and machines.

Everything random follows from seed and step: the order of samples, their augmentation, and drop path, whose generator is
seeded anew at every step. So a run that is killed and resumed gives the losses of one that was never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bridgenet.checkpoints import LAST
from bridgenet.config.settings import RunConfig
from bridgenet.errors import UserError
from bridgenet.system import parallel
from bridgenet.system.locks import LOCK, only_writer
from bridgenet.tasks.scores import Scores
from bridgenet.training.checkpoint import check_weights, save_last
from bridgenet.training.evaluating import evaluate_and_save_best
from bridgenet.training.folder import check_folder, prepare_folder
from bridgenet.training.prepare import Prepared, prepare
from bridgenet.training.reporting import Reporter
from bridgenet.training.rows import METRICS, check_finite, training_row
from bridgenet.training.signals import asked_to_stop, stop_signals

__all__ = ["LAST", "METRICS", "Interrupted", "run_steps", "train"]


class Interrupted(Exception):
    """The run was asked to stop and did so between two steps."""


def train(
    config: RunConfig, out: Path, *, resume: bool = False, overwrite: bool = False, device: str = "auto"
) -> Scores:
    """Train; returns the scores of the last evaluation.

    Args:
        config: settings of the run; they are written to `out/config.yaml`.
        out: folder of the run: `config.yaml`, `metrics.jsonl`, `last.safetensors`, `best.safetensors`, `tensorboard/`.
        resume: resume from `last`; start from scratch if the run was stopped before `last` was written.
        overwrite: delete the run in the folder.
        device: `"auto"` or `"cpu"`.

    Raises:
        UserError: the folder is in use, another process writes it, data or weights are missing or bad, or the loss is not a
            number.
        Interrupted: stopped by Ctrl-C or SIGTERM; the step was finished and `last` written.
    """
    out = Path(out)
    parallel.end_with_launcher()
    try:
        check_folder(out, resume=resume, overwrite=overwrite)
    except UserError:
        if (out / LOCK).exists() and parallel.is_first():
            with only_writer(out):  # names the process that writes the run right now
                pass
        raise
    with only_writer(out) if parallel.is_first() else nullcontext():
        return run_steps(prepare(config, out, resume=resume, overwrite=overwrite, device=device))


def run_steps(run: Prepared) -> Scores:
    """Make the remaining steps of a run; see :func:`train`."""
    config, progress, accelerator = run.config, run.progress, run.accelerator
    rows = prepare_folder(config, run.out, step=progress.step, is_resumed=run.is_resumed, accelerator=accelerator)
    batches = run.batches()
    with stop_signals() as stop, Reporter(accelerator, config, run.out, rows) as reporter:
        for number in range(progress.step, config.steps):
            started = time.perf_counter()
            rate = run.step.optimizer.param_groups[0]["lr"]
            losses, norm = make_step(run, number, batches)
            progress.step = done = number + 1

            is_last = done == config.steps
            stopping = not is_last and asked_to_stop(stop, done, accelerator)
            evaluating = done % config.evaluate_every == 0 or is_last
            logging = done % config.log_every == 0 or is_last
            saving = done % config.save_every == 0 or evaluating or stopping

            if logging or saving:
                weights = run.step.weighting.weights()
                row = training_row(done, losses, norm, rate=rate, weights=weights, seen=run.seen)
                if logging:
                    reporter.log(row)
                check_finite(row)
            if saving:
                check_weights(run.network, done)
            seconds = time.perf_counter() - started
            progress.seconds += seconds
            reporter.advance(done, seconds)
            if evaluating:
                evaluate_and_save_best(run, reporter)
            if saving:
                progress.rows = reporter.rows
                save_last(run.out, run.network, run.step.optimizer, run.step.weighting, progress, accelerator)
            if stopping:
                raise Interrupted
    return progress.scores or {}


def make_step(run: Prepared, number: int, batches: Iterator[dict[str, Any]]) -> tuple[dict[str, Tensor], Tensor]:
    """Make one optimiser step whose random numbers follow from seed and step; see :class:`TrainingStep`."""
    seed = np.random.SeedSequence([run.config.seed, number, run.accelerator.process_index]).generate_state(1)
    torch.manual_seed(int(seed[0]))
    result = run.step(batches if run.seen is None else run.seen.watch(batches))
    run.schedule.step()
    return result
