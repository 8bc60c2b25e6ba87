"""Checks of a plan's configurations and data before hours of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from bridgenet.config.settings import RunConfig, check_exclusive
from bridgenet.errors import UserError


def check_configs(configs: Mapping[str, RunConfig], devices: Sequence[str]) -> None:
    """Build the network (without weights), losses and weighting of each configuration, and check metrics and trackers.

    Args:
        configs: settings by the configuration's name.
        devices: devices of the runs.

    Raises:
        UserError: lists all problems.
    """
    import torch

    from bridgenet.config.resolved import check_precision, metric_classes, network_config
    from bridgenet.model.build import build_network
    from bridgenet.training.criterion import make_criterion
    from bridgenet.training.reporting import check_trackers
    from bridgenet.training.weighting import WEIGHTINGS

    def check(config: RunConfig) -> None:
        check_exclusive(config)
        check_precision(config, "cpu" if "cpu" in devices else "cuda")
        check_trackers(config.trackers)
        metric_classes(config)
        description = network_config(config)
        criterion = make_criterion(config, list(description.num_outputs))
        WEIGHTINGS[config.loss.weighting](criterion, torch.nn.Linear(1, 1))
        # Custom code need not support the meta device: its run will show whether it works.
        with suppress(NotImplementedError, RuntimeError), torch.device("meta"):
            build_network(description)

    _check_all(configs, check)


def check_data(configs: Mapping[str, RunConfig]) -> list[str]:
    """Open and check the data of the runs.

    Args:
        configs: settings by the configuration's name.

    Returns:
        Notes to print before training.

    Raises:
        UserError: lists all problems; those of several configurations once.
    """
    from bridgenet.config.resolved import check_canvas, evaluation_size, open_dataset, weighting_note

    images = {}

    def check(config: RunConfig) -> None:
        images[repr(config.data)] = len(open_dataset(config, "train"))
        check_canvas(open_dataset(config, "val"), evaluation_size(config))

    first: dict[str, str] = {}
    for name, config in configs.items():
        first.setdefault(repr(config.data), name)
    try:
        _check_all({name: configs[name] for name in first.values()}, check)
    except UserError as error:
        hint = "\n       (here: --root, or data.root in the plan)" if "--data.root" in str(error) else ""
        raise UserError(f"{error}{hint}") from None
    notes = {name: weighting_note(config, images[repr(config.data)]) for name, config in configs.items()}
    return [f"{name}: {note}" for name, note in notes.items() if note]


def _check_all(configs: Mapping[str, RunConfig], check: Callable[[RunConfig], None]) -> None:
    problems = []
    for name, config in configs.items():
        try:
            check(config)
        except UserError as error:
            problems.append(f"configurations.{name}: {error}")
    if problems:
        raise UserError("\n       ".join(problems))
