"""Results of open pages: what is kept, for how many, and what is said where nothing is left."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bridgenet.app import results
from bridgenet.app.results import Results, unused
from bridgenet.errors import UserError
from bridgenet.prediction import Prediction


def prediction(depth: float = 1.0) -> Prediction:
    maps = {"semseg": np.zeros((8, 9), np.int64), "depth": np.full((8, 9), depth, np.float32)}
    return Prediction(np.zeros((8, 9, 3), np.uint8), maps, {"semseg": ("wall", "floor")})


def test_zip_has_every_map_of_every_picture(tmp_path: Path) -> None:
    kept = Results(tmp_path)
    place = kept.make()
    for number, name in enumerate(("a.jpg", "a.png", "bridgenet.zip")):
        kept.put(place, name, prediction(number))
    archive = zipfile.ZipFile(kept.packed(place))
    assert set(archive.namelist()) == {
        f"{name}/{file}"
        for name in ("a", "a-2", "bridgenet")
        for file in ("depth.npy", "depth_mm.png", "panel.png", "semseg.png")
    }
    with archive.open("a-2/depth.npy") as file:
        assert (np.load(file) == 1).all()


def test_views(tmp_path: Path) -> None:
    kept = Results(tmp_path)
    place = kept.make()
    kept.put(place, "a.jpg", prediction())
    assert kept.view(place, "a.jpg").count('class="bn-view"') == 2
    with pytest.raises(UserError, match=r"no result of b\.jpg"):
        kept.view(place, "b.jpg")


def test_oldest_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MOST_KEPT", 2)
    kept = Results(tmp_path)
    places = [kept.make() for _ in range(3)]
    assert [Path(place).exists() for place in places] == [False, True, True]
    with pytest.raises(UserError, match=r"these were deleted\. Predict again"):
        kept.view(places[0], "a.jpg")
    with pytest.raises(UserError, match=r"these were deleted\. Predict again"):
        kept.packed(places[0])


def test_only_own_folders_are_deleted(tmp_path: Path) -> None:
    kept = Results(tmp_path)
    place = kept.make()
    kept.delete(str(tmp_path))
    kept.delete("")
    assert Path(place).exists()
    kept.delete(place)
    assert not Path(place).exists() and tmp_path.exists()


def test_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of that picture stays, and the others do."""
    kept = Results(tmp_path)
    place = kept.make()
    kept.put(place, "a.jpg", prediction())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(results, "views", full)
        with pytest.raises(UserError, match=r"the results of b\.jpg cannot be written: No space left on device"):
            kept.put(place, "b.jpg", prediction())
        patch.setattr(zipfile.ZipFile, "write", full)
        with pytest.raises(UserError, match="the zip cannot be written: No space left"):
            kept.packed(place)
    assert {path.name for path in (Path(place) / "pictures").iterdir()} == {"a.jpg"}
    assert {name.partition("/")[0] for name in zipfile.ZipFile(kept.packed(place)).namelist()} == {"a"}
    shutil.rmtree(place)
    with pytest.raises(UserError, match=r"no result of a\.jpg"):
        kept.view(place, "a.jpg")


def test_names() -> None:
    assert unused("a.png", []) == "a.png"
    assert unused("A.png", ["a.png", "a-2.png"]) == "A-3.png"
