"""Settings of a run (:mod:`bridgenet.config.settings`) from a preset or YAML and the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from bridgenet import extensions, tasks
from bridgenet.config.settings import (
    DataSettings,
    LossSettings,
    NetworkSettings,
    OptimizerSettings,
    RunConfig,
    wrong_numbers,
)
from bridgenet.errors import UserError, nearest
from bridgenet.system.yaml_text import load_yaml


def _keys(settings: type, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Dotted names of all settings, and whether a setting is a group of others."""
    for entry in dataclasses.fields(settings):
        group = _GROUPS.get(str(entry.type))
        yield prefix + entry.name, group is not None
        if group is not None:
            yield from _keys(group, f"{prefix}{entry.name}.")


_GROUPS: dict[str, type] = {
    group.__name__: group for group in (NetworkSettings, DataSettings, OptimizerSettings, LossSettings)
}
KEYS: dict[str, bool] = dict(_keys(RunConfig))
"""Dotted name of every setting → whether it is a group of others."""
LEAVES = [key for key, is_group in KEYS.items() if not is_group]


def presets() -> list[str]:
    """Names of the presets that come with the package."""
    return sorted(path.name.removesuffix(".yaml") for path in _preset_folder().iterdir() if path.name.endswith(".yaml"))


def _preset_folder() -> Any:
    return resources.files("bridgenet.config") / "presets"


def load(
    source: str | Path | None,
    overrides: Sequence[str] = (),
    *,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    folder: Path | None = None,
) -> RunConfig:
    """The configuration of a preset, a YAML file or a run folder, changed by command-line overrides.

    Args:
        source: preset name, path of a YAML file, path of a run folder, or None for the defaults.
        overrides: as on the command line, e.g. `["--optimizer.lr", "1e-5"]`; hyphens and underscores are the same.
        changes: settings as in a file that change the source's, one after another, by what errors call them.
        folder: where descriptions of data that `changes` name are looked for, too.

    Raises:
        UserError: nothing of that name; all that is wrong in file and changes, together; what is wrong on the command line.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    from bridgenet import data

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(RunConfig, as_group=False)
    layers = [_read(source)] if source is not None else []
    layers += [(name, _with_data(values, folder or Path())) for name, values in (changes or {}).items()]
    wrong: list[str] = []
    for name, values in layers:
        settings, problems = _flatten(values)
        problems += _wrong_values(parser, settings) + _wrong_names(settings)
        wrong += [f"{name}: {problem}" for problem in problems]
        if not problems:
            parser.set_defaults(settings)
    if wrong:
        raise UserError("\n       ".join(wrong))
    try:
        parsed = parser.parse_args(_arguments(overrides))
        config = RunConfig(**vars(parser.instantiate(parsed)))
    except ArgumentError as error:
        raise UserError(f"--{_in_words(error)}") from None
    chosen = {
        "data.tasks": config.data.tasks,
        "data.name": config.data.name,
        "loss.weights": config.loss.weights,
        "loss.functions": config.loss.functions,
        "metrics": config.metrics,
    }
    problems = _wrong_names(chosen) + wrong_numbers(config)
    if problems:
        where = f"{list(changes)[-1]}: " if changes else ""
        raise UserError("\n       ".join(where + problem for problem in problems))
    config.data.name = data.absolute(config.data.name)
    return config


def _read(source: str | Path) -> tuple[str, dict[str, Any]]:
    """The name to use in errors and the content of a preset, YAML file or run folder."""
    path = Path(source)
    if path.is_dir():
        path = path / "config.yaml"
        if not path.is_file():
            raise UserError(f"{source} is not a run folder (looked for {path.name} in it)")
    if path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
    elif str(source) in presets():
        text = (_preset_folder() / f"{source}.yaml").read_text(encoding="utf-8")
    else:
        hint = nearest(str(source), presets())
        raise UserError(f"{source} is neither a preset{hint} nor a file (presets: {', '.join(presets())})")
    try:
        values = load_yaml(text) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{source} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{source} holds a {type(values).__name__}, expected settings like 'steps: 1000'")
    return str(source), _with_data(values, path.parent)


def _with_data(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Settings whose `data` is a group, descriptions of data found in `folder`."""
    found = values.get("data")
    group = {"name": found} if isinstance(found, str | list) else found
    if isinstance(group, Mapping) and "name" in group:
        group = {**group, "name": _beside(group["name"], folder)}
    return {**values, "data": group} if "data" in values else dict(values)


