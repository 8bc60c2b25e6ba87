"""`bridgenet compare PLAN.yaml`: compares configurations over several seeds."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from bridgenet.compare.checks import check_configs, check_data
from bridgenet.compare.plan import Plan, read_plan
from bridgenet.errors import UserError
from bridgenet.system.files import write_atomically, write_json
from bridgenet.trust import trusting

if TYPE_CHECKING:
    from bridgenet.compare.runs import PlannedRun

LOCK = ".lock"
"""Lock file in the folder while its runs are trained."""


@dataclass(frozen=True)
class Outcome:
    """The results of a comparison: files and table as text, if any run is finished, and the reasons of failed runs by name."""

    files: list[Path]
    table: str
    failed: dict[str, str]


def compare(
    plan_file: str | Path,
    out: str | Path,
    *,
    root: str | None = None,
    devices: Sequence[str] = ("cpu",),
    trust: Sequence[str] = (),
    tables_only: bool = False,
    say: Callable[[str], None] = print,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Train and evaluate the unfinished runs of a plan, and write its tables.

    Writes `comparison.html`, `.md`, `.csv` and `.json`, `costs.json`, the plan, and `runs/CONFIGURATION/seed-N/`, each an
    ordinary run. It can be interrupted at any time: the next call resumes it, and finished runs are not repeated.

    Args:
        plan_file: file of the plan, see :func:`bridgenet.compare.plan.read_plan`.
        out: folder of the comparison.
        root: data root that overrides the settings. A plan's benchmark is generated in it, in `out/data` if None.
        devices: devices of the runs, see :func:`bridgenet.compare.runs.make_runs`.
        trust: modules that settings may load code from.
        tables_only: only write the tables of finished runs.

    Raises:
        UserError: the plan is invalid, or the folder holds runs of another plan.
        Interrupted: stopped by Ctrl-C; the runs have saved their state.
    """
    from bridgenet.compare.runs import RUNS, make_runs, planned_runs

    out = Path(out)
    with trusting(trust):
        plan = read_plan(plan_file)
    _check_folder(out)
    command = ["bridgenet", "compare", str(plan_file), *(["--root", root] if root else []), "--out", str(out)]
    command += ["--devices", *devices]
    if plan.benchmark is not None:
        from bridgenet.synthetic import benchmarks

        place = Path(root) if root is not None else out / "data"
        root = str(place / plan.benchmark)
    runs = planned_runs(plan, out, root)
    failed: dict[str, str] = {}
    if not tables_only:
        waiting = {run.name: run.config for run in runs if run.result is None}
        with trusting(trust):
            check_configs(waiting, devices)
        with _alone_in(out):
            if plan.benchmark is not None:
                say(f"{plan.benchmark}: generating it in {place}, or verifying existing files …")
                benchmarks.make(plan.benchmark, place)
            with trusting(trust):
                for note in check_data(waiting):
                    say(f"note: {note}")
            (out / RUNS).mkdir(exist_ok=True)
            write_atomically(out / "plan.yaml", plan.text)
            failed = make_runs(
                runs, boundaries=plan.boundaries, devices=devices, trust=trust, say=say, progress=progress
            )
    if any(run.result is not None for run in runs):
        return _write(plan, runs, out, failed, device=devices[0], command=shlex.join(command), say=say)
    if not failed:
        raise UserError(f"no run of the plan is finished in {out}")
    return Outcome([], "", failed)


def _write(
    plan: Plan,
    runs: Sequence[PlannedRun],
    out: Path,
    failed: dict[str, str],
    *,
    device: str,
    command: str,
    say: Callable[[str], None],
) -> Outcome:
    """Measure the costs of the networks on `device`, and write the tables of the finished runs, at least one."""
    from bridgenet.compare import tables
    from bridgenet.compare.results import as_data, entries_of, headlines_of, latencies_of, machines_of, measure_costs
    from bridgenet.report.page import markdown, page

    finished = sum(run.result is not None for run in runs)
    unfinished = [run.words for run in runs if run.result is None]
    shown = {run.name for run in runs if run.result is not None}
    configs = {name: config for name, config in plan.configs.items() if name in shown}
    costs = measure_costs(configs, out, device, say)
    entries, headlines = entries_of(plan, runs, costs), headlines_of(runs)
    how = [
        f"{finished} of {len(runs)} runs finished: {len(plan.configs)} configurations, seeds {', '.join(map(str, plan.seeds))}."
        + (f" Data: the synthetic benchmark {plan.benchmark}." if plan.benchmark else ""),
        *([f"Not finished: {'; '.join(unfinished)}."] if unfinished else []),
        *machines_of(run.result for run in runs if run.result is not None),
        *latencies_of(costs),
        *dict.fromkeys(f"{run.name}: {run.result['note']}." for run in runs if run.result and run.result.get("note")),
        f"Command: {command}, {time.strftime('%Y-%m-%d')}.",
    ]
    sections = tables.sections(plan, headlines, entries, how)
    subtitle = ", ".join(
        f"{count} {name}{'s' * (count != 1)}"
        for name, count in (("configuration", len(entries)), ("seed", len(plan.seeds)))
    )
    footer = "Made by bridgenet compare."
    files = [out / f"comparison{suffix}" for suffix in (".html", ".md", ".csv", ".json")]
    write_atomically(files[0], page(plan.title, subtitle, sections, footer))
    write_atomically(files[1], markdown(plan.title, subtitle, sections, footer, pictures=files[0].name))
    write_atomically(files[2], tables.csv_table(headlines, entries))
    write_json(files[3], as_data(plan, entries) | {"how": how, "failed": failed, "unfinished": unfinished})
    return Outcome(files, tables.as_text(plan, headlines, entries), failed)


def _check_folder(out: Path) -> None:
    """UserError unless the folder is empty or holds a comparison."""
    for place in (out, *out.parents):
        if place.exists() and not place.is_dir():
            raise UserError(f"{place} is a file, expected a folder for the comparison")
    entries = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if foreign := sorted(entries - {"data", LOCK}) if "runs" not in entries else []:
        raise UserError(f"{out} holds {', '.join(foreign[:3])} and no comparison; give another --out")


def _alone_in(out: Path) -> AbstractContextManager[Any]:
    """Create the folder and lock it during the context. UserError if another process has locked it."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(out / LOCK).acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another bridgenet compare is making runs in {out}. Wait for it, or give another --out"
        ) from None
