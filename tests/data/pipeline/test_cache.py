from __future__ import annotations

import gc
import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bridgenet.data import NYUDv2
from bridgenet.data.pipeline import cache
from bridgenet.data.pipeline.cache import SampleCache, open_cache
from bridgenet.data.pipeline.loading import training_loader
from bridgenet.errors import UserError
from tests.data.layouts import make_nyud, write


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NYUDv2]:
    """A data set whose cache in memory lies in a folder of the test's."""
    monkeypatch.setattr(cache, "SHARED_MEMORY", tmp_path / "shm")
    monkeypatch.setattr(cache, "RESERVE", 0)
    (tmp_path / "shm").mkdir()
    yield NYUDv2(make_nyud(tmp_path).parent, "train")
    gc.collect()


def opened(dataset: NYUDv2, kind: cache.Kind, tmp_path: Path) -> SampleCache:
    found = open_cache(dataset, kind, tmp_path / "cache")
    assert found is not None
    return found


def reads(dataset: NYUDv2, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The indices that the data set is asked to decode from now on."""
    seen: list[int] = []
    monkeypatch.setattr(dataset, "compact", lambda index: (seen.append(index), NYUDv2.compact(dataset, index))[1])
    return seen


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/b", "..", "", "ä\\b", "x" * 300])
def test_the_name_of_a_data_set_is_no_path(
    dataset: NYUDv2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(NYUDv2, "info", replace(NYUDv2.info, name=name))
    assert opened(dataset, "disk", tmp_path).folder.parent == tmp_path / "cache"
    assert opened(dataset, "memory", tmp_path).folder.parent == tmp_path / "shm"


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_every_sample_is_decoded_once(
    kind: cache.Kind, dataset: NYUDv2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = reads(dataset, monkeypatch)
    kept = opened(dataset, kind, tmp_path)
    for _ in range(2):
        for index in range(3):
            sample, expected = kept.compact(index), NYUDv2.compact(dataset, index)
            assert list(sample) == list(expected)
            for name, array in expected.items():
                assert sample[name].dtype == array.dtype
                np.testing.assert_array_equal(sample[name], array)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_training_gets_the_same_batches(num_workers: int, dataset: NYUDv2, tmp_path: Path) -> None:
    def batches(kept: SampleCache | None) -> list[dict[str, torch.Tensor]]:
        loader = training_loader(
            dataset,
            size=(6, 7),
            batch_size=2,
            seed=5,
            num_workers=num_workers,
            start_step=0,
            end_step=4,
            cache=kept,
        )
        return list(loader)

    kept = opened(dataset, "memory", tmp_path)
    for left, right in zip(batches(None), batches(kept), strict=True):
        assert all(torch.equal(left[name], right[name]) for name in left if name != "id")
    assert sum(1 for _ in kept.folder.glob("*.safetensors")) == 3  # shared: the workers' decoding is everybody's


def test_changed_file_is_read_anew(dataset: NYUDv2, tmp_path: Path) -> None:
    kept = opened(dataset, "disk", tmp_path)
    kept.compact(0)
    path = dataset.target_paths("edge", 0)[0]
    write(path, np.full((8, 10), 255, np.uint8))
    assert (kept.compact(0)["edge"] == 1).all()
    status = path.stat()
    write(path, np.zeros((8, 10), np.uint8))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))  # even if size and clock do not tell
    assert not kept.compact(0)["edge"].any()


def test_damaged_file_of_the_cache_is_written_again(dataset: NYUDv2, tmp_path: Path) -> None:
    kept = opened(dataset, "disk", tmp_path)
    kept.compact(0)
    (file,) = kept.folder.glob("*.safetensors")
    whole = file.read_bytes()
    for content in (b"", whole[:-7], b"x" * 100):
        file.write_bytes(content)
        assert np.array_equal(kept.compact(0)["depth"], dataset.compact(0)["depth"])
        assert file.read_bytes() == whole


def test_missing_file_is_told_as_without_a_cache(dataset: NYUDv2, tmp_path: Path) -> None:
    kept = opened(dataset, "disk", tmp_path)
    kept.compact(0)
    dataset.target_paths("edge", 0)[0].unlink()
    with pytest.raises(UserError, match=r"edge/0001.png is missing"):
        kept.compact(0)


def test_disk_stays_and_is_found_again_by_the_same_data_and_tasks(
    dataset: NYUDv2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(dataset, "disk", tmp_path).compact(0)
    gc.collect()
    seen = reads(dataset, monkeypatch)
    opened(dataset, "disk", tmp_path).compact(0)
    assert seen == []
    other = NYUDv2(dataset.folder.parent, "train", ["depth"])
    assert list(opened(other, "disk", tmp_path).compact(0)) == ["image", "depth"]


def test_memory_is_given_back_by_the_last_to_use_it(dataset: NYUDv2, tmp_path: Path) -> None:
    first, second = opened(dataset, "memory", tmp_path), opened(dataset, "memory", tmp_path)
    folder = first.folder
    assert folder == second.folder and folder.parent == tmp_path / "shm"
    first.compact(0)
    worker = pickle.loads(pickle.dumps(first))
    assert worker.compact(0).keys() == first.compact(0).keys()
    del first, worker
    gc.collect()
    assert folder.is_dir()
    del second
    gc.collect()
    assert not folder.exists()


def test_without_room_the_rest_is_decoded_each_time(
    dataset: NYUDv2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = opened(dataset, "disk", tmp_path)
    monkeypatch.setattr(cache, "RESERVE", 2**60)
    assert kept.compact(0).keys() == kept.compact(0).keys()
    assert not list(kept.folder.iterdir())
    assert capsys.readouterr().err.count("no more decoded samples are kept") == 1
    assert "there is room for 0 GB" in kept.describe()


def test_failing_write_is_told_and_leaves_nothing(
    dataset: NYUDv2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "save_file", fail)
    kept = opened(dataset, "disk", tmp_path)
    assert np.array_equal(kept.compact(1)["depth"], dataset.compact(1)["depth"])
    assert "No space left on device" in capsys.readouterr().err
    assert not list(kept.folder.iterdir())


def test_folder_that_cannot_be_written(dataset: NYUDv2, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match=r"cannot be written: .*--data.cache-folder"):
        opened(dataset, "disk", tmp_path)


def test_where_it_lies_and_what_it_takes(dataset: NYUDv2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_cache(dataset, "none") is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("BRIDGENET_CACHE", raising=False)
    found = open_cache(dataset, "disk")
    assert found is not None and found.folder.parent == tmp_path / "xdg/bridgenet"
    monkeypatch.setenv("BRIDGENET_CACHE", str(tmp_path / "own"))
    found = open_cache(dataset, "disk")
    assert found is not None and found.folder.parent == tmp_path / "own"
    num_bytes = 8 * 10 * (3 + 1 + 4 + 3 + 1) * 3
    assert found.describe() == (
        f"decoded samples are kept in {found.folder}: about {num_bytes / 1e9:.3g} GB for 3 samples"
    )
