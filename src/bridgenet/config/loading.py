"""Reads the settings of a run from presets, YAML files and the command line."""

from __future__ import annotations

import types
import typing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from bridgenet import extensions, tasks
from bridgenet.config.recorded import check_code
from bridgenet.config.settings import NetworkSettings, RunConfig
from bridgenet.errors import UserError, nearest
from bridgenet.model.decoders import wrong_options
from bridgenet.model.description import Part
from bridgenet.model.legacy import in_parts
from bridgenet.system.text_files import read_text
from bridgenet.system.validation import fields_of, is_possible, keys, lines, validated
from bridgenet.system.yaml_text import load_yaml

KEYS: dict[str, bool] = keys(RunConfig)
"""Dotted name of every setting → whether it is a group of others."""
MOST_BYTES = 10_000_000
"""The largest file of settings that is read: others are pictures or weights."""
LEAVES = [key for key, is_group in KEYS.items() if not is_group]
_PARTS = [f"network.{name}" for name, kind in fields_of(NetworkSettings).items() if kind is Part]


def presets() -> list[str]:
    """The names of the presets of the package."""
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
    """Read the configuration of a preset, YAML file or run folder, changed by command-line overrides.

    Args:
        source: preset name, path of a YAML file, path of a run folder, or None for the defaults.
        overrides: settings as on the command line, e.g. `["--optimizer.lr", "1e-5"]`; hyphens and underscores are equal.
        changes: settings as in a file that override the source's in turn, by the name that errors give them.
        folder: folder that is also searched for the data descriptions that `changes` name.

    Raises:
        UserError: the source does not exist; or lists all mistakes in file, changes and overrides.
    """
    from bridgenet import data

    layers: list[tuple[str, Mapping[str, Any], Path]] = [_read(source)] if source is not None else []
    layers += [(f"{name}: ", values, folder or Path()) for name, values in (changes or {}).items()]
    flags = {key: (name, value) for name, key, value in _overrides(overrides)}  # of a flag given twice, the last one
    layers += [(name, _nested(key, value), Path()) for key, (name, value) in flags.items()]
    is_recorded, is_preset = source is not None and Path(source).is_dir(), str(source) in presets()
    network = NetworkSettings()
    values: dict[str, Any] = {"network": {"backbone": network.backbone, "decoder": network.decoder}}
    config, known, wrong = RunConfig(), [], []
    if is_recorded:
        check_code(_modern(layers[0][1], layers[0][2], ""), Path(str(source)) / "config.yaml")
    for number, (where, layer, beside) in enumerate(layers):
        values = _merged(values, _modern(layer, beside, "" if number == 0 and is_recorded else where))
        found, problems = validated(RunConfig, values)
        if number or not is_preset:  # the options of presets are valid, and checking them imports the decoder
            problems += _wrong_decoder(values)
        problems += _wrong_names(values)
        wrong += [_located(where, problem) for problem in problems if problem not in known]
        known += problems
        config = found or config
    if wrong:
        raise UserError(lines(wrong))
    config.data.name = data.absolute(config.data.name)
    return config


def _located(where: str, problem: str) -> str:
    """The text of a problem in a file, or in the flag `where`, which is named as typed."""
    if not where.startswith("--"):
        return where + problem
    if not problem.startswith("unknown key "):
        return f"--{problem}"
    key = problem.split()[2]
    typed = where if _key(where) == key else f"--{key}"
    return f"unknown option {typed}{problem.removeprefix(f'unknown key {key}').replace('mean ', 'mean --')}"


def _key(name: str) -> str:
    """The dotted name of a flag: hyphens and underscores are equal."""
    return name[2:].replace("-", "_")


def _wrong_decoder(values: Mapping[str, Any]) -> list[str]:
    network = values["network"]
    decoder = network.get("decoder") if isinstance(network, Mapping) else None
    if not isinstance(decoder, Mapping) or not isinstance(decoder.get("name"), str):
        return []  # reported already
    part = Part(decoder)
    return wrong_options(part.name, part.arguments)


