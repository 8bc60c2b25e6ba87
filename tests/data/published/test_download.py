"""From an address to a folder that training can read."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgenet.data import NYUDv2
from bridgenet.data.published.download import download
from bridgenet.downloads import fetch as web
from bridgenet.errors import UserError
from tests.data.layouts import make_nyud
from tests.server import Site, serving


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serves NYUD-v2's layout as an archive."""
    monkeypatch.setattr(web, "PAUSES", (0.0,))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(make_nyud(tmp_path / "source"), "NYUDv2")
    with serving(Site(packed.getvalue())) as running:
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_downloaded_data_can_be_read(site: Site, root: Path) -> None:
    site.cut_after = [1000]
    folder, digest = download("nyud", root, urls=[site.url])
    assert folder == root / "NYUDv2"
    assert len(digest) == 64
    assert names(root) == ["NYUDv2"]
    assert len(NYUDv2(root, "train")) == 3


def test_folder_that_is_there_is_left_alone(site: Site, root: Path) -> None:
    (root / "NYUDv2").mkdir(parents=True)
    (root / "NYUDv2" / "mine").write_text("mine")
    assert download("nyud", root, urls=[site.url]) == (root / "NYUDv2", "")
    assert names(root / "NYUDv2") == ["mine"]
    assert site.asked == []


def test_archive_is_kept_if_asked(site: Site, root: Path) -> None:
    download("nyud", root, urls=[site.url], keep_archive=True)
    assert names(root) == ["NYUDv2", "NYUDv2.tar.gz", "NYUDv2.tar.gz.sha256"]
    (root / "NYUDv2").rename(root / "old")
    download("nyud", root, urls=[site.url])
    assert len(site.asked) == 1  # the archive that is there was unpacked


def test_archive_put_there_by_hand_is_unpacked(site: Site, root: Path) -> None:
    root.mkdir()
    (root / "NYUDv2.tar.gz").write_bytes(site.content)
    download("nyud", root)
    assert len(NYUDv2(root, "val")) == 2


def test_damaged_archive_is_deleted_and_the_next_run_is_well(site: Site, root: Path) -> None:
    content = site.content
    site.content = content[:-2000]
    with pytest.raises(UserError, match=r"NYUDv2.tar.gz is damaged .* It was deleted: run the same command again"):
        download("nyud", root, urls=[site.url])
    assert names(root) == []
    site.content = content
    download("nyud", root, urls=[site.url])
    assert names(root) == ["NYUDv2"]


def test_damaged_archive_of_the_user_is_kept(site: Site, root: Path) -> None:
    root.mkdir()
    archive = root / "NYUDv2.tar.gz"
    archive.write_bytes(site.content[:-2000])
    with pytest.raises(UserError, match=r"damaged .*Delete it and run the same command again"):
        download("nyud", root, urls=[site.url])
    assert names(root) == ["NYUDv2.tar.gz"]
    archive.write_bytes(site.content)  # a better copy is not taken for a change of the first
    download("nyud", root, urls=[site.url])
    assert names(root) == ["NYUDv2"]


def test_archive_of_another_data_set(site: Site, root: Path) -> None:
    with pytest.raises(UserError, match=r"found NYUDv2, expected PASCALContext/ImageSets/Context/train.txt"):
        download("pascal", root, urls=[site.url])
    assert names(root) == []
