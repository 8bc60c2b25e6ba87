"""The results of a plan's runs as data: means over seeds, differences and costs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bridgenet import tasks
from bridgenet.benchmark.cases import Case
from bridgenet.benchmark.cost import count
from bridgenet.benchmark.inference import measure_inference
from bridgenet.benchmark.isolation import Failed, isolated
from bridgenet.benchmark.machine import describe, in_words, versions
from bridgenet.compare.plan import Plan
from bridgenet.compare.runs import PlannedRun
from bridgenet.compare.statistics import Difference, Spread, paired, spread
from bridgenet.config.resolved import network_size
from bridgenet.config.settings import RunConfig
from bridgenet.system.files import write_json
from bridgenet.tasks import Headline
from bridgenet.tasks.scores import Scores, gains, relative_gain

COSTS = "costs.json"


@dataclass(frozen=True)
class Entry:
    """The results of a configuration.

    Attributes:
        name: name of the configuration.
        seeds: seeds of its finished runs.
        scores: headline by task over the seeds, in the unit of the metric.
        gain: Δm over the reference's mean scores, a fraction; NaN where a run has other tasks than the reference.
        difference: difference of Δm to the configuration that all are tested against, paired by seed; None for that one.
        differences: the same by task, for the relative gain of the headline.
        seconds, memory: training time [s] and peak memory [bytes] of a run.
        cost: `parameters`, `gmac` and `latency` [s] of one image at the training size; None where it was not measured.
    """

    name: str
    seeds: tuple[int, ...]
    scores: dict[str, Spread]
    gain: Spread
    difference: Difference | None
    differences: dict[str, Difference]
    seconds: Spread
    memory: Spread
    cost: dict[str, float | None]


def headlines_of(runs: Sequence[PlannedRun]) -> dict[str, Headline]:
    """The headline of each task that all finished runs have, in task order."""
    scores = [run.result["scores"] for run in runs if run.result is not None]
    names = tasks.in_order({name for values in scores for name in values})
    return {name: tasks.get(name).headline_in(*(values[name] for values in scores if name in values)) for name in names}


def entries_of(plan: Plan, runs: Sequence[PlannedRun], costs: dict[str, dict[str, Any]]) -> list[Entry]:
    """The results of all configurations with finished runs, in the plan's order."""
    shown = headlines_of(runs)
    found: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in plan.configs}
    for run in runs:
        if run.result is not None:
            found[run.name][run.seed] = run.result

    def headline_scores(result: dict[str, Any]) -> Scores:
        """Only the headlines, so that gains are computed from what the table shows."""
        return {
            task: {headline.key: _number(result["scores"].get(task, {}).get(headline.key))}
            for task, headline in shown.items()
        }

    scores = {
        name: {seed: headline_scores(result) for seed, result in results.items()} for name, results in found.items()
    }

    def over_seeds(name: str, task: str) -> Spread:
        return spread([own[task][shown[task].key] for own in scores[name].values()])

    reference: Scores = {task: {shown[task].key: over_seeds(plan.reference, task).mean} for task in shown}
    relative = {
        name: {seed: gains(own, reference) | {"Δm": _relative_gain(own, reference)} for seed, own in results.items()}
        for name, results in scores.items()
    }

    def difference(name: str, what: str) -> Difference:
        """The difference of a task's gain, or of Δm, to the configuration that all are tested against."""
        seeds = [seed for seed in found[name] if seed in found[plan.against]]
        own, other = ([relative[side][seed].get(what, math.nan) for seed in seeds] for side in (name, plan.against))
        return paired(own, other)

    return [
        Entry(
            name=name,
            seeds=tuple(results),
            scores={task: over_seeds(name, task) for task in shown},
            gain=spread([own["Δm"] for own in relative[name].values()]),
            difference=difference(name, "Δm") if name != plan.against else None,
            differences={task: difference(name, task) for task in shown if name != plan.against},
            seconds=spread([_number(result["seconds"]) for result in results.values()]),
            memory=spread([_number(result["memory"]) for result in results.values()]),
            cost=costs.get(name, {}),
        )
        for name, results in found.items()
        if results
    ]


def _relative_gain(scores: Scores, reference: Scores) -> float:
    """Δm; NaN unless both have scores of the same tasks, since means over different tasks cannot be compared."""

    def numbers(side: Scores) -> set[str]:
        return {task for task, values in side.items() if all(map(math.isfinite, values.values()))}

    return relative_gain(scores, reference) if numbers(scores) == numbers(reference) != set() else math.nan


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def machines_of(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """Texts on the machines that trained the runs."""
    found = (f"Training: {each['at_once']} at a time, each on {_as_sentence(each['machine'])}" for each in results)
    return list(dict.fromkeys(found))


def latencies_of(costs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Texts on the machines that measured the latencies; with the networks if there are several machines."""
    machines: dict[str, list[str]] = {}
    for name, cost in costs.items():
        machines.setdefault(_as_sentence(cost["machine"]), []).append(name)
    several = len(machines) > 1
    return [
        f"Latency of {', '.join(names)}: {machine}" if several else f"Latency: {machine}"
        for machine, names in machines.items()
    ]


def _as_sentence(machine: str) -> str:
    """The lines of :func:`bridgenet.benchmark.machine.in_words` as one sentence."""
    return f"{'; '.join(machine.splitlines())}."


def measure_costs(
    configs: Mapping[str, RunConfig], out: Path, device: str, say: Any = print
) -> dict[str, dict[str, Any]]:
    """Measure parameters, GMAC and latency of each configuration's network once; they are kept in `costs.json`."""
    file = out / COSTS
    kind = device.partition(":")[0]
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    for name, config in configs.items():
        size = network_size(config)
        settings = json.loads(json.dumps([config.as_dict()["network"], config.data.tasks, size, device]))
        if (old := kept.get(name, {})).get("settings") == settings and old["latency"] is not None:
            continue
        say(f"measuring {name} …")
        counted = count(config, size)
        case = Case(kind="inference", network=name, config=config, size=size, device=device, side=512)
        try:
            seconds = isolated(measure_inference, case)["seconds"]["median"]
        except Failed as error:
            say(f"! the latency of {name} was not measured: {error}")
            seconds = None
        kept[name] = {
            "settings": settings,
            "parameters": counted.parameters,
            "gmac": counted.gmac,
            "latency": seconds,
            "machine": in_words(describe([kind]), versions()),
        }
        write_json(file, kept)
    return {name: kept[name] for name in configs}


def as_data(plan: Plan, entries: Sequence[Entry]) -> dict[str, Any]:
    """The comparison as plain JSON types."""
    return {
        "title": plan.title,
        "benchmark": plan.benchmark,
        "reference": plan.reference,
        "against": plan.against,
        "seeds": list(plan.seeds),
        "entries": [
            asdict(entry)
            | {
                "verdict": entry.difference.verdict if entry.difference else None,
                "cost": {key: value for key, value in entry.cost.items() if key not in ("settings", "machine")},
            }
            for entry in entries
        ],
    }
