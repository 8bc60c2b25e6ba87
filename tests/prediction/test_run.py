from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from bridgenet import UserError
from bridgenet.imaging import writing
from bridgenet.prediction import inputs, points
from bridgenet.prediction.manifest import Manifest, read_manifest
from bridgenet.prediction.result import Prediction
from bridgenet.prediction.run import RunOptions, run_inputs
from bridgenet.prediction.video import StreamOptions, _panel

NAMES = {"semseg": ["wall", "floor"]}


class Fake:
    """Predicts depth and classes from the picture alone, and notes what it was given together."""

    tasks = ["semseg", "depth"]

    def __init__(self, batch_size: int = 1) -> None:
        self.batch_size = batch_size
        self.batches: list[list[tuple[int, ...]]] = []

    def network_size(self, picture: np.ndarray) -> tuple[int, int]:
        return picture.shape[:2]

    def __call__(self, pictures: Any) -> list[Prediction]:
        self.batches.append([picture.shape[:2] for picture in pictures])
        return [
            Prediction(
                x, {"semseg": (x[..., 0] > 99).astype(np.int64), "depth": x[..., 1].astype(np.float32) / 50}, NAMES
            )
            for x in pictures
        ]

    def stream(self, smoothing: float = 0.0) -> Any:
        return lambda picture: self([picture])[0]


def save(path: Path, height: int = 6, width: int = 9) -> str:
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(np.full((height, width, 3), (120, 100, 30), np.uint8)).save(path)
    return str(path)


def run(inputs: list[str], out: Path, predictor: Fake | None = None, rank: int = 0, world: int = 1, **options: Any):
    said: list[str] = []
    run_options = RunOptions(**options)
    counts = run_inputs(predictor or Fake(), inputs, out, say=said.append, options=run_options, rank=rank, world=world)
    return counts, said


def test_all_outputs(tmp_path: Path) -> None:
    outputs = ["raw", "colour", "panel", "overlay", "ply"]
    counts, said = run([save(tmp_path / "a.png", 40, 60)], tmp_path / "out", outputs=outputs)
    assert counts == {"images": 1, "skipped": 0, "existing": 0}
    assert "60°" in said[0]
    names = {path.name for path in (tmp_path / "out/a").iterdir()}
    coloured = {f"{task}_{how}.png" for task in Fake.tasks for how in ("colour", "overlay")}
    assert names == {"semseg.png", "depth.npy", "depth_mm.png", "panel.png", "depth.ply", *coloured}
    line = json.loads((tmp_path / "out/manifest.jsonl").read_text())
    assert (line["name"], line["width"], line["height"], line["tasks"]) == ("a", 60, 40, Fake.tasks)
    assert set(line["files"]) == names and line["seconds"] > 0
    with Image.open(tmp_path / "out/a/semseg_colour.png") as image:
        assert image.getpixel((3, 3)) == (230, 159, 0) and image.height > 40  # class 1, and the key below


def test_depth_that_16_bits_do_not_hold_is_noted(tmp_path: Path) -> None:
    class Far(Fake):
        def __call__(self, pictures: Any) -> list[Prediction]:
            return [Prediction(x, {"depth": np.full(x.shape[:2], 66, np.float32)}, {}) for x in pictures]

    note = "depth: 100 % are farther than 65.535 m in depth_mm.png, unlike in depth.npy"
    for source in (save(tmp_path / "a.png"), video(tmp_path / "b.mp4", frames=3)):
        said = run([source], tmp_path / "out", Far(), outputs=["raw"])[1]
        assert said[-1].endswith(f"{note})")
    assert [note in text for line in read_manifest(tmp_path / "out") for text in line["notes"]] == [True, True]
    assert run([source], tmp_path / "out", Far(), outputs=["panel"])[1][-1].endswith("}")


