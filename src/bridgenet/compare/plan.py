"""Plans of comparisons: YAML files with configurations, common settings and seeds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from annotated_types import Ge, Lt, MinLen

from bridgenet import config as configuration
from bridgenet.config.settings import RunConfig
from bridgenet.errors import UserError, nearest
from bridgenet.system.text_files import read_text
from bridgenet.system.validation import Words, lines, strict, validated
from bridgenet.system.yaml_text import load_yaml

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]*")
_SEEDS = Words("different whole numbers below 2**32, e.g. [0, 1, 2]")


@strict
@dataclass
class _File:
    """The content of the file; :func:`read_plan` describes it."""

    configurations: Annotated[dict[str, Any], MinLen(1), Words("at least one, by name")]
    title: Any = None
    benchmark: Any = None
    base: Annotated[str | None, Words("a preset or a YAML file")] = None
    settings: Any = None
    seeds: Annotated[list[Annotated[int, Ge(0), Lt(2**32)]], MinLen(1), _SEEDS] = field(default_factory=list)
    boundaries: bool = True
    reference: Any = None
    against: Any = None


@dataclass(frozen=True)
class Plan:
    """A comparison.

    Attributes:
        title: heading of the tables.
        benchmark: synthetic benchmark that the runs are trained and evaluated on, generated if it does not exist; None if
            the settings name the data.
        seeds: seeds of the runs of each configuration, in the plan's order.
        boundaries: evaluate odsF of the edge task, too.
        reference: name of the configuration that Δm is relative to.
        against: name of the configuration that all others are tested against.
        configs: settings by the configuration's name, in the plan's order; the seed is the first one's.
        text: content of the file.
    """

    title: str
    benchmark: str | None
    seeds: tuple[int, ...]
    boundaries: bool
    reference: str
    against: str
    configs: dict[str, RunConfig]
    text: str


def read_plan(path: str | Path) -> Plan:
    """Read and check a plan.

    It holds `configurations` (by name, settings as of a preset, e.g. `{network: {decoder: multi_task}}`) and may hold
    `base` (a preset or YAML file that all start from, its path relative to the plan's), `settings` (changes for all),
    `seeds` (0, 1 and 2 if not given), `benchmark`, `boundaries`, `reference` and `against` (the first configuration each)
    and `title`.

    Raises:
        UserError: lists all mistakes in the plan.
    """
    from bridgenet.synthetic.benchmarks import BENCHMARKS

    path = Path(path)
    text = read_text(path)
    try:
        values = load_yaml(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if values is None:
        raise UserError(f"{path} is empty, expected a plan with 'configurations'")
    if not isinstance(values, dict):
        raise UserError(f"{path} holds a {type(values).__name__}, expected a plan with 'configurations'")
    problems = validated(_File, values)[1]
    entries = values.get("configurations")
    if not isinstance(entries, dict):
        entries = {}
    seeds = values.get("seeds", [0, 1, 2])
    if isinstance(seeds, list) and len(set(map(str, seeds))) < len(seeds):
        problems.append(f"seeds is {seeds!r}, expected {_SEEDS.text}")
    problems += [
        f"configurations: '{name}' is no name that a folder may have"
        if isinstance(name, str)
        else f"configurations: {name!r} is no text, put the name in quotes"
        for name in entries
        if not _is_name(name)
    ]
    lower = [str(name).lower() for name in entries]
    problems += [
        f"configurations: '{name}' is there in other letters, too; some disks take both for one folder"
        for number, name in enumerate(entries)
        if lower[number] in lower[:number]
    ]
    first = next(iter(entries), "")
    reference, against = (values.get(key, first) for key in ("reference", "against"))
    for key, name in (("reference", reference), ("against", against)):
        if entries and not (isinstance(name, str) and name in entries):
            problems.append(f"{key}: '{name}' is not a configuration{nearest(str(name), map(str, entries))}")
    benchmark = values.get("benchmark")
    layout = None
    if isinstance(benchmark, str) and benchmark in BENCHMARKS:
        layout = BENCHMARKS[benchmark].layout
    elif benchmark is not None:
        problems.append(
            f"benchmark: '{benchmark}' is not one{nearest(str(benchmark), BENCHMARKS)} ({', '.join(BENCHMARKS)})"
        )
    base = values.get("base")
    base = base if isinstance(base, str) else None
    configs, found = _configs(entries, base, values.get("settings"), path.parent, layout)
    problems += found
    if problems:
        raise UserError(lines(dict.fromkeys(problems), f"{path}: "))
    return Plan(
        title=str(values.get("title") or path.stem),
        benchmark=benchmark,
        seeds=tuple(seeds),
        boundaries=values.get("boundaries", True),
        reference=reference,
        against=against,
        configs=configs,
        text=text,
    )


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None and not name.endswith((".", " "))


def _configs(
    entries: Mapping[Any, Any], base: str | None, common: Any, folder: Path, layout: str | None
) -> tuple[dict[str, RunConfig], list[str]]:
    """The settings of all valid configurations, and the mistakes in the others, each once.

    `layout`: data set of the plan's benchmark, if it has one.
    """
    configs: dict[str, RunConfig] = {}
    problems: list[str] = []  # of base or settings, the same for all
    wrong: dict[str, list[str]] = {}  # names of configurations by what is wrong with them
    for name, changes in entries.items():
        where = f"configurations.{name}"
        try:
            configs[name] = _config(base, {"settings": common, where: changes}, folder)
        except UserError as error:
            for line in map(str.strip, str(error).splitlines()):
                if line.startswith(f"{where}: "):
                    wrong.setdefault(line.removeprefix(f"{where}: "), []).append(name)
                else:
                    problems.append(line)
        else:
            if layout is not None and configs[name].data.name != layout:
                line = f"data.name is {configs[name].data.name}, but the benchmark is {layout}"
                wrong.setdefault(line, []).append(name)
    for line, names in wrong.items():
        everywhere = len(names) == len(entries) > 1
        problems += [f"all configurations: {line}"] if everywhere else [f"configurations.{x}: {line}" for x in names]
    return configs, problems


def _config(base: str | None, groups: Mapping[str, Any], folder: Path) -> RunConfig:
    """The settings of one configuration: the base's, changed by each of `groups` in turn."""
    for where, group in groups.items():
        if not isinstance(group, Mapping | None):
            raise UserError(f"{where}: {group!r} is no group of settings")
        if group and "seed" in group:
            raise UserError(f"{where}: seed is not for a configuration: seeds stand beside them")
    source = base if base is None or not (folder / base).is_file() else folder / base
    return configuration.load(source, changes={where: group or {} for where, group in groups.items()}, folder=folder)
