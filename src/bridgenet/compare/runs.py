"""Trains the unfinished runs of a plan, each in its own process, one at a time on each device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bridgenet.compare.job import INTERRUPTED, RESULT, Job
from bridgenet.compare.plan import Plan
from bridgenet.config.settings import RunConfig
from bridgenet.data.info import DATA_VARIABLE
from bridgenet.errors import UserError
from bridgenet.system.files import write_json
from bridgenet.system.parallel import cores
from bridgenet.training.folder import MAY_CHANGE, check_settings
from bridgenet.training.rows import METRICS, read_rows
from bridgenet.training.run import Interrupted

RUNS = "runs"
POLL = 0.5
"""Interval between checks of the processes [s]."""

DECIDE_SCORES = {"network.pretrained", "network.backbone_checkpoint", "steps"}
"""Settings that may change when a run is resumed, but that change its scores."""

Say = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PlannedRun:
    """A configuration with a seed, and the folder of its run."""

    name: str
    seed: int
    config: RunConfig
    folder: Path

    @property
    def words(self) -> str:
        return f"{self.name}, seed {self.seed}"

    @property
    def result(self) -> dict[str, Any] | None:
        """The content of `result.json`; None while the run is unfinished."""
        try:
            result = json.loads((self.folder / RESULT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return result if isinstance(result, dict) and "scores" in result else None

    def steps_done(self) -> int:
        """The number of finished steps in its log, for display."""
        rows = read_rows(self.folder / METRICS)
        return rows[-1]["step"] if rows else 0


def planned_runs(plan: Plan, out: Path, root: str | None) -> list[PlannedRun]:
    """All runs of a plan, seed by seed, so that every configuration has a result early.

    Args:
        root: data root, in place of the settings'; None: theirs.

    Raises:
        UserError: a run that is there was made with other settings, or, of a plan without a benchmark, from another data root.
    """
    found = []
    for seed in plan.seeds:
        for name, config in plan.configs.items():
            own = replace(config, seed=seed)
            if root is not None:
                own = replace(own, data=replace(own.data, root=root))
            run = PlannedRun(name, seed, own, out / RUNS / name / f"seed-{seed}")
            if (run.folder / "config.yaml").is_file():
                try:
                    before = check_settings(own, run.folder, MAY_CHANGE - DECIDE_SCORES)
                except UserError as error:
                    words = str(error).partition(" To resume it")[0]
                    raise UserError(f"{words} Give another --out, or delete that folder to make it again") from None
                _check_data_root(run, before.data.root, plan.benchmark)
                if run.result is not None and run.result.get("boundaries", plan.boundaries) is not plan.boundaries:
                    raise UserError(
                        f"{run.folder} was evaluated with boundaries {str(not plan.boundaries).lower()}, the plan has the other. "
                        f"Delete {RESULT} there to evaluate it again"
                    )
            found.append(run)
    return found


def _check_data_root(run: PlannedRun, before: str | None, benchmark: str | None) -> None:
    """UserError for a run that was trained on other data. A benchmark is verified, and may have been moved."""
    now = run.config.data.root or os.environ.get(DATA_VARIABLE)
    if before is None or now is None:  # data with a fixed place; or no root, which is reported when it is needed
        return
    same = Path(before).name == benchmark if benchmark else os.path.realpath(before) == os.path.realpath(now)
    if not same:
        raise UserError(
            f"{run.folder} was made on the data in {before}, not {now}. Give another --out, or delete that folder to make it again"
        )


def make_runs(
    runs: Sequence[PlannedRun],
    *,
    boundaries: bool,
    devices: Sequence[str],
    trust: Sequence[str] = (),
    say: Say = print,
    progress: Progress | None = None,
) -> dict[str, str]:
    """Train and evaluate the unfinished runs; interrupted ones are resumed.

    Args:
        runs: all runs of a plan.
        boundaries: evaluate odsF of the edge task, too.
        devices: `cpu` or `cuda:N`, each for one run at a time; several `cpu` share the cores.
        progress: called with (finished steps, all steps) over all runs.

    Returns:
        The reasons of failed runs by their name.

    Raises:
        Interrupted: stopped by Ctrl-C; the runs have saved their state.
    """
    waiting = [run for run in runs if run.result is None]
    if len(waiting) < len(runs):
        say(f"{len(runs) - len(waiting)} of {len(runs)} runs are finished")
    active: dict[int, tuple[PlannedRun, subprocess.Popen[bytes], int]] = {}
    failed: dict[str, str] = {}
    total = sum(run.config.steps for run in runs)
    try:
        while waiting or active:
            for slot, device in enumerate(devices):
                if slot not in active and waiting:
                    run = waiting.pop(0)
                    said = log_file(run).stat().st_size if log_file(run).is_file() else 0
                    active[slot] = (run, _start(run, boundaries, device, devices, trust), said)
            time.sleep(POLL)
            for slot, (run, process, said) in list(active.items()):
                code = process.poll()
                if code is None:
                    continue
                del active[slot]
                if code == INTERRUPTED:
                    raise KeyboardInterrupt
                if code or run.result is None:
                    failed[run.words] = _why(run, code, said)
                    say(f"! {run.words} failed: {failed[run.words]}")
                else:
                    say(f"{run.words}: {run.result['seconds']:.0f} s of training")
            if progress is not None:
                progress(sum(run.config.steps if run.result else run.steps_done() for run in runs), total)
    except BaseException as error:
        _stop(process for _, process, _ in active.values())
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted from None
        raise
    return failed


def log_file(run: PlannedRun) -> Path:
    """The log file of the run's process."""
    return run.folder.with_name(f"{run.folder.name}.log")


def _start(
    run: PlannedRun, boundaries: bool, device: str, devices: Sequence[str], trust: Sequence[str]
) -> subprocess.Popen[bytes]:
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    kind, _, index = device.partition(":")
    job = Job(
        str(run.folder), run.config.as_dict(), boundaries, "cpu" if kind == "cpu" else "auto", list(trust), len(devices)
    )
    file = run.folder.with_name(f"{run.folder.name}.job.json")
    write_json(file, asdict(job))
    environment = dict(os.environ)
    if kind == "cuda":
        visible = environment.get("CUDA_VISIBLE_DEVICES")
        environment["CUDA_VISIBLE_DEVICES"] = visible.split(",")[int(index)] if visible else index
    elif (sharing := devices.count(device)) > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, cores() // sharing)))
    with log_file(run).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "bridgenet.compare.job", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C stops this process, which terminates the runs
        )


def _stop(processes: Iterator[subprocess.Popen[bytes]]) -> None:
    """Let the processes save and end; a second Ctrl-C kills them."""
    left = list(processes)
    try:
        for process in left:
            process.terminate()  # not SIGINT, which is ignored where a shell started all this in the background
        for process in left:
            process.wait()
    except KeyboardInterrupt:
        for process in left:
            process.kill()
            process.wait()
        raise


def _why(run: PlannedRun, code: int, start: int) -> str:
    """The reason of a failure: the last line in the log after its first `start` bytes."""
    said = log_file(run).read_bytes()[start:].decode("utf-8", errors="replace")
    lines = [line for line in said.splitlines() if line.strip()]
    said = lines[-1].removeprefix("error: ") if lines else "it printed nothing"
    ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    return f"{said} ({ended}; see {log_file(run)})"