def _beside(names: Any, folder: Path) -> Any:
    """Names of data sets, descriptions that are not here but in the configuration's `folder` by their path there."""
    from bridgenet import data

    if isinstance(names, list):
        return [_beside(name, folder) for name in names]
    if not isinstance(names, str) or names in data.DATASETS or Path(names).exists():
        return names
    path = data.description_path(str(folder / names))
    return str(path) if path is not None and path.is_file() else names


def _flatten(values: Mapping[Any, Any], prefix: str = "") -> tuple[dict[str, Any], list[str]]:
    """Settings by dotted name, and what is wrong with the names."""
    settings: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if name not in KEYS:
            problems.append(f"unknown key {name}{nearest(name, KEYS)}")
        elif not KEYS[name]:
            settings[name] = value
        elif isinstance(value, Mapping):
            inner, inner_problems = _flatten(value, f"{name}.")
            settings |= inner
            problems += inner_problems
        else:
            problems.append(f"{name} is {value!r}, expected a group of settings")
    return settings, problems


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a whole configuration (`RunConfig.as_dict`) by dotted name."""
    return _flatten(values)[0]


def _wrong_values(parser: Any, settings: Mapping[str, Any]) -> list[str]:
    """Settings by dotted name whose values are of another kind. All are parsed at once, and singly only to tell the wrong ones."""
    from jsonargparse import ArgumentError

    try:
        parser.parse_object(_nested(settings))
    except ArgumentError as error:
        together = _in_words(error)
    else:
        return []
    problems = []
    for key, value in settings.items():
        try:
            parser.parse_object(_nested({key: value}))
        except ArgumentError as error:
            problems.append(_in_words(error))
    return problems or [together]


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Groups in place of dotted names."""
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        *groups, name = key.split(".")
        inner = nested
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[name] = value
    return nested


def _arguments(overrides: Sequence[str]) -> list[str]:
    """The overrides with underscores in names; UserError for names that are not settings."""
    arguments = []
    for given in overrides:
        name, equals, value = given.partition("=")
        name = "--data.name" if name == "--data" else name
        if given.startswith("--"):
            key = name[2:].replace("-", "_")
            if not any(key == known or key.startswith(f"{known}.") for known in LEAVES):
                raise UserError(f"unknown option {name}{nearest(key, LEAVES).replace('mean ', 'mean --')}")
            name = f"--{key}"
        arguments.append(name + equals + value)
    return arguments


def _in_words(error: Exception) -> str:
    """jsonargparse's message in one line: `optimizer.lr: Expected a <class 'float'>. Got value: x`."""
    return " ".join(str(error).split()).removeprefix("Parser key ").replace('"', "")


def _wrong_names(settings: Mapping[str, Any]) -> list[str]:
    """Names that mean nothing: of tasks and of the data set."""
    from bridgenet import data

    problems: list[str] = []
    for name in _as_list(settings.get("data.name") or []):
        path = data.description_path(name)
        if (path is not None and path.is_file()) or extensions.is_path(name):
            try:
                data.get(name)  # makes its own tasks known
            except UserError as error:
                problems += str(error).split("\n       ")
        elif path is not None:
            return problems  # opening it says what is wrong; its tasks are not known
    for key in ("data.tasks", "loss.weights", "loss.functions", "metrics"):
        problems += [
            f"{'tasks' if key == 'data.tasks' else key}: '{task}' is not a task{nearest(str(task), tasks.names())} "
            f"({', '.join(tasks.names())})"
            for task in settings.get(key) or ()
            if task not in tasks.names()
        ]
    for name in _as_list(settings.get("data.name") or []):
        if name not in data.DATASETS and data.description_path(name) is None and not extensions.is_path(name):
            problems.append(
                f"data.name: '{name}' is not a data set{nearest(str(name), data.DATASETS)} ({', '.join(data.DATASETS)}, "
                "the YAML file that describes a folder, or package.module:Class)"
            )
    return problems


def _as_list(value: Any) -> list[str]:
    return [str(entry) for entry in value] if isinstance(value, list | tuple) else [str(value)]
