"""A manifest of somebody else, or of garbage: nothing outside of the results is touched, and nothing fails."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgenet.errors import UserError
from bridgenet.prediction.manifest import Manifest, read_manifest
from tests.prediction.test_run import run, save

SETTINGS: dict[str, Any] = {"outputs": None}
names = st.sampled_from(
    ["a", "a/b", "..", ".", "", "../victim", "../../victim.txt", "/", "a/../..", "x\0y", "victim.txt", "\udc80"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | names,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3) | names, inside, max_size=3),
    max_leaves=6,
)
lines = st.fixed_dictionaries(
    {},
    optional={
        "input": anything | st.just("i.png"),
        "time": anything,
        "name": names | anything,
        "files": st.lists(names, max_size=4) | anything,
        "settings": st.just(SETTINGS) | anything,
        "error": anything,
    },
)
written = st.lists((lines | anything).map(json.dumps).map(str.encode) | st.binary(max_size=30), max_size=5)


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@settings(max_examples=150, deadline=None)
@given(written)
def test_any_manifest(tmp_path_factory: pytest.TempPathFactory, content: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("any")
    out = folder / "out"
    for path in (folder / "victim.txt", folder / "victim", out / "victim.txt", out / "a/b/mine.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (out / "manifest.jsonl").write_bytes(b"\n".join(content))
    before = tree(folder)
    manifest = Manifest(out)
    for name in ("a", "b"):
        manifest.is_done("i.png", name, SETTINGS)
        manifest.clear("new.png", name, SETTINGS, ["new.png"])
    read_manifest(out)
    assert tree(folder) == before


def line(files: list[str], name: str = "a") -> str:
    return json.dumps({"input": "o.png", "time": "2020", "name": name, "files": files, "settings": {}}) + "\n"


@pytest.mark.parametrize("name", ["a", "..", "a/../.."])
@pytest.mark.parametrize("file", ["../../victim.txt", "../victim.txt", "../../out/../victim.txt"])
def test_files_outside_stay(name: str, file: str, tmp_path: Path) -> None:
    (tmp_path / "out/a").mkdir(parents=True)
    for place in ("victim.txt", "out/victim.txt"):
        (tmp_path / place).write_text("precious")
    absolute = str(tmp_path / "victim.txt")
    (tmp_path / "out/manifest.jsonl").write_text(line([file, absolute], name) + line([absolute], str(tmp_path)))
    assert run([save(tmp_path / "a.png")], tmp_path / "out", outputs=["raw"])[0]["images"] == 1
    assert (tmp_path / "victim.txt").exists() and (tmp_path / "out/victim.txt").exists()


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_links_lead_nowhere(tmp_path: Path) -> None:
    picture, out, precious = save(tmp_path / "a.png"), tmp_path / "out", tmp_path / "elsewhere/000000/x.png"
    precious.parent.mkdir(parents=True)
    precious.touch()
    (out / "a").mkdir(parents=True)
    (out / "a/frames").symlink_to(tmp_path / "elsewhere")
    (out / "manifest.jsonl").write_text(line(["frames/000000/x.png"]))
    run([picture], out, outputs=["raw"])
    assert precious.exists()
    (out / "b").symlink_to(tmp_path / "elsewhere")
    counts, said = run([picture.replace("a.png", "b.png"), save(tmp_path / "b.png")], out, outputs=["raw"])
    assert counts["skipped"] == 1 and "is behind a link that leads out of" in said[0]
    assert tree(tmp_path / "elsewhere") == {"000000", "000000/x.png"}


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_a_manifest_that_is_no_file(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    for place in (
        lambda: manifest.symlink_to(tmp_path / "elsewhere"),
        lambda: os.mkfifo(manifest),
        lambda: manifest.mkdir(),
    ):
        place()
        with pytest.raises(UserError, match="is no regular file; expected the record of earlier predictions"):
            Manifest(tmp_path)
        assert read_manifest(tmp_path) == []
        manifest.rmdir() if manifest.is_dir() else manifest.unlink()
