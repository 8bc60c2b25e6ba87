"""What the runs of a plan gave: means over seeds, differences, costs; as data."""

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
    """A configuration's results.

    Attributes:
        name: the configuration's.
        seeds: of its finished runs.
        scores: headline by task, spread over seeds, in the metric's own unit.
        gain: Δm over the reference's mean scores, a share; NaN where a run has other tasks than the reference.
        difference: of Δm to the configuration that all are tested against, paired by seed; None for that one itself.
        differences: by task, the relative gain of the headline in place of Δm.
        seconds, memory: training time [s] and peak of memory [bytes] of a run.
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
    """The score that stands for each task and that all finished runs have, in task order."""
    scores = [run.result["scores"] for run in runs if run.result is not None]
    names = tasks.in_order({name for values in scores for name in values})
    return {name: tasks.get(name).headline_in(*(values[name] for values in scores if name in values)) for name in names}


def entries_of(plan: Plan, runs: Sequence[PlannedRun], costs: dict[str, dict[str, Any]]) -> list[Entry]:
    """Results of the configurations that have any, in the plan's order."""
    shown = headlines_of(runs)
    found: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in plan.configs}
    for run in runs:
        if run.result is not None:
            found[run.name][run.seed] = run.result

    def headline_scores(result: dict[str, Any]) -> Scores:
        """The headlines alone, so that gains are over what the table shows."""
        return {
            task: {headline.key: _number(result["scores"].get(task, {}).get(headline.key))}
            for task, headline in shown.items()
        }

    reference = [headline_scores(result) for result in found[plan.reference].values()]
    mean: Scores = {
        task: {headline.key: spread([scores[task][headline.key] for scores in reference]).mean}
        for task, headline in shown.items()
    }
    by_seed = {
        name: {seed: headline_scores(result) for seed, result in results.items()} for name, results in found.items()
    }
    gain = {
        name: {seed: _relative_gain(scores, mean) for seed, scores in results.items()}
        for name, results in by_seed.items()
    }
    task_gains = {
        name: {seed: gains(scores, mean) for seed, scores in results.items()} for name, results in by_seed.items()
    }
    entries = []
    for name, results in found.items():
        if not results:
            continue
        common = [seed for seed in results if seed in found[plan.against]]
        is_other = name != plan.against
        entries.append(
            Entry(
                name=name,
                seeds=tuple(results),
                scores={
                    task: spread([scores[task][headline.key] for scores in by_seed[name].values()])
                    for task, headline in shown.items()
                },
                gain=spread(list(gain[name].values())),
                difference=_paired(gain[name], gain[plan.against], common) if is_other else None,
                differences={
                    task: paired(
                        [task_gains[name][seed].get(task, math.nan) for seed in common],
                        [task_gains[plan.against][seed].get(task, math.nan) for seed in common],
                    )
                    for task in shown
                    if is_other
                },
                seconds=spread([_number(result["seconds"]) for result in results.values()]),
                memory=spread([_number(result["memory"]) for result in results.values()]),
                cost=costs.get(name, {}),
            )
        )
    return entries


def _relative_gain(scores: Scores, reference: Scores) -> float:
    """Δm; NaN unless both have numbers of the same tasks, as a mean over others would be of something else."""

    def numbers(side: Scores) -> set[str]:
        return {task for task, values in side.items() if all(map(math.isfinite, values.values()))}

    return relative_gain(scores, reference) if numbers(scores) == numbers(reference) != set() else math.nan


def _paired(values: dict[int, float], others: dict[int, float], seeds: Sequence[int]) -> Difference:
    return paired([values[seed] for seed in seeds], [others[seed] for seed in seeds])


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def machines_of(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """What trained the runs, each machine once."""
    found = (f"Training: {each['at_once']} at a time, each on {_as_sentence(each['machine'])}" for each in results)
    return list(dict.fromkeys(found))


def latencies_of(costs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What measured the networks' latencies, each machine once; which networks, if there are several."""
    machines: dict[str, list[str]] = {}
    for name, cost in costs.items():
        machines.setdefault(_as_sentence(cost["machine"]), []).append(name)
    several = len(machines) > 1
    return [
        f"Latency of {', '.join(names)}: {machine}" if several else f"Latency: {machine}"
        for machine, names in machines.items()
    ]


def _as_sentence(machine: str) -> str:
    """The lines of :func:`bridgenet.benchmark.machine.in_words` as one."""
    return f"{'; '.join(machine.splitlines())}."


def measure_costs(
    configs: Mapping[str, RunConfig], out: Path, device: str, say: Any = print
) -> dict[str, dict[str, Any]]:
    """Parameters, GMAC and latency of each configuration's network; kept in `costs.json`, measured once."""
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
    """Plain JSON types."""
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