def _read(source: str | Path) -> tuple[str, dict[str, Any], Path]:
    """Read a preset, YAML file or run folder; returns the prefix of its errors, its content, and its folder."""
    path = Path(source)
    if path.is_dir():
        path = path / "config.yaml"
        if not path.is_file():
            raise UserError(f"{source} is not a run folder (looked for {path.name} in it)")
    if path.is_file():
        if (size := path.stat().st_size) > MOST_BYTES:
            raise UserError(f"{path} has {size} bytes, expected a YAML file of settings, at most {MOST_BYTES}")
        text = read_text(path)
        if Path(source).is_dir() and not text.endswith("\n"):  # as a run writes it; half a file may be valid YAML
            raise UserError(f"{path} is damaged: its end is missing")
    elif str(source) in presets():
        text = (_preset_folder() / f"{source}.yaml").read_text(encoding="utf-8")
    else:
        hint = nearest(str(source), presets())
        raise UserError(f"{source} is neither a preset{hint} nor a file (presets: {', '.join(presets())})")
    try:
        values = load_yaml(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if values is None:  # nothing but comments
        values = {}
    if not isinstance(values, dict):
        raise UserError(f"{path} holds a {type(values).__name__}, expected settings like 'steps: 1000'")
    return f"{path}: ", values, path.parent


def _modern(values: Mapping[Any, Any], folder: Path, where: str) -> dict[Any, Any]:
    """Settings in the current format, with data descriptions found in `folder`. Warns of old names if `where` is given."""
    found = dict(values)
    if isinstance(found.get("network"), Mapping):
        found["network"], renamed = in_parts(found["network"])
        if renamed and where:
            file = "" if where.startswith("--") else where
            warnings.warn(f"{file}{'; '.join(renamed)}. The old names go with the next version", stacklevel=3)
    group = found.get("data")
    group = {"name": group} if isinstance(group, str | list) else group
    if isinstance(group, Mapping) and "name" in group:
        group = {**group, "name": _beside(group["name"], folder)}
    return {**found, "data": group} if "data" in found else found


def _beside(names: Any, folder: Path) -> Any:
    """Names of data sets; descriptions that only exist in the configuration's `folder` are replaced by their path there."""
    from bridgenet import data

    if isinstance(names, list):
        return [_beside(name, folder) for name in names]
    if not isinstance(names, str) or not is_possible(names) or names in data.DATASETS or Path(names).exists():
        return names
    path = data.description_path(str(folder / names))
    return str(path) if path is not None and path.is_file() else names


def _merged(values: Mapping[Any, Any], changes: Mapping[Any, Any], prefix: str = "") -> dict[Any, Any]:
    """Apply changes to settings. The arguments of a backbone or decoder are kept unless its name changes."""
    merged = dict(values)
    for key, value in changes.items():
        before, name = merged.get(key, {}), f"{prefix}{key}"
        if name in _PARTS and isinstance(value, str):
            value = {"name": value}
        if not (isinstance(value, Mapping) and isinstance(before, Mapping)):
            merged[key] = value
        elif KEYS.get(name):
            merged[key] = _merged(before, value, f"{name}.")
        elif isinstance(value, _Entry) or (
            name in _PARTS and value.get("name", before.get("name")) == before.get("name")
        ):
            merged[key] = {**before, **value}
        else:
            merged[key] = value
    return merged


class _Entry(dict[str, Any]):
    """A single entry of a mapping, as of `--loss.weights.edge 70`: the other entries are kept."""


def _overrides(words: Sequence[str]) -> Iterator[tuple[str, str, Any]]:
    """Parse `--NAME VALUE` or `--NAME=VALUE` to flag, dotted name and value. UserError for anything else."""
    left = iter(words)
    for word in left:
        name, equals, text = word.partition("=")
        if not name.startswith("--"):
            raise UserError(f"unexpected {word}, settings are given as --NAME VALUE")
        if not equals and (text := next(left, "--")).startswith("--"):
            raise UserError(f"{name}: expected a value")
        key = "data.name" if name == "--data" else _key(name)
        yield name, key, _value(key, text)


def _value(key: str, text: str) -> Any:
    """Parse a value of the command line: as it is for settings of type text, else as YAML."""
    if text in ("null", "~"):
        return None
    kind = _annotation(key)
    takes = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    takes_text = any(typing.get_origin(one) is typing.Annotated and typing.get_args(one)[0] is str for one in takes)
    takes_list = any(typing.get_origin(one) is list for one in takes)
    if (takes_text or str in takes) and not (takes_list and text.startswith("[")):
        return text
    try:
        return load_yaml(text)
    except yaml.YAMLError:
        return text


def _annotation(key: str) -> Any:
    kind: Any = RunConfig
    for name in key.split("."):
        kind = fields_of(kind).get(name) if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__") else None
    return kind


def _nested(key: str, value: Any) -> dict[str, Any]:
    """Nested mappings for a dotted name."""
    names = key.split(".")
    nested = value
    for depth in range(len(names) - 1, -1, -1):
        nested = (_Entry if depth and ".".join(names[:depth]) in LEAVES else dict)({names[depth]: nested})
    return nested


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a complete configuration (`RunConfig.as_dict`) to settings by dotted name, as flags name them."""
    settings: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if KEYS.get(name):
            settings |= flatten(value, f"{name}.")
        elif name in _PARTS:
            settings[name] = value["name"]
            settings |= {f"{name}.{argument}": x for argument, x in value.items() if argument != "name"}
        else:
            settings[name] = value
    return settings


def _wrong_names(values: Mapping[str, Any]) -> list[str]:
    """Report unknown names of tasks and data sets."""
    from bridgenet import data

    def given(key: str) -> Any:
        group, _, name = key.rpartition(".")
        inside = values.get(group) if group else values
        return inside.get(name) if isinstance(inside, Mapping) else None

    problems: list[str] = []
    names = [name for name in _as_list(given("data.name")) if isinstance(name, str) and is_possible(name)]
    for name in names:
        path = data.description_path(name)
        if (path is not None and path.is_file()) or extensions.is_path(name):
            try:
                data.get(name)  # registers its own tasks
            except UserError as error:
                problems += str(error).split("\n       ")
        elif path is not None:
            return problems  # opening it reports the problem; its tasks are unknown
    listed = [task for task in _as_list(given("data.tasks")) if isinstance(task, str)]
    problems += [f"data.tasks names {task} twice" for task in sorted({x for x in listed if listed.count(x) > 1})]
    for key in ("data.tasks", "loss.weights", "loss.functions", "metrics"):
        problems += [
            f"{key}: '{task}' is not a task{nearest(str(task), tasks.names())} ({', '.join(tasks.names())})"
            for task in _as_list(given(key))
            if task not in tasks.names()
        ]
    problems += [
        f"data.name: '{name}' is not a data set{nearest(name, data.DATASETS)} ({', '.join(data.DATASETS)}, "
        "the YAML file that describes a folder, or package.module:Class)"
        for name in names
        if name not in data.DATASETS and data.description_path(name) is None and not extensions.is_path(name)
    ]
    return problems


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | Mapping) else [] if value is None else [value]
