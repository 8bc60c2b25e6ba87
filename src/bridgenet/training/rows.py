"""The rows of metrics.jsonl: creating, reading and truncating them."""

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
    """Create the row of an optimiser step. A collective call: losses are averaged over the processes.

    Args:
        step: number of the step, from 1.
        losses: scalars by name, the total first, see :class:`bridgenet.losses.LossTerms`.
        norm: norm of the gradient before clipping.
        rate: learning rate of the step.
        weights: weights of the losses by task; None if they are fixed.
        seen: which tasks had labels, where labels may be missing; the losses of other tasks are None.
    """
    total, *others = process_mean(torch.stack(list(losses.values())).float()).tolist()
    named: dict[str, float | None] = dict(zip(list(losses)[1:], others))
    if seen is not None:
        has_labels = dict(zip(seen.tasks, process_mean(seen.of_last_step()).tolist()))
        named = {name: value if has_labels[name.rpartition("/")[2]] else None for name, value in named.items()}
    row = {"kind": "train", "step": step, "loss": total, "losses": named, "lr": rate, "grad_norm": norm.item()}
    return row if weights is None else row | {"loss_weights": weights}


def check_finite(row: Mapping[str, Any]) -> None:
    """UserError if losses or gradient of a training row are not finite, before such weights are saved."""
    if np.isfinite(row["loss"]) and np.isfinite(row["grad_norm"]):
        return
    bad = [name for name, value in row["losses"].items() if value is not None and not np.isfinite(value)]
    raise UserError(
        f"the loss is {row['loss']} at step {row['step']} (of: {', '.join(bad) or 'none'}), the norm of its gradient "
        f"{row['grad_norm']}. Lower optimizer.lr, or use precision float32. Nothing of this step was saved"
    )


def truncate_rows(path: Path, step: int) -> list[dict[str, Any]]:
    """Drop the rows of `metrics.jsonl` after a step, and an incomplete last one; returns the remaining rows."""
    rows = read_rows(path)
    kept = [row for row in rows if row["step"] <= step]
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept))
    return kept


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The complete rows of a `metrics.jsonl`, oldest first; none if there is no such file."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:  # the process was stopped while writing this row
            break
    return rows
