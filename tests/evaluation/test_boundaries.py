"""Boundary evaluation of folders: data sets, counts that are kept, bad predictions, the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import bridgenet
from bridgenet import UserError, data
from bridgenet.cli import main as cli
from bridgenet.evaluation import boundaries
from bridgenet.evaluation.boundaries import (
    BoundaryJob,
    cache_file,
    evaluate_boundaries,
    jobs_of,
    protocol,
    read_label_png,
    scores_of,
)
from bridgenet.metrics import boundary
from bridgenet.system import parallel
from tests.data.layouts import make_nyud, make_pascal


def write(path: Path, image: NDArray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
    return path


def make_job(folder: Path, name: str = "a", seed: int = 0) -> BoundaryJob:
    generator = np.random.default_rng(seed)
    labels = np.kron(generator.integers(0, 4, (4, 5)), np.ones((8, 8))).astype(np.uint8)
    soft = cv2.GaussianBlur(boundary.boundaries(labels).astype(np.float32), (0, 0), 1.0)
    prediction = (255 * np.clip(soft + 0.2 * generator.random(soft.shape), 0, 1)).astype(np.uint8)
    return BoundaryJob(
        name,
        write(folder / "predictions" / f"{name}.png", prediction),
        write(folder / "truth" / f"{name}.png", labels),
        read_label_png,
        0.02,
    )


@pytest.fixture
def jobs(tmp_path: Path) -> list[BoundaryJob]:
    return [make_job(tmp_path, name, seed) for seed, name in enumerate("abc")]


def test_counts_are_those_of_the_arrays(jobs: list[BoundaryJob]) -> None:
    counts = evaluate_boundaries(jobs, workers=1)
    assert list(counts) == ["a", "b", "c"]
    prediction, labels = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (jobs[1].prediction, jobs[1].truth))
    matched, predicted, true = boundary.count(prediction, boundary.boundaries(labels), max_distance=0.02)
    assert (counts["b"].matched, counts["b"].predicted, counts["b"].true) == (
        matched.tolist(),
        predicted.tolist(),
        true,
    )
    assert 0 < scores_of(counts.values()).ods_f < 1


def test_processes_count_the_same(jobs: list[BoundaryJob]) -> None:
    assert evaluate_boundaries(jobs, workers=2) == evaluate_boundaries(jobs, workers=1)


def test_a_killed_run_goes_on_with_the_counts_it_made(
    jobs: list[BoundaryJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, expected = cache_file(tmp_path), evaluate_boundaries(jobs, workers=1)
    count = boundaries._count
    counted: list[str] = []

    def killed(shared: None, job: BoundaryJob):
        if job.name == "c" and "c" not in counted:
            counted.append("c")
            raise MemoryError
        counted.append(job.name)
        return count(shared, job)

    monkeypatch.setattr(boundaries, "_count", killed)
    with pytest.raises(MemoryError):
        evaluate_boundaries(jobs, cache=cache, workers=1)
    with cache.open("a") as file:
        file.write('{"id": "c", "key": "half of a li')
    counted.remove("a")
    seen: list[tuple[int, int]] = []
    again = evaluate_boundaries(jobs, cache=cache, workers=1, progress=lambda *where: seen.append(where))
    assert again == expected
    assert counted == ["b", "c", "c"]  # a and b were not counted again
    assert seen == [(2, 3), (3, 3)]
    assert len(cache.read_text().splitlines()) == 3


def test_counts_of_other_files_are_not_taken(jobs: list[BoundaryJob], tmp_path: Path) -> None:
    """Another prediction, another truth, another distance: counted again. Counts of another process: taken."""
    cache = cache_file(tmp_path)
    before = evaluate_boundaries(jobs, cache=cache, workers=1)
    cache.rename(cache_file(tmp_path, rank=1))
    assert evaluate_boundaries(jobs, cache=cache, workers=1) == before
    assert not cache.exists()
    write(jobs[0].prediction, np.zeros((32, 40), np.uint8))
    write(jobs[1].truth, np.zeros((32, 40), np.uint8))
    after = evaluate_boundaries(jobs, cache=cache, workers=1)
    assert sum(after["a"].predicted) == 0
    assert after["b"].true == 0
    assert after["c"] == before["c"]
    assert len(cache.read_text().splitlines()) == 2
    assert evaluate_boundaries(jobs, workers=1) == after
    wider = [replace(job, max_distance=0.1) for job in jobs]
    assert evaluate_boundaries(wider, cache=cache, workers=1) == evaluate_boundaries(wider, workers=1) != after


@pytest.mark.parametrize("change", [{"matched": [1, 2]}, {"true": -1}, {"matched": [10**6] * 101}, {"true": "x"}])
def test_damaged_counts_are_counted_again(jobs: list[BoundaryJob], tmp_path: Path, change: dict) -> None:
    cache = cache_file(tmp_path)
    expected = evaluate_boundaries(jobs, cache=cache, workers=1)
    rows = [json.loads(line) for line in cache.read_text().splitlines()]
    cache.write_text("".join(json.dumps(row | change) + "\n" for row in rows) + "garbage\n")
    assert evaluate_boundaries(jobs, cache=cache, workers=1) == expected


KILLED = """
import sys
from pathlib import Path
from tests.evaluation.test_boundaries import cache_file, evaluate_boundaries, make_job
folder = Path(sys.argv[1])
jobs = [make_job(folder, str(i), i) for i in range(150)]
print("ready", flush=True)
evaluate_boundaries(jobs, cache=cache_file(folder), workers=2)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to look for processes in")
def test_a_killed_process_leaves_its_counts_and_no_workers(tmp_path: Path) -> None:
    """SIGKILL, which no process can answer: its workers end by themselves, and what it counted is there."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(bridgenet.__file__).parents[1])])
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE
    )
    cache, deadline = cache_file(tmp_path), time.monotonic() + 60
    while not (cache.is_file() and cache.stat().st_size > 2000) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = processes_below(child.pid)
    assert len(workers) >= 2
    child.kill()
    child.wait()
    while any(is_running(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in workers)
    jobs = [make_job(tmp_path, str(i), i) for i in range(150)]
    done = len(cache.read_bytes().splitlines())
    assert 0 < done < 150
    seen: list[int] = []
    again = evaluate_boundaries(jobs, cache=cache, workers=1, progress=lambda number, _: seen.append(number))
    assert seen[0] >= done - 1  # the last line may be half written
    assert again == evaluate_boundaries(jobs, workers=1)


def processes_below(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, r"b\.png is missing"),
        (np.zeros((32, 40, 3), np.uint8), r"b\.png is a PNG of mode RGB, expected an 8-bit grey PNG"),
        (np.zeros((32, 40), np.uint16), r"b\.png is a PNG of mode I;16"),
    ],
    ids=["missing", "colour", "16 bits"],
)
def test_predictions_that_cannot_be_used_are_all_named(jobs: list[BoundaryJob], image, words: str) -> None:
    jobs[0].prediction.write_bytes(b"words")
    jobs[1].prediction.unlink()
    if image is not None:
        write(jobs[1].prediction, image)
    with pytest.raises(UserError, match=rf"(?s)2 of 3 predictions cannot be used:.*a\.png cannot be read.*{words}"):
        evaluate_boundaries(jobs, workers=1)


def test_other_sizes_are_told_together(jobs: list[BoundaryJob]) -> None:
    write(jobs[0].prediction, np.zeros((40, 32), np.uint8))
    write(jobs[2].prediction, np.zeros((31, 40), np.uint8))
    words = (
        r"(?s)a\.png has 40×32 pixels .* has 32×40; give predictions in the images' own size.*c\.png has 31×40 pixels"
    )
    with pytest.raises(UserError, match=words):
        evaluate_boundaries(jobs, workers=1)
    write(jobs[2].prediction, np.zeros((32, 40), np.uint8))
    jobs[0] = replace(jobs[0], truth=jobs[0].truth.rename(jobs[0].truth.with_suffix(".map")))  # no size in sight before
    with pytest.raises(UserError, match=r"1 of 3 predictions cannot be used:\s*.*a\.png has 40×32 pixels"):
        evaluate_boundaries(jobs, workers=1)


def test_images_of_a_data_set(tmp_path: Path) -> None:
    """NYUD-v2: all, the edge picture as truth. PASCAL-Context: the ids of the list, all if none of them is here."""
    make_nyud(tmp_path)
    nyud = data.get("nyud")(tmp_path, "val", ["edge"])
    jobs = jobs_of(nyud, tmp_path)
    assert [job.name for job in jobs] == nyud.ids
    assert {job.max_distance for job in jobs} == {0.011}
    assert np.array_equal(jobs[0].read_labels(jobs[0].truth), nyud.boundary_labels(0))
    assert protocol(nyud, 2) == "SEISM boundaries, NYUD-v2, 2 images (published: 654), maxDist 0.011"
    assert protocol(nyud, 654) == "SEISM boundaries, NYUD-v2, 654 images, maxDist 0.011"
    train = data.get("nyud")(tmp_path, "train", ["edge"])
    assert "654 images of the train split (published: 654)" in protocol(train, 654)
    (tmp_path / "NYUDv2" / "scenes.json").write_text("{}")
    assert protocol(nyud, 654) == "SEISM boundaries, 654 synthetic rooms in NYUD-v2's layout, maxDist 0.011"
    make_pascal(tmp_path)
    pascal = data.get("pascal")(tmp_path, "val", ["edge"])
    assert len(pascal.info.boundary_ids) == 2498
    pascal.ids = ["here", *sorted(pascal.info.boundary_ids)[:2], "there"]
    assert pascal.boundary_indices() == [1, 2]
    pascal.ids = ["here", "there"]
    assert pascal.boundary_indices() == [0, 1]
    assert pascal.info.boundary_distance == 0.0075


def test_command_on_a_folder(jobs: list[BoundaryJob], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "predictions" / "other.png", np.zeros((3, 3), np.uint8))
    arguments = ["evaluate-boundaries", str(tmp_path / "predictions"), "--ground-truth", str(tmp_path / "truth")]
    arguments += ["--max-dist", "0.02", "--workers", "1", "--json", str(tmp_path / "x.json")]
    assert cli.run(arguments) == 0
    said = capsys.readouterr().out
    assert f"! {tmp_path / 'predictions' / 'other.png'} belongs to no image: not scored" in said
    report = json.loads((tmp_path / "x.json").read_text())
    scores = scores_of(evaluate_boundaries(jobs, workers=1).values())
    assert f"odsF {100 * scores.ods_f:.2f} %" in said
    assert report["odsF"] == scores.ods_f
    assert report["matched"] == scores.matched.tolist()
    assert len(report["thresholds"]) == 101
    assert (tmp_path / "predictions-boundaries" / "boundaries.png").stat().st_size > 1000


def test_command_on_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_nyud(tmp_path / "data")
    dataset = data.get("nyud")(tmp_path / "data", "val", ["edge"])
    for index, name in enumerate(dataset.ids):
        write(tmp_path / "edge" / f"{name}.png", dataset.boundary_labels(index))
    arguments = ["evaluate-boundaries", str(tmp_path / "edge"), "--data", "nyud", "--data-root", str(tmp_path / "data")]
    assert cli.run([*arguments, "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    assert "SEISM boundaries, NYUD-v2, 2 images (published: 654), maxDist 0.011" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "boundaries.json").read_text())["images"] == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "give --data nyud or pascal, or --ground-truth FOLDER with --max-dist X"),
        (["--ground-truth", "{truth}"], "--max-dist"),
        (["--ground-truth", "{truth}", "--max-dist", "3"], "--max-dist 3.0: expected a fraction of the diagonal"),
        (["--ground-truth", "none", "--max-dist", "0.01"], "no folder of label maps at none"),
        (["--ground-truth", "{empty}", "--max-dist", "0.01"], "holds no PNG label maps"),
        (["--data", "nyud", "--ground-truth", "{truth}"], "leave out --ground-truth"),
        (["--data", "nyu"], "'nyu' is not a data set (did you mean nyud?)"),
        (["--data", "nyud", "--data-root", "none"], "no NYUD-v2 data at none"),
        (["--ground-truth", "{truth}", "--max-dist", "0.01", "--workers", "0"], "--workers 0: expected 1 or more"),
    ],
)
def test_wrong_commands(
    jobs: list[BoundaryJob], tmp_path: Path, more: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    more = [word.format(truth=tmp_path / "truth", empty=tmp_path / "empty") for word in more]
    assert cli.run(["evaluate-boundaries", str(tmp_path / "predictions"), *more]) == 2
    assert words in capsys.readouterr().err


def test_no_folder_of_predictions(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["evaluate-boundaries", "none", "--data", "nyud"]) == 2
    assert "no folder of predictions at none" in capsys.readouterr().err


def test_a_killed_worker_is_told(jobs: list[BoundaryJob]) -> None:
    with pytest.raises(UserError, match="a worker process was killed"):
        list(parallel.run(kill, None, jobs, workers=2))


def kill(_: None, job: BoundaryJob) -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def drawn(width: int, size: tuple[int, int] = (96, 128), soft: bool = False) -> NDArray[np.uint8]:
    """Closed and open lines of a width [pixels], 0 and 255, or smooth at their sides."""
    image = np.zeros(size, np.uint8)
    height, wide = size
    cv2.ellipse(image, (wide // 2, height // 2), (wide // 3, height // 4), 20, 0, 360, 255, width)
    cv2.line(image, (8, 8), (wide // 3, height - 9), 255, width)
    return cv2.GaussianBlur(image, (0, 0), 1.0) if soft else image


def own_edges(folder: Path, edges: list[NDArray], entry: str = "", size: tuple[int, int] = (96, 128)) -> Path:
    for number, edge in enumerate(edges):
        write(folder / "images" / f"{number}.png", np.full((*size, 3), 9 * number, np.uint8))
        if edge.dtype == np.uint8:
            write(folder / "edges" / f"{number}.png", edge)
        else:
            (folder / "edges").mkdir(exist_ok=True)
            np.save(folder / "edges" / f"{number}.npy", edge)
    path = folder / "data.yaml"
    path.write_text(f"name: lines\nsplit: {{val: 0.5}}\ntasks:\n  edge: {{folder: edges{entry}}}\n")
    return path


def score_own(path: Path, predictions: list[NDArray[np.uint8]]) -> float:
    dataset = data.get(str(path))("", "val", ["edge"])
    folder = path.parent / "predictions"
    for name in dataset.ids:
        write(folder / f"{name}.png", predictions[int(name)])
    return scores_of(evaluate_boundaries(jobs_of(dataset, folder), workers=1).values()).ods_f


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("width", [1, 2, 3, 5, 9, 15])
def test_own_edges_of_any_width(tmp_path: Path, width: int, soft: bool) -> None:
    edges = [drawn(width, soft=soft)] * 4
    assert score_own(own_edges(tmp_path, edges), edges) > (0.98 if soft else 0.999)


def test_own_edges_are_the_lines_and_not_their_sides(tmp_path: Path) -> None:
    line = np.zeros((96, 128), np.uint8)
    line[40:47, 10:118] = 255
    path = own_edges(tmp_path, [line] * 4)
    thin, sides = np.zeros_like(line), np.zeros_like(line)
    thin[43, 13:115] = 255
    sides[39, 10:118] = sides[47, 10:118] = 255
    assert score_own(path, [thin] * 4) > 0.98
    assert score_own(path, [sides] * 4) < 0.02
    dataset = data.get(str(path))("", "val", ["edge"])
    truth = boundary.true_boundaries(dataset.boundary_labels(0))
    assert 95 < truth.sum() < 110 and truth[43, 20:108].all()


def test_own_edges_as_the_description_says(tmp_path: Path) -> None:
    """0 and 1 with `scale`, a value without a label, and .npy in half the size of the image."""
    line = drawn(3)
    stored = (line > 0).astype(np.uint8)
    stored[:, :50] = 9
    told = own_edges(tmp_path / "scale", [stored] * 4, ", scale: 1, ignore: [9]")
    assert score_own(told, [line] * 4) > 0.98  # what is predicted left of column 50 is not scored
    half = drawn(3, (48, 64)).astype(np.float32) / 255
    large = cv2.resize(half, (128, 96), interpolation=cv2.INTER_NEAREST)
    assert score_own(own_edges(tmp_path / "half", [half] * 4), [(255 * large).astype(np.uint8)] * 4) > 0.98


def test_counts_are_not_those_of_another_description(tmp_path: Path) -> None:
    line = drawn(3)
    keys = set()
    for entry in ("", ", ignore: [0]", ", ignore: [128]"):
        path = own_edges(tmp_path, [line] * 4, entry)
        os.utime(path, ns=(len(keys), len(keys)))
        (job, *_) = jobs_of(data.get(str(path))("", "val", ["edge"]), tmp_path / "predictions")
        write(job.prediction, line)
        keys.add(boundaries._key(job))
    assert len(keys) == 3


def test_command_on_a_folder_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edges = [drawn(3)] * 4
    path = own_edges(tmp_path, edges)
    score_own(path, edges)
    arguments = ["evaluate-boundaries", str(tmp_path / "predictions"), "--workers", "1", "--data"]
    assert cli.run([*arguments, str(path)]) == 0
    said = capsys.readouterr().out
    assert "SEISM boundaries, lines, 2 images, maxDist 0.0075" in said and "odsF 100.00 %" in said
    assert cli.run([*arguments, str(tmp_path)]) == 0  # the folder of data.yaml
    assert "2 images" in capsys.readouterr().out
    path.write_text("split: {val: 0.5}\ntasks:\n  sal: {folder: edges}\n")
    assert cli.run([*arguments, str(path)]) == 2
    assert "has no edge (it offers sal)" in capsys.readouterr().err
    path.write_text("split: {val: 0.5}\ntasks:\n  edge: {folder: edges, suffix: _none.png}\n")
    assert cli.run([*arguments, str(path)]) == 2
    assert "no image of the val split of" in capsys.readouterr().err


def test_a_prediction_of_another_size_than_the_image(tmp_path: Path) -> None:
    path = own_edges(tmp_path, [drawn(3, (48, 64))] * 4)
    with pytest.raises(UserError, match=r"has 48×64 pixels .* has 96×128"):
        score_own(path, [drawn(3, (48, 64))] * 4)
