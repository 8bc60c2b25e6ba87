"""Whatever a picture's name is: its results lie in a folder of their own below the output, or it is told why not."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgenet.prediction.inputs import _name, find_inputs
from bridgenet.prediction.video import Frames, StreamOptions
from tests.prediction.test_run import run, save

pytestmark = pytest.mark.skipif(os.name != "posix", reason="names and links of POSIX")


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("...png", "_.."), ("..png", "_."), ("manifest.jsonl.png", "_manifest.jsonl"), ("-dash.png", "-dash"),
        ("new\nline.png", "new\nline"), ("photo[1].png", "photo[1]"), ("noext", "noext"), ("n" * 251 + ".png", "n" * 251),
        ("a\\..\\b.png", "a\\..\\b"),
    ],
)  # fmt: skip
def test_odd_names(file: str, folder: str, tmp_path: Path) -> None:
    Path(save(tmp_path / "in/a.png")).rename(tmp_path / "in" / file)
    assert run([str(tmp_path / "in" / file)], tmp_path / "out", outputs=["raw"])[0]["images"] == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([folder, "manifest.jsonl"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@given(st.lists(st.text(st.sampled_from("./\\a-"), min_size=1, max_size=6), min_size=1, max_size=3))
def test_names_lead_below(parts: list[str]) -> None:
    path = Path(*(part.replace("/", "") or "x" for part in parts))
    if ".." not in path.parent.parts and path.name:
        assert os.path.normpath(Path("out") / _name(path)).startswith("out" + os.sep)


def test_places_that_are_taken_are_told(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").write_text("mine")
    counts, said = run([save(tmp_path / "a.png"), save(tmp_path / "b.png")], tmp_path / "out", outputs=["raw"])
    assert (counts["images"], counts["skipped"]) == (1, 1)
    assert "a.png: its results cannot be written to" in said[0]
    assert (tmp_path / "out/a").read_text() == "mine"


def test_links_and_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "in/a.png")
    save(tmp_path / "elsewhere/b.png")
    for link, target in [
        ("in/linked", "../elsewhere"), ("in/dead.png", "nowhere"), ("in/d.png", "a.png"), ("in/up", ".."), ("l.png", "in/a.png"),
    ]:  # fmt: skip
        (tmp_path / link).symlink_to(target)
    os.mkfifo("in/pipe.png")
    found, skipped = find_inputs(
        ["in", "in/a.png", "l.png", "in/p*", "in/pipe.png", "in/dead.png", "x\0y"], Path("out")
    )
    assert [(entry.name, entry.source) for entry in found] == [
        ("a", "in/a.png"), ("linked/b", "in/linked/b.png")
    ]  # fmt: skip
    assert [reason for _, reason in skipped] == [
        "in/dead.png is a dead link: nowhere does not exist",
        "in/pipe.png is a named pipe, expected a file",
        f"in/up is a link to a folder above it, {tmp_path}: not followed",
        "in/d.png is in/a.png under another name",
        "l.png is in/a.png under another name",
        "in/pipe.png is a named pipe, expected a file",
        "in/pipe.png is a named pipe, expected a file",
        "in/dead.png is a dead link: nowhere does not exist",
        "'x\\x00y' is no path: embedded null byte",
    ]


@pytest.mark.parametrize(("turned", "quarters"), [(90, 3), (180, 2), (270, 1)])
def test_videos_are_turned_as_they_say(turned: int, quarters: int, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 12.0, (64, 48))
    writer.write(np.kron([[250, 20], [100, 160]], np.ones((24, 32)))[..., None].repeat(3, 2).astype(np.uint8))
    writer.release()
    (_, plain), *_ = Frames(find_inputs([str(path)])[0][0], StreamOptions())
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44  # of the matrix in a header of version 0, clockwise
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[turned]
    matrix = [cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0]
    content[place : place + 24] = struct.pack(">6i", *matrix)
    path.write_bytes(content)
    (_, frame), *_ = Frames(find_inputs([str(path)])[0][0], StreamOptions())
    assert (
        np.abs(frame.astype(int) - np.rot90(plain, quarters)).mean()
        < 2
        < np.abs(frame.astype(int) - np.rot90(plain, quarters + 2)).mean()
    )
