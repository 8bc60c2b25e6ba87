"""Comparisons: runs that are made, interrupted and gone on with, and the tables of what they gave."""

from __future__ import annotations

import csv
import json
import math
import re
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from bridgenet import UserError
from bridgenet.benchmark.isolation import Failed
from bridgenet.cli.main import run
from bridgenet.compare import LOCK, compare, job, results
from bridgenet.compare.job import RESULT, Job
from bridgenet.compare.plan import read_plan
from bridgenet.compare.results import entries_of, headlines_of, latencies_of, machines_of, measure_costs
from bridgenet.compare.runs import _why, log_file, planned_runs
from bridgenet.compare.statistics import Spread
from bridgenet.compare.tables import PERCENT, as_text, main_table, number, sections
from bridgenet.training.rows import METRICS, read_rows
from bridgenet.training.run import Interrupted, train
from tests.training.tiny import tiny_config

TASKS = ["depth", "normals"]


def settings(root: Path, **changes: Any) -> dict[str, Any]:
    config = tiny_config(root, save_every=1, **changes)
    config.data.tasks = TASKS
    values = config.as_dict()
    del values["seed"]
    return values


@pytest.fixture(autouse=True)
def latency(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark's own tests measure."""
    monkeypatch.setattr(results, "isolated", lambda work, case: {"seconds": {"median": 0.5}})


@pytest.fixture
def plan(nyud_root: Path, tmp_path: Path) -> Path:
    """Two configurations, one seed, of few steps."""
    path = tmp_path / "plan.yaml"
    values = {
        "title": "A <small> comparison",
        "settings": settings(nyud_root),
        "seeds": [5],
        "configurations": {
            "bridgenet": None,
            "heads": {"network": {"decoder": {"name": "multi_task", "width": 8}}, "steps": 1},
        },
    }
    path.write_text(yaml.safe_dump(values))
    return path


def test_interrupted_and_gone_on_with(
    plan: Path, nyud_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The interrupted run goes on where it was, to the bit; what is finished is not made again; tables tell of all."""
    out = tmp_path / "out"

    def stop(done: int, total: int) -> None:
        assert total == 7
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        compare(plan, out, progress=stop)
    folder = out / "runs/bridgenet/seed-5"
    stopped_at = len([row for row in read_rows(folder / METRICS) if row["kind"] == "train"])
    assert 2 <= stopped_at < 6
    assert not (folder / RESULT).exists() and not (out / "comparison.md").exists()

    assert run(["compare", str(plan), "--out", str(out), "--devices", "cpu"]) == 0
    said = capfd.readouterr().out
    assert re.search(r"bridgenet, seed 5: \d+ s of training", said) and "heads" in said
    train(planned_runs(read_plan(plan), out, None)[0].config, tmp_path / "whole", device="cpu")
    assert read_rows(folder / METRICS) == read_rows(tmp_path / "whole" / METRICS)

    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*") if path.is_file()}
    assert run(["compare", str(plan), "--out", str(out), "--devices", "cpu"]) == 0
    assert "2 of 2 runs are finished" in capfd.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*") if path.is_file()} == before

    data = json.loads((out / "comparison.json").read_text())
    assert [entry["name"] for entry in data["entries"]] == ["bridgenet", "heads"]
    assert data["entries"][1]["verdict"] == "too few seeds"
    assert data["how"][-1].startswith(f"Command: bridgenet compare {plan} --out {out} --devices cpu, 20")
    own = json.loads((folder / RESULT).read_text())
    assert data["entries"][0]["scores"]["depth"]["mean"] == own["scores"]["depth"]["rmse"]
    assert own["steps"] == 6 and own["seconds"] > 0 and own["memory"] > 1e8
    assert own["boundaries"] == yaml.safe_load(plan.read_text()).get("boundaries", True)
    rows = list(csv.DictReader((out / "comparison.csv").open()))
    assert float(rows[1]["parameters"]) < float(rows[0]["parameters"])
    assert float(rows[0]["latency"]) > 0 and float(rows[0]["gmac"]) > 0
    page = (out / "comparison.html").read_text()
    assert "A &lt;small&gt; comparison" in page and "://" not in page and page.count("<img ") == 3
    text = (out / "comparison.md").read_text()
    assert "nothing follows: no winner is named" in text
    assert "Training: 1 at a time, each on " in text and text.count("Latency: ") == 1

    changed = plan.read_text().replace("steps: 1\n", "steps: 2\n", 1)
    plan.write_text(changed)
    with pytest.raises(UserError, match=r"other settings: steps was 1, now 2\. Give another --out"):
        compare(plan, out)


def test_a_run_that_fails_is_told_and_the_others_are_made(
    plan: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    values = yaml.safe_load(plan.read_text())
    values["configurations"]["bridgenet"] = {"optimizer": {"lr": 100, "weight_decay": 1_000_000}}
    values["configurations"]["heads"]["steps"] = 1
    values["reference"] = values["against"] = "heads"
    plan.write_text(yaml.safe_dump(values, sort_keys=False))
    assert run(["compare", str(plan), "--out", str(tmp_path / "out"), "--devices", "cpu"]) == 1
    said = capfd.readouterr().out
    assert re.search(r"! bridgenet, seed 5 failed: .* \(exit code 2; see ", said)
    assert "1 of 2 runs finished" in (tmp_path / "out/comparison.md").read_text()
    assert json.loads((tmp_path / "out/comparison.json").read_text())["unfinished"] == ["bridgenet, seed 5"]


RESULTS = {  # rmse [m] and mErr [deg] by configuration and seed
    "one": {0: (0.50, 20.0), 1: (0.60, 22.0), 2: (0.55, 21.0)},
    "two": {0: (0.40, 20.0), 1: (0.48, 22.0), 2: (0.44, 21.0)},
    "three": {0: (0.55, 19.0), 1: (0.54, 21.0)},
}


@pytest.fixture
def finished(nyud_root: Path, tmp_path: Path) -> tuple[Any, Any]:
    """A plan whose runs' results are written by hand, and its runs."""
    path = tmp_path / "plan.yaml"
    values = {"settings": settings(nyud_root), "reference": "one", "against": "one"}
    path.write_text(yaml.safe_dump(values | {"configurations": dict.fromkeys(RESULTS)}, sort_keys=False))
    plan = read_plan(path)
    runs = planned_runs(plan, tmp_path / "out", None)
    for each in runs:
        if each.seed in RESULTS[each.name]:
            rmse, angle = RESULTS[each.name][each.seed]
            scores = {"depth": {"rmse": rmse}, "normals": {"mean": angle}}
            each.folder.mkdir(parents=True)
            content = {"scores": scores, "seconds": 60.0, "memory": 2e9, "steps": 6}
            (each.folder / RESULT).write_text(json.dumps(content))
    return plan, runs


def test_numbers(finished: tuple[Any, Any]) -> None:
    plan, runs = finished
    assert [(run.name, run.seed) for run in runs[:4]] == [("one", 0), ("two", 0), ("three", 0), ("one", 1)]
    one, two, three = entries_of(plan, runs, {})
    assert one.scores["depth"].mean == pytest.approx(0.55) and one.scores["depth"].deviation == pytest.approx(0.05)
    assert one.gain.mean == pytest.approx(0) and one.difference is None
    # Two is a fifth better in depth at every seed, over the reference's mean of 0.55, and equal in normals.
    expected = [0.5 * (RESULTS["one"][s][0] - RESULTS["two"][s][0]) / 0.55 for s in range(3)]
    assert two.difference.mean == pytest.approx(sum(expected) / 3)
    assert (two.difference.low, two.difference.high) == (pytest.approx(min(expected)), pytest.approx(max(expected)))
    assert two.difference.verdict == "better" and two.differences["normals"].verdict == "inconclusive"
    assert (three.seeds, three.difference.verdict) == ((0, 1), "too few seeds")


def test_table(finished: tuple[Any, Any]) -> None:
    plan, runs = finished
    entries = entries_of(plan, runs, {"two": {"parameters": 12_345_678, "gmac": 3.21, "latency": 0.0123}})
    lines = as_text(plan, headlines_of(runs), entries).splitlines()
    assert lines[0].split()[:5] == ["configuration", "depth", "normals", "Δm", "[%]"]
    assert lines[1].split()[:6] == ["RMSE", "↓", "[m]", "mErr", "↓", "[°]"]
    assert "0.4400 ± 0.0400" in lines[3] and "+10.00 ± 6.02" in lines[3]
    assert lines[3].endswith("12.3  3.21    60.0 s    2.00  12.3 ms")
    assert lines[2].rstrip().endswith("–")
    assert number(PERCENT, Spread(-1e-9, 0.01, 3), signed=True) == "+0.00 ± 1.00"


def test_runs_of_another_plan_are_not_mixed(finished: tuple[Any, Any], nyud_root: Path) -> None:
    plan, runs = finished
    other = tiny_config(nyud_root, save_every=1, batch_size=1, seed=0)
    other.data.tasks = TASKS
    (runs[0].folder / "config.yaml").write_text(yaml.safe_dump(other.as_dict()))
    with pytest.raises(
        UserError, match=r"seed-0 was started with other settings: batch_size was 1, now 2\. Give another"
    ):
        planned_runs(plan, runs[0].folder.parents[2], None)


def test_refused(plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for arguments, words in (
        (["--out", str(tmp_path / "file")], "is a file, expected a folder"),
        (["--out", str(tmp_path / "file/below")], "/file is a file, expected a folder"),
        (["--devices", "gpu"], "'gpu' is not a device"),
        (["--devices", "cuda:77"], "cuda:77: this machine has"),
        (["--out", str(tmp_path)], "holds file, plan.yaml and no comparison; give another --out"),
        (["--out", str(tmp_path / "none"), "--tables-only"], "no run of the plan is finished"),
    ):
        assert run(["compare", str(plan), *arguments]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_every_machine_is_told_once() -> None:
    results = [{"at_once": count, "machine": name} for count, name in ((2, "a"), (2, "a"), (1, "a"), (2, "b"))]
    assert machines_of(results) == [
        "Training: 2 at a time, each on a.",
        "Training: 1 at a time, each on a.",
        "Training: 2 at a time, each on b.",
    ]
    assert machines_of([{"at_once": 1, "machine": "a, 1 core\nlibrary 1"}]) == [
        "Training: 1 at a time, each on a, 1 core; library 1."
    ]


def test_one_comparison_at_a_time_in_a_folder(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / LOCK), pytest.raises(UserError, match="another bridgenet compare is making runs in "):
        compare(plan, out)
    assert not (out / "runs").exists()


def test_other_tasks_have_no_gain(finished: tuple[Any, Any]) -> None:
    """Δm over other tasks is no Δm; what tasks both have is compared all the same."""
    plan, runs = finished
    for each in runs:
        if each.name == "two":
            result = json.loads((each.folder / RESULT).read_text())
            del result["scores"]["normals"]
            (each.folder / RESULT).write_text(json.dumps(result))
    one, two, _ = entries_of(plan, runs, {})
    assert one.gain.mean == pytest.approx(0)
    assert math.isnan(two.gain.mean) and two.difference.verdict == "–"
    assert two.differences["depth"].verdict == "better"
    lines = as_text(plan, headlines_of(runs), [one, two]).splitlines()
    assert lines[3].split()[4:6] == ["–", "–"]


def test_other_data_are_not_mixed(finished: tuple[Any, Any], nyud_root: Path, tmp_path: Path) -> None:
    """Unless they are a benchmark, which is verified and may lie elsewhere."""
    plan, runs = finished
    (runs[0].folder / "config.yaml").write_text(yaml.safe_dump(runs[0].config.as_dict()))
    with pytest.raises(UserError, match=r"seed-0 was made on the data in .*, not /elsewhere\. Give another --out"):
        planned_runs(plan, tmp_path / "out", "/elsewhere")
    with pytest.raises(UserError, match=r"was made on the data in .*, not /elsewhere/rooms-v1"):
        planned_runs(replace(plan, benchmark="rooms-v1"), tmp_path / "out", "/elsewhere/rooms-v1")
    moved = replace(runs[0].config, data=replace(runs[0].config.data, root="/before/rooms-v1"))
    (runs[0].folder / "config.yaml").write_text(yaml.safe_dump(moved.as_dict()))
    planned_runs(replace(plan, benchmark="rooms-v1"), tmp_path / "out", "/elsewhere/rooms-v1")


@pytest.mark.parametrize("way", ["relative", "environment", "link"])
def test_the_same_data_by_another_name(
    way: str, finished: tuple[Any, Any], nyud_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run's own settings have the absolute path."""
    plan, runs = finished
    (runs[0].folder / "config.yaml").write_text(yaml.safe_dump(runs[0].config.as_dict()))
    monkeypatch.chdir(nyud_root.parent)
    (tmp_path / "link").symlink_to(nyud_root)
    root = {"relative": nyud_root.name, "environment": None, "link": str(tmp_path / "link")}[way]
    configs = {name: replace(x, data=replace(x.data, root=root)) for name, x in plan.configs.items()}
    monkeypatch.setenv("BRIDGENET_DATA", str(nyud_root))
    planned_runs(replace(plan, configs=configs), tmp_path / "out", None)
    monkeypatch.setenv("BRIDGENET_DATA", str(tmp_path))
    if way == "environment":
        with pytest.raises(UserError, match="was made on the data in"):
            planned_runs(replace(plan, configs=configs), tmp_path / "out", None)


def test_text_below_the_differences(finished: tuple[Any, Any]) -> None:
    """Rows of too few seeds do not take the others' winners away."""
    plan, runs = finished
    text = str(sections(plan, headlines_of(runs), entries_of(plan, runs, {}), []))
    assert "one row in four says better or worse all the same" in text and "no winner is named" not in text


def test_latencies_of_several_machines() -> None:
    one, other = {"machine": "a\nlibrary 1"}, {"machine": "b"}
    assert latencies_of({"x": one, "y": one}) == ["Latency: a; library 1."]
    assert latencies_of({"x": one, "y": other}) == ["Latency of x: a; library 1.", "Latency of y: b."]


def test_why_a_run_failed_is_what_it_said_itself(finished: tuple[Any, Any]) -> None:
    """Not what an earlier attempt said."""
    run = finished[1][0]
    log_file(run).write_text("Traceback: earlier\n")
    before = log_file(run).stat().st_size
    assert _why(run, -9, before).startswith("it printed nothing (killed by signal 9")
    with log_file(run).open("a") as log:
        log.write("error: now\n")
    assert _why(run, 2, before).startswith("now (exit code 2")


def test_all_runs_failed(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bridgenet.compare.runs.make_runs", lambda *_, **__: {"bridgenet, seed 5": "why"})
    assert run(["compare", str(plan), "--out", str(tmp_path / "out"), "--devices", "cpu"]) == 1
    assert "→" not in capsys.readouterr().out


def test_a_job_waits_for_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a comparison that was killed may still be saving."""
    file = tmp_path / "seed-0.job.json"
    file.write_text(json.dumps(asdict(Job(str(tmp_path / "seed-0"), {}, True, "cpu", []))))
    done: list[str] = []
    monkeypatch.setattr(job, "run_job", lambda _: done.append("second"))
    holding = threading.Event()

    def hold() -> None:
        with FileLock(tmp_path / "seed-0.lock"):
            holding.set()
            time.sleep(0.2)
            done.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
    assert job.main(str(file)) == 0
    thread.join()
    assert done == ["first", "second"]


def test_a_failed_latency_is_measured_again(plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = {"heads": read_plan(plan).configs["heads"]}

    def fail(work: Any, case: Any) -> Any:
        raise Failed("killed")

    with monkeypatch.context() as patch:
        patch.setattr(results, "isolated", fail)
        assert measure_costs(configs, tmp_path, "cpu")["heads"]["latency"] is None
    assert measure_costs(configs, tmp_path, "cpu")["heads"]["latency"] == 0.5


def test_log_is_beside_the_run(plan: Path, tmp_path: Path) -> None:
    first = planned_runs(read_plan(plan), tmp_path / "out", None)[0]
    assert log_file(first) == tmp_path / "out/runs/bridgenet/seed-5.log"


def test_results_of_another_evaluation_are_not_mixed(finished: tuple[Any, Any]) -> None:
    plan, runs = finished
    (runs[0].folder / "config.yaml").write_text(yaml.safe_dump(runs[0].config.as_dict()))
    result = json.loads((runs[0].folder / RESULT).read_text())
    out = runs[0].folder.parents[2]
    for boundaries in (plan.boundaries, not plan.boundaries):
        (runs[0].folder / RESULT).write_text(json.dumps(result | {"boundaries": boundaries}))
        if boundaries is plan.boundaries:
            planned_runs(plan, out, None)
        else:
            with pytest.raises(UserError, match=f"was evaluated with boundaries {str(boundaries).lower()}"):
                planned_runs(plan, out, None)
    (runs[0].folder / RESULT).write_text("{}")
    assert runs[0].result is None


def test_no_star_for_few_seeds(finished: tuple[Any, Any]) -> None:
    plan, runs = finished
    table = main_table(plan, headlines_of(runs), entries_of(plan, runs, {}))
    starred = {row.cells[0].text for row in table.rows for cell in row.cells if cell.best}
    assert "two" in starred and "three" not in starred
