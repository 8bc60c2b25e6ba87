"""The rows of metrics.jsonl: what they hold, reading them, dropping those of steps that are made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bridgenet.errors import UserError
from bridgenet.losses import process_mean
from bridgenet.system.files import write_atomically
from bridgenet.training.labels import SeenLabels

METRICS = "metrics.jsonl"
"""The file in a run's folder."""


def training_row(
    step: int,
    losses: Mapping[str, Tensor],
    norm: Tensor,
    *,
    rate: float,
    weights: Mapping[str, float] | None,
    seen: SeenLabels | None,
) -> dict[str, Any]:
    """The row of an optimiser step. A collective call: losses are means over the processes.

    Args:
        step: number of the step, from 1.
        losses: scalars by name, the total first, see :class:`bridgenet.losses.LossTerms`.
        norm: of the gradient, before clipping.
        rate: learning rate of the step.
        weights: of the losses by task, unless they are fixed.
        seen: where labels may be missing, of which tasks there were any; the others get no number.
    """
    total, *others = process_mean(torch.stack(list(losses.values())).float()).tolist()
    named: dict[str, float | None] = dict(zip(list(losses)[1:], others))
    if seen is not None:
        has_labels = dict(zip(seen.tasks, process_mean(seen.of_last_step()).tolist()))
        named = {name: value if has_labels[name.rpartition("/")[2]] else None for name, value in named.items()}
    row = {"kind": "train", "step": step, "loss": total, "losses": named, "lr": rate, "grad_norm": norm.item()}
    return row if weights is None else row | {"loss_weights": weights}


def check_finite(row: Mapping[str, Any]) -> None:
    """UserError if losses or gradient of a training row are no numbers, before such weights are saved."""
    if np.isfinite(row["loss"]) and np.isfinite(row["grad_norm"]):
        return
    bad = [name for name, value in row["losses"].items() if value is not None and not np.isfinite(value)]
    raise UserError(
        f"the loss is {row['loss']} at step {row['step']} (of: {', '.join(bad) or 'none'}), the norm of its gradient "
        f"{row['grad_norm']}. Lower optimizer.lr, or use precision float32. Nothing of this step was saved"
    )


def truncate_rows(path: Path, step: int) -> list[dict[str, Any]]:
    """Drop the rows of `metrics.jsonl` after a step (and a half-written last one); returns what is left."""
    rows = read_rows(path)
    kept = [row for row in rows if row["step"] <= step]
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept))
    return kept


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a `metrics.jsonl`, oldest first; none if there is no such file."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:  # the process was stopped while writing this row
            break
    return rows
