"""The folder of a run: what it holds, when it is refused, and what may be deleted in it."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml
from accelerate import Accelerator

from bridgenet import config as configuration
from bridgenet import data
from bridgenet.checkpoints import BEST, LAST, read_description, read_information
from bridgenet.config.settings import RunConfig
from bridgenet.errors import UserError
from bridgenet.extensions import remember_loaded
from bridgenet.system.files import PARTIAL, write_atomically
from bridgenet.system.locks import LOCK
from bridgenet.system.yaml_text import load_yaml
from bridgenet.training.rows import METRICS, truncate_rows

RUN_ENTRIES = {
    "config.yaml", METRICS, BEST, LAST, "tensorboard", "wandb",
    "evaluation.json", "result.json", "edge", "boundary_counts.jsonl", "per_image.csv", "report.html", "report.md",
}  # fmt: skip
"""What a run's folder holds, besides what is being written; --overwrite deletes nothing else."""
COUNTS = re.compile(r"boundary_counts\.\d+\.jsonl")
MAY_CHANGE = {
    "init_from",
    "network.pretrained",
    "network.backbone_checkpoint",
    "network.checkpoint_backbone",
    "network.checkpoint_decoder",
    "data.root",
    "data.workers",
    "data.cache",
    "data.cache_folder",
    "compile",
    "steps",
    "evaluation_batch_size",
    "save_every",
    "log_every",
    "trackers",
    "log_images",
}
"""Settings that may change when a run is resumed. They change none of the remaining steps, except that `steps` changes the
learning rate and `compile` the rounding."""
MEANING = "data_meaning"
"""Key of the recorded information for :attr:`DataSetInfo.meaning`."""
LATER = {"compile", "init_from", "metrics"}
"""Settings that runs of older versions do not have."""


def check_folder(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that is in use: UserError names the flag that resolves it. Changes nothing.

    A folder that holds only what a killed process was writing before there were settings is as good as an empty one.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file, expected a folder for the run")
    if resume and overwrite:
        raise UserError("--resume and --overwrite exclude each other")
    entries = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    if entries and all(_is_left(name) for name in entries):
        return
    if resume:
        if not (out / "config.yaml").is_file():
            raise UserError(f"{out} holds no run to resume (looked for config.yaml); leave out --resume to start one")
    elif entries:
        foreign = [name for name in entries if not _is_ours(name)]
        if foreign or not _is_run(out):
            found = ", ".join((foreign or entries)[:3])
            raise UserError(f"{out} is not empty and holds other files than a run's ({found}); choose another --out")
        if not overwrite:
            raise UserError(
                f"{out} holds a run (step {_step_of(out)}). Use --resume to continue or --overwrite to start again."
            )


def _is_left(name: str) -> bool:
    return name == LOCK or PARTIAL.fullmatch(name) is not None


def _is_ours(name: str) -> bool:
    return name in RUN_ENTRIES or COUNTS.fullmatch(name) is not None or _is_left(name)


def _is_run(out: Path) -> bool:
    """Whether a run wrote the folder's config.yaml: it then has every setting, which a custom recipe hardly has."""
    try:
        values = load_yaml((out / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return isinstance(values, dict) and set(values) | LATER == set(RunConfig().as_dict())


def _step_of(out: Path) -> Any:
    try:
        return read_information(out / LAST)["step"] if (out / LAST).is_file() else 0
    except (UserError, KeyError):
        return "unknown: its last checkpoint is damaged"


def check_settings(config: RunConfig, out: Path, may_change: Collection[str] = frozenset(MAY_CHANGE)) -> RunConfig:
    """Refuse to resume a run with other settings than its own.

    Args:
        may_change: dotted names of the settings that may differ.

    Returns:
        The run's own settings.

    Raises:
        UserError: lists those that differ; or the run's own settings are damaged.
    """
    found = configuration.load(out)
    if not _is_run(out):
        raise UserError(f"{out / 'config.yaml'} is damaged: it does not have all settings of a run; start the run anew")
    own = configuration.flatten(found.as_dict())
    given = configuration.flatten(config.as_dict())
    differing = [
        key
        for key in {**given, **own}
        if given.get(key) != own.get(key) and not any(f"{key}.".startswith(f"{name}.") for name in may_change)
    ]
    if differing:
        changes = "; ".join(f"{key} was {own.get(key)}, now {given.get(key)}" for key in differing)
        raise UserError(
            f"{out} was started with other settings: {changes}. To resume it with its own settings: bridgenet train {out} --resume. "
            f"To start a new run from its weights: --init-from {out} and another --out"
        )
    return found


def check_meaning(info: data.DataSetInfo, last: Path) -> None:
    """Refuse to resume a run whose labels are read in another way, or whose classes have other names or another order.

    Args:
        info: the data set, as it is described now.
        last: the checkpoint of the run; those of older versions have the names of classes alone.

    Raises:
        UserError: lists what differs.
    """
    network, information = read_description(last)
    was = {f"{task}.classes": names for task, names in network.class_names.items()}
    now: dict[str, Any] = {f"{task}.classes": list(info.class_names.get(task, ())) for task in network.class_names}
    if recorded := information.get(MEANING):
        was = {f"{task}.{key}": value for task, said in recorded.items() for key, value in said.items()}
        now = {f"{task}.{key}": value for task, said in info.meaning.items() for key, value in said.items()}
    differing = [
        f"{key} was {was.get(key, 'not there')}, now {now.get(key, 'not there')}"
        for key in {**was, **now}
        if was.get(key) != now.get(key)
    ]
    if differing:
        raise UserError(
            f"{last.parent} was started with another description of {info.title}: {'; '.join(differing)}. Restore it to "
            "resume the run, or start another run with another --out"
        )


def clear_folder(out: Path) -> None:
    """Create the folder, and delete the run in it, if any: only what a run writes."""
    out.mkdir(parents=True, exist_ok=True)
    for path in out.iterdir():
        if _is_ours(path.name) and path.name != LOCK:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def prepare_folder(
    config: RunConfig, out: Path, *, step: int, is_resumed: bool, accelerator: Accelerator
) -> list[dict[str, Any]]:
    """Create, clear or tidy the folder once every process has read what it needs from it. A collective call.

    Returns:
        The rows of metrics.jsonl up to `step`, which are kept; on the main process only.
    """
    accelerator.wait_for_everyone()
    rows: list[dict[str, Any]] = []
    if accelerator.is_main_process:
        if is_resumed:
            for path in out.iterdir():
                if PARTIAL.fullmatch(path.name):  # of a write that was killed
                    path.unlink()
            rows = truncate_rows(out / METRICS, step)
        else:
            clear_folder(out)
        settings = config.as_dict()
        settings["data"]["name"] = data.absolute(config.data.name)
        if data.info(config.data.name).needs_root:  # found from any folder
            settings["data"]["root"] = str(data.data_root(config.data.root).absolute())
        write_atomically(out / "config.yaml", yaml.safe_dump(settings, sort_keys=False))
        if problem := remember_loaded():
            warnings.warn(problem, stacklevel=2)
    accelerator.wait_for_everyone()
    return rows