def test_outputs_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    for options, words in (
        ({"outputs": ["pane"]}, r"not an output \(did you mean panel"),
        ({"field_of_view": 200.0}, "1 to 170"),
        ({"opacity": 2.0}, "0 to 1"),
    ):
        with pytest.raises(UserError, match=words):
            run([save(tmp_path / "a.png")], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_points(tmp_path: Path) -> None:
    run([save(tmp_path / "a.png", 4, 6)], tmp_path / "out", outputs=["ply"], field_of_view=90.0)
    header, _, body = (tmp_path / "out/a/depth.ply").read_bytes().partition(b"end_header\n")
    assert b"element vertex 24\n" in header and b"90 degrees (given)" in header
    points = np.frombuffer(body, dtype=[("xyz", "<f4", 3), ("rgb", "u1", 3)])
    np.testing.assert_allclose(points["xyz"][0], (-2.5 / 3 * 2, -1.5 / 3 * 2, 2), rtol=1e-6)  # focal length: 3 pixels
    assert (points["rgb"] == (120, 100, 30)).all()


def test_batches_of_equal_sizes(tmp_path: Path) -> None:
    sizes = [(6, 9), (9, 6), (6, 9), (6, 9), (9, 6)]
    inputs = [save(tmp_path / f"{n}.png", *size) for n, size in enumerate(sizes)]
    predictor = Fake(batch_size=2)
    counts, _ = run(inputs, tmp_path / "out", predictor)
    assert counts["images"] == 5
    assert sorted(map(len, predictor.batches)) == [1, 2, 2] and all(len(set(batch)) == 1 for batch in predictor.batches)


def test_skip_existing(tmp_path: Path) -> None:
    inputs = [save(tmp_path / f"{name}.png") for name in "abc"]
    out = tmp_path / "out"
    run(inputs[:2], out)
    assert run(inputs, out, skip_existing=True)[0] == {"images": 1, "skipped": 0, "existing": 2}
    (out / "a/panel.png").unlink()
    assert run(inputs, out, skip_existing=True)[0]["images"] == 1
    assert run(inputs, out, skip_existing=True, outputs=["raw"])[0]["images"] == 3
    with (out / "manifest.jsonl").open("a") as file:
        file.write('{"input": "torn')
    assert run(inputs, out, skip_existing=True, outputs=["raw"])[0]["existing"] == 3
    assert run([save(tmp_path / "d.png")], out)[0]["images"] == 1  # written below the torn line
    assert len(read_manifest(out)) == 4


def test_processes_write_parts_of_one_manifest(tmp_path: Path) -> None:
    inputs = [save(tmp_path / f"{n}.png") for n in range(5)]
    for rank in range(2):
        run([*inputs, str(tmp_path / "none")], tmp_path / "out", rank=rank, world=2)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.jsonl")) == [
        "manifest-00000.jsonl",
        "manifest-00001.jsonl",
    ]
    lines = read_manifest(tmp_path / "out")
    assert sorted(line["input"] for line in lines) == sorted([*inputs, str(tmp_path / "none")])
    assert [line["input"] for line in lines if "error" in line] == [str(tmp_path / "none")]
    assert run(inputs, tmp_path / "out", skip_existing=True)[0]["existing"] == 5


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [save(tmp_path / f"{name}.png") for name in "ab"]
    panels = []

    def panel(self: Prediction) -> Image.Image:
        panels.append(1)
        if len(panels) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Image.new("RGB", (3, 3))

    monkeypatch.setattr(Prediction, "panel", panel)
    with pytest.raises(UserError, match=r"No space left .* 1 results .* --skip-existing"):
        run(inputs, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "manifest.jsonl"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's full device")
def test_every_writer_tells_of_a_full_disk() -> None:
    """In the system's words: NumPy and Pillow alone do not."""
    full = Path("/dev/full")
    for write in (
        lambda: writing.write_npy(full, np.zeros((300, 300))),
        lambda: writing.write_image(full, Image.new("RGB", (30, 30))),
        lambda: writing.write_png(full, np.zeros((30, 30), np.uint8)),
    ):
        with pytest.raises(OSError) as error:
            write()
        assert error.value.errno == errno.ENOSPC


def test_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [save(tmp_path / f"{name}.png") for name in "abc"]
    append = Manifest.append

    def interrupted(self: Manifest, line: Any) -> None:
        append(self, line)
        raise KeyboardInterrupt

    monkeypatch.setattr(Manifest, "append", interrupted)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run_inputs(Fake(), inputs, tmp_path / "out", say=said.append)
    assert "--skip-existing resumes the run" in said[-1]
    monkeypatch.setattr(Manifest, "append", append)
    assert run(inputs, tmp_path / "out", skip_existing=True)[0] == {"images": 2, "skipped": 0, "existing": 1}


# --- videos ---


def video(path: Path, frames: int = 6, fps: float = 12.0) -> str:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (64, 48))
    for number in range(frames):
        writer.write(np.full((48, 64, 3), (30, 40 * number, 200), np.uint8))
    writer.release()
    return str(path)


def frames_of(path: Path) -> tuple[int, float]:
    capture = cv2.VideoCapture(str(path))
    number = 0
    while capture.read()[0]:
        number += 1
    return number, capture.get(cv2.CAP_PROP_FPS)


def test_video(tmp_path: Path) -> None:
    counts, said = run([video(tmp_path / "a.mp4")], tmp_path / "out")
    assert counts["images"] == 1 and "64×48  6 frames" in said[-1]
    assert [path.name for path in (tmp_path / "out/a").iterdir()] == ["panel.mp4"]
    assert frames_of(tmp_path / "out/a/panel.mp4") == (6, 12.0)


