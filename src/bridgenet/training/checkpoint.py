"""Checkpoints that a run is resumed from: network, optimiser and progress in one file, written atomically."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from bridgenet.checkpoints import LAST, check_state_dict, read_own, save
from bridgenet.errors import UserError
from bridgenet.model.backbones.licences import ANCESTRY
from bridgenet.model.bridgenet import BridgeNet
from bridgenet.system.memory import peak_memory
from bridgenet.system.validation import read
from bridgenet.training.progress import Progress
from bridgenet.training.weighting import LossWeighting


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, network: nn.Module, others: Mapping[str, nn.Parameter] | None = None
) -> dict[str, Tensor]:
    """The optimiser's state as tensors named `weight/entry`, e.g. `heads.depth.weight/exp_avg`.

    `others`: parameters by name that it updates besides those of the network.
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
    """Restore what :func:`optimizer_tensors` returned. UserError for the state of another network."""
    names = {**dict(network.named_parameters()), **(others or {})}
    for key, value in tensors.items():
        name, _, entry = key.rpartition("/")
        if name not in names:
            raise UserError(f"{path}: optimiser state of '{name}', which this network does not have")
        parameter = names[name]
        if entry == "step":  # Adam keeps it on the CPU unless it is fused; a view of the file would keep it open
            value = value.clone().to(parameter.device if optimizer.param_groups[0].get("fused") else "cpu")
        elif value.shape == parameter.shape:  # fused kernels expect the parameter's memory format
            value = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
        elif value.numel() != 1:
            raise UserError(f"{path}: optimiser state {entry} of '{name}' has shape {tuple(value.shape)}")
        optimizer.state[parameter][entry] = value
    kinds = {frozenset(state) for state in optimizer.state.values()}
    if len(kinds) > 1:
        raise UserError(
            f"{path}: the optimiser's state is not complete; resume from another copy, or start the run anew"
        )


def check_weights(network: nn.Module, step: int) -> None:
    """UserError if a weight or statistic is not finite: the loss of a step is of the weights before it."""
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not value.isfinite().all():
            raise UserError(
                f"the weight {name} is not a number after step {step}. Lower optimizer.lr. Nothing of this step was saved"
            )


def save_last(
    folder: Path,
    network: BridgeNet,
    optimizer: torch.optim.Optimizer,
    weighting: LossWeighting,
    progress: Progress,
    accelerator: Accelerator,
) -> None:
    """Write the checkpoint that the run is resumed from. A collective call."""
    weighting.share_state()
    if accelerator.is_main_process:
        progress.memory = max(progress.memory, peak_memory(accelerator.device) or 0)
        tensors = optimizer_tensors(optimizer, network, weighting.named_parameters())
        information = dict(vars(progress))
        if state := weighting.state():
            information["loss_weighting"] = state
        save(network, folder / LAST, information=information, optimizer=tensors)
    accelerator.wait_for_everyone()  # torchrun would end the others while they write if a process left earlier


def load_last(
    path: Path, network: BridgeNet, optimizer: torch.optim.Optimizer, weighting: LossWeighting
) -> tuple[Progress, dict[str, Any]]:
    """Restore the state of a run into network, optimiser and weighting.

    Returns:
        The progress of the run, and the recorded origin of its backbone's initial weights.

    Raises:
        UserError: `path` is not a checkpoint of a run, is damaged, lacks the optimiser's state, or belongs to another network.
    """
    own = read_own(path, whole=True)
    if own is None:
        raise UserError(f"{path} is not a checkpoint of a run")
    weights, tensors, _, information = own
    network.load_state_dict(check_state_dict(weights, network.state_dict(), path))
    load_optimizer_tensors(optimizer, network, tensors, path, weighting.named_parameters())
    if weighting.state():
        try:
            weighting.load_state(information["loss_weighting"])
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError):
            raise UserError(f"{path}: the state of the loss weighting is missing or damaged") from None
    if "step" not in information:
        raise UserError(f"{path} is not a checkpoint of a run: its step is missing")
    known = {entry.name: information[entry.name] for entry in fields(Progress) if entry.name in information}
    progress = read(Progress, known, str(path))
    if progress.step and not tensors:
        raise UserError(
            f"{path} has no state of the optimiser, which a run cannot be resumed without; start the run anew"
        )
    return progress, {key: information[key] for key in ANCESTRY if key in information}
