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


def check_rows(path: Path, step: int, count: int | None) -> None:
    """UserError if `metrics.jsonl` has not the `count` rows that were written up to a step; None: not known."""
    found = sum(row["step"] <= step for row in read_rows(path))
    if count is not None and found != count:
        raise UserError(
            f"{path} has {found} rows up to step {step}, {count} were written: some are missing or were added. Put the whole "
            "file back, or start the run anew with --overwrite"
        )


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a `metrics.jsonl`, oldest first; none if there is no such file.

    The last one is left out if the process was stopped while writing it.

    Raises:
        UserError: another line is no row of a run.
    """
    if not path.is_file():
        return []
    *lines, last = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, 1):
        row = _row(line)
        if row is None:
            raise UserError(
                f"{path} is damaged: line {number} is no row of a run: {line[:60].decode('utf-8', 'replace')}"
            )
        rows.append(row)
    cut = _row(last)
    return rows if cut is None else [*rows, cut]


def _row(line: bytes) -> dict[str, Any] | None:
    """The row in a line of text; None if it is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or type(row.get("step")) is not int:
        return None
    if row.get("kind") == "evaluation":
        return row if isinstance(row.get("scores"), dict) else None
    is_number = row.get("loss", "") is None or isinstance(row.get("loss"), int | float)
    return row if row.get("kind") == "train" and is_number and isinstance(row.get("losses", {}), dict) else None
