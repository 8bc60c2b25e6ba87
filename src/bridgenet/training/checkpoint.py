"""What a run is resumed from: network, optimiser and progress in one file, written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bridgenet.checkpoints import LAST, fit, read_own, save
from bridgenet.errors import UserError
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.system.files import write_atomically
from bridgenet.training.weighting import LossWeighting


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, network: nn.Module, others: Mapping[str, nn.Parameter] | None = None
) -> dict[str, Tensor]:
    """The optimiser's state as tensors named `weight/entry`, e.g. `heads.depth.weight/exp_avg`.

    `others`: by name what it updates besides the network's parameters.
    """
    names = {id(parameter): name for name, parameter in [*network.named_parameters(), *(others or {}).items()]}
    return {
        f"{names[id(parameter)]}/{entry}": value if isinstance(value, Tensor) else torch.tensor(value)
        for parameter, state in optimizer.state.items()
        for entry, value in state.items()
    }


def load_optimizer_tensors(
    optimizer: torch.optim.Optimizer,
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    path: Path,
    others: Mapping[str, nn.Parameter] | None = None,
) -> None:
    """The inverse of :func:`optimizer_tensors`; UserError for state of another network."""
    names = {**dict(network.named_parameters()), **(others or {})}
    for key, value in tensors.items():
        name, _, entry = key.rpartition("/")
        if name not in names:
            raise UserError(f"{path}: optimiser state of '{name}', which this network does not have")
        parameter = names[name]
        if entry == "step":  # Adam keeps it on the CPU unless it is fused
            value = value.to(parameter.device if optimizer.param_groups[0].get("fused") else "cpu")
        elif (
            value.shape == parameter.shape
        ):  # in the parameter's memory format too: fused kernels take that for granted
            value = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
        optimizer.state[parameter][entry] = value


def save_last(
    folder: Path,
    network: BridgeNet,
    optimizer: torch.optim.Optimizer,
    weighting: LossWeighting,
    information: Mapping[str, Any],
) -> None:
    """Write what the run is resumed from."""
    tensors = optimizer_tensors(optimizer, network, weighting.named_parameters())
    if state := weighting.state():
        information = {**information, "loss_weighting": state}
    save(network, folder / LAST, information=information, optimizer=tensors)


def load_last(
    folder: Path, network: BridgeNet, optimizer: torch.optim.Optimizer, weighting: LossWeighting
) -> dict[str, Any]:
    """Put the run's state back into network, optimiser and weighting; returns the information saved with it."""
    path = folder / LAST
    if not path.is_file():
        raise UserError(f"{folder} holds no {LAST} to resume from; start again with --overwrite")
    own = read_own(path)
    if own is None:
        raise UserError(f"{path} is not a checkpoint of a run")
    weights, tensors, _, information = own
    network.load_state_dict(fit(weights, network.state_dict(), path))
    load_optimizer_tensors(optimizer, network, tensors, path, weighting.named_parameters())
    if "loss_weighting" in information:
        weighting.load_state(information.pop("loss_weighting"))
    return information


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