def test_some_frames_with_their_maps(tmp_path: Path) -> None:
    options = {"outputs": ["raw", "panel"], "stream": StreamOptions(fps=4.0)}
    run([video(tmp_path / "a.mp4")], tmp_path / "out", **options)
    assert sorted(path.name for path in (tmp_path / "out/a/frames").iterdir()) == ["000000", "000003"]
    assert abs(np.load(tmp_path / "out/a/frames/000003/depth.npy").mean() - 2.4) < 0.1
    assert frames_of(tmp_path / "out/a/panel.mp4") == (2, 4.0)
    (line,) = read_manifest(tmp_path / "out")
    assert (line["frames"], line["fps"]) == (2, 4.0) and "frames/000003/semseg.png" in line["files"]
    assert run([str(tmp_path / "a.mp4")], tmp_path / "out", skip_existing=True, **options)[0]["existing"] == 1
    stop = StreamOptions(max_frames=2)
    run([str(tmp_path / "a.mp4")], tmp_path / "out", stream=stop)
    assert frames_of(tmp_path / "out/a/panel.mp4")[0] == 2


def test_damaged_videos(tmp_path: Path) -> None:
    whole = Path(video(tmp_path / "whole.mp4")).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.mp4").write_bytes(b"")
    counts, said = run([str(tmp_path / f"{name}.mp4") for name in ("cut", "empty", "whole")], tmp_path / "out")
    assert counts == {"images": 1, "skipped": 2, "existing": 0}
    assert "cut.mp4 is not a video that can be read, or a damaged one: skipped" in said[0]
    assert "(0 bytes)" in said[1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.jsonl", "whole"]


def test_video_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV does not tell: the file is looked at."""
    path = video(tmp_path / "a.mp4")
    monkeypatch.setattr("bridgenet.prediction.video.cv2.VideoWriter.write", lambda self, frame: None)
    with pytest.raises(UserError, match="No space left"):
        run([path], tmp_path / "out")
    assert not list((tmp_path / "out").glob("**/panel.mp4"))


def test_ctrl_c_switches_a_camera_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is being done: the frames before are kept. Of a video all or nothing is."""

    class Camera:
        fps, total, notes = 5.0, None, ()

        def __init__(self, *_: Any):
            pass

        def __iter__(self):
            return iter(enumerate([np.zeros((48, 64, 3), np.uint8)] * 3))

    class Interrupted(Fake):
        def stream(self, smoothing: float = 0.0):
            seen = []

            def predict(picture):
                seen.append(picture)
                if len(seen) == 3:
                    raise KeyboardInterrupt
                return self([picture])[0]

            return predict

    monkeypatch.setattr("bridgenet.prediction.video.Frames", Camera)
    said: list[str] = []
    run_inputs(Interrupted(), ["0"], tmp_path / "out", say=said.append)
    assert run(["0"], tmp_path / "out", skip_existing=True)[0]["existing"] == 0  # it shows something else now
    run_inputs(Interrupted(), ["0"], tmp_path / "out", say=said.append)
    assert frames_of(tmp_path / "out/camera0/panel.mp4")[0] == 2
    with pytest.raises(KeyboardInterrupt):
        run_inputs(Interrupted(), [video(tmp_path / "a.mp4")], tmp_path / "out", say=said.append)
    assert not (tmp_path / "out/a").exists()


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    inputs = [save(tmp_path / name) for name in ("a\udcff.png", "b\u2028.png")]
    assert run(inputs, tmp_path / "out")[0]["images"] == 2
    assert [line["input"] for line in read_manifest(tmp_path / "out")] == inputs
    assert run(inputs, tmp_path / "out", skip_existing=True)[0]["existing"] == 2


def test_no_camera(tmp_path: Path) -> None:
    assert "camera 97 cannot be opened" in run(["97"], tmp_path / "out")[1][0]


@pytest.mark.parametrize("options", [{"fps": 0.0}, {"max_frames": 0}])
def test_wrong_stream_options(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="expected"):
        StreamOptions(**options)


def test_a_folder_never_has_results_of_two_inputs(tmp_path: Path) -> None:
    """Names shift when a picture comes before: what the former one left behind in its folder goes."""
    out, everything = tmp_path / "out", ["raw", "colour", "panel"]
    run([save(tmp_path / "in/a.png")], out, outputs=everything)
    run([str(tmp_path / "in/a.png")], out, outputs=["ply"])
    assert {"depth.ply", "panel.png"} <= {path.name for path in (out / "a").iterdir()}  # more of the same input
    (out / "a/notes.txt").write_text("mine")
    run([save(tmp_path / "in/a.jpg"), str(tmp_path / "in/a.png")], out, outputs=["panel"])
    assert {path.name for path in (out / "a").iterdir()} == {"panel.png", "notes.txt"}


def test_frames_of_another_video_go(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in "12":
        (tmp_path / name).mkdir()
    run([video(tmp_path / "1/a.mp4")], out, outputs=["raw", "panel"])
    run([video(tmp_path / "2/a.mp4")], out)
    assert [path.name for path in (out / "a").iterdir()] == ["panel.mp4"]


def test_an_input_of_two_names(tmp_path: Path) -> None:
    """What was passed over before it had a name is no longer told once it is there."""
    path, out = tmp_path / "in/a.png", tmp_path / "out"
    run([str(path)], out)
    save(path)
    run([str(path)], out)
    save(tmp_path / "in/a.jpg")
    for existing in (0, 2):  # a is a.jpg's now
        assert run([str(tmp_path / "in")], out, skip_existing=True)[0]["existing"] == existing
    lines = [(Path(line["input"]).name, line["name"]) for line in read_manifest(out)]
    assert sorted(lines) == [("a.jpg", "a"), ("a.png", "a"), ("a.png", "a-2")]


class Greedy(Fake):
    """Has memory for a single picture of at most 100 pixels."""

    def __call__(self, pictures: Any) -> list[Prediction]:
        if len(pictures) > 1 or pictures[0].size > 300:
            self.batches.append([])
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().__call__(pictures)


def test_pictures_that_are_too_large_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MOST_PIXELS", 60)
    paths = [save(tmp_path / "a.png"), save(tmp_path / "b.png", 7, 9)]
    counts, said = run(paths, tmp_path / "out")
    assert counts["images"] == counts["skipped"] == 1
    assert f"! {paths[1]} is too large: 9×7 pixels; at most 0 million pixels are read" in said[0] + said[1]


def test_out_of_memory(tmp_path: Path) -> None:
    """Batches are taken apart, and what is too large alone is passed over."""
    inputs = [save(tmp_path / f"{n}.png") for n in range(4)] + [save(tmp_path / "large.png", 60, 90)]
    predictor = Greedy(batch_size=2)
    counts, said = run(inputs, tmp_path / "out", predictor)
    assert counts == {"images": 4, "skipped": 1, "existing": 0}
    assert list(map(len, predictor.batches)) == [0, 1, 1, 1, 1, 0]
    assert "large.png (90×60) needs more memory than there is; give fewer --max-pixels" in said[-1]
    assert {line["input"] for line in read_manifest(tmp_path / "out") if "error" in line} == {inputs[-1]}


def test_other_errors_of_the_network_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Fake, pictures: Any) -> list[Prediction]:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(Fake, "__call__", broken)
    with pytest.raises(RuntimeError, match="do not fit"):
        run([save(tmp_path / "a.png")], tmp_path / "out")


def test_bits_of_classes_follow_their_number(tmp_path: Path) -> None:
    """Not the picture: all files of a folder are alike."""
    picture, labels = np.zeros((4, 5, 3), np.uint8), np.ones((4, 5), np.int64)
    for number, dtype in ((256, np.uint8), (257, np.uint16)):
        names = {"semseg": [str(n) for n in range(number)]}
        Prediction(picture, {"semseg": labels}, names).save(tmp_path / str(number), ["raw"])
        assert cv2.imread(str(tmp_path / f"{number}/semseg.png"), cv2.IMREAD_UNCHANGED).dtype == dtype


def test_opacity_of_overlays() -> None:
    """From the photo alone to the colours alone; probabilities tint it, also at 1."""
    picture = np.full((8, 9, 3), (10, 60, 200), np.uint8)
    result = Prediction(picture, {"semseg": np.zeros((8, 9), np.int64), "sal": np.full((8, 9), 0.5, np.float32)}, NAMES)

    def corner(task: str, opacity: float | None) -> tuple[int, ...]:
        return result.coloured(task, opacity=opacity).getpixel((0, 0))

    assert corner("semseg", 0) == corner("sal", 0) == (10, 60, 200)
    assert corner("semseg", 1) == corner("semseg", None) == (0xD4, 0xD4, 0xD0)
    assert corner("sal", 1) == (112, 77, 100)  # half photo, half tint
    assert corner("sal", None) == (128, 128, 128)


def test_few_points_of_a_large_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "MAX_POINTS", 100)
    content = points.point_cloud(np.full((40, 30), 2.0, np.float32), np.zeros((40, 30, 3), np.uint8), 60)
    assert b"element vertex 80\n" in content  # every 4th row and column


def test_colours_of_a_video_follow_slowly() -> None:
    """A tenth of the way to each frame's own range."""
    ranges: dict[str, tuple[float, float]] = {}
    for depth in ((1.0, 3.0), (2.0, 5.0)):
        values = np.repeat(np.array(depth, np.float32), 500).reshape(20, 50)
        _panel(Prediction(np.zeros((20, 50, 3), np.uint8), {"depth": values}), ranges)
    np.testing.assert_allclose(ranges["depth"], (1.1, 3.2))
