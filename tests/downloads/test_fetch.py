"""Downloads from a server on this machine, with the faults of real ones."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bridgenet.downloads import fetch as download
from bridgenet.downloads.fetch import fetch
from bridgenet.errors import UserError
from tests.server import Site, serving

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
NOBODY = "http://127.0.0.1:9/file"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(CONTENT)) as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "file.bin"


def ranges(site: Site) -> list[str]:
    return [request.get("Range", "") for request in site.asked]


def cut(site: Site, target: Path, after: int) -> None:
    """Leave an unfinished download of so many bytes behind, as a process that was killed does."""
    site.cut_after = [after]

    def stop(done: int, total: int | None) -> None:
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch([f"{site.url}/file"], target, progress=stop)
    assert download.partial_size(target) == after
    assert not target.exists()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_and_checksum(site: Site, target: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    digest = fetch([site.url], target, progress=lambda done, total: steps.append((done, total)))
    assert digest == hashlib.sha256(CONTENT).hexdigest()
    assert target.read_bytes() == CONTENT
    assert (target.parent / "file.bin.sha256").read_text() == f"{digest}  file.bin\n"
    assert names(target.parent) == ["file.bin", "file.bin.sha256"]
    assert steps[0] == (0, len(CONTENT))
    assert steps[-1] == (len(CONTENT), len(CONTENT))


def test_cut_connection_goes_on_where_it_was(site: Site, target: Path) -> None:
    site.cut_after = [100_000, 50_000, 1000, 1]
    fetch([site.url], target)
    assert target.read_bytes() == CONTENT
    assert ranges(site) == ["", "bytes=100000-", "bytes=150000-", "bytes=151000-", "bytes=151001-"]


def test_connection_that_brings_nothing_more_is_given_up(site: Site, target: Path) -> None:
    site.cut_after = [100_000, *[0] * 9]
    with pytest.raises(UserError, match=r"(?s)the connection ended after 100000 of 300000 bytes.*0.1 MB are kept"):
        fetch([site.url], target)
    assert len(site.asked) == 3
    site.cut_after = []
    fetch([site.url], target)
    assert target.read_bytes() == CONTENT
    assert ranges(site)[-1] == "bytes=100000-"


def test_silent_server_is_asked_again(site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    site.cut_after, site.silent = [2 * download.BLOCK], 0.4
    fetch([site.url], target)
    assert target.read_bytes() == CONTENT
    assert len(site.asked) == 2


def test_stopped_download_goes_on_in_another_call(site: Site, target: Path) -> None:
    cut(site, target, 100_000)
    fetch([f"{site.url}/file"], target)
    assert target.read_bytes() == CONTENT
    assert ranges(site) == ["", "bytes=100000-"]
    assert names(target.parent) == ["file.bin", "file.bin.sha256"]


def test_killed_process_goes_on(site: Site, target: Path) -> None:
    """Nothing but what is on the disk is needed to go on."""
    site.cut_after = [200_000]
    code = "import sys, time, pathlib; from bridgenet.downloads.fetch import fetch\n"
    code += "fetch([sys.argv[1]], pathlib.Path(sys.argv[2]), progress=lambda done, total: done >= 200_000 and time.sleep(60))"
    process = subprocess.Popen([sys.executable, "-c", code, site.url, str(target)], env={**os.environ})
    while download.partial_size(target) < 200_000 and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.wait()
    fetch([site.url], target)
    assert target.read_bytes() == CONTENT
    assert ranges(site) == ["", "bytes=200000-"]


def test_server_without_ranges_starts_again(site: Site, target: Path) -> None:
    site.ranges = False
    cut(site, target, 100_000)
    fetch([f"{site.url}/file"], target)
    assert target.read_bytes() == CONTENT


def test_server_that_does_not_name_versions_starts_again(site: Site, target: Path) -> None:
    site.names_version = False
    cut(site, target, 100_000)
    fetch([f"{site.url}/file"], target)
    assert target.read_bytes() == CONTENT
    assert ranges(site) == ["", ""]


@pytest.mark.parametrize("minds_version", [True, False])
def test_changed_file_starts_again(site: Site, target: Path, minds_version: bool) -> None:
    """Also from a server that sends a part of the new version though it was asked for the old one."""
    cut(site, target, 100_000)
    site.content, site.minds_version = OTHER, minds_version
    fetch([f"{site.url}/file"], target)
    assert target.read_bytes() == OTHER


def test_part_is_not_continued_from_another_address(site: Site, target: Path) -> None:
    cut(site, target, 100_000)
    with serving(Site(OTHER)) as mirror:
        fetch([f"{mirror.url}/file"], target)
        assert target.read_bytes() == OTHER
        assert ranges(mirror) == [""]


def test_part_without_a_record_is_not_trusted(site: Site, target: Path) -> None:
    cut(site, target, 100_000)
    (target.parent / ".file.bin.part.json").write_text("{")
    fetch([f"{site.url}/file"], target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_part_that_reaches_the_end(site: Site, target: Path, extra: bytes) -> None:
    """All bytes came but the process was killed before it could say so; or there are too many."""
    cut(site, target, 100_000)
    (target.parent / ".file.bin.part").write_bytes(CONTENT + extra)
    fetch([f"{site.url}/file"], target)
    assert target.read_bytes() == CONTENT
    assert ranges(site)[1] == f"bytes={len(CONTENT + extra)}-"


def test_length_that_is_not_true(site: Site, target: Path) -> None:
    site.claimed_length = len(CONTENT) + 5
    with pytest.raises(UserError, match=r"HTTP 416|after 300000 of 300005 bytes"):
        fetch([site.url], target)
    assert not target.exists()


def test_length_that_is_not_told(site: Site, target: Path) -> None:
    site.tells_length = False
    fetch([site.url], target)
    assert target.read_bytes() == CONTENT


def test_next_address_and_all_reasons(site: Site, target: Path) -> None:
    site.codes = [404]
    fetch([NOBODY, f"{site.url}/gone", f"{site.url}/there"], target)
    assert target.read_bytes() == CONTENT
    target.unlink()
    site.codes = [404]
    with pytest.raises(UserError) as error:
        fetch([NOBODY, f"{site.url}/gone"], target)
    lines = str(error.value).splitlines()
    assert lines[0] == "file.bin could not be downloaded:"
    assert lines[1].startswith(f"         {NOBODY}: no connection (")
    assert lines[2] == f"         {site.url}/gone: HTTP 404 Not Found"
    assert f"--url, or download it by hand, put it at {target}" in lines[3]
    assert ".file.bin.part" not in names(target.parent)


def test_busy_server_is_asked_again(site: Site, target: Path) -> None:
    site.codes = [503, 429]
    fetch([site.url], target)
    assert len(site.asked) == 3


def test_web_page_is_not_taken_for_the_file(site: Site, target: Path) -> None:
    site.content_type = "text/html; charset=utf-8"
    with pytest.raises(UserError, match="this is a web page, not the file"):
        fetch([site.url], target)


def test_redirects(site: Site, target: Path) -> None:
    site.redirect = f"{site.url}/moved"
    site.cut_after = [100_000]
    fetch([f"{site.url}/file"], target)
    assert target.read_bytes() == CONTENT
    assert [(request["path"], request.get("Range")) for request in site.asked] == [
        ("/file", None),
        ("/moved", None),
        ("/file", "bytes=100000-"),
        ("/moved", "bytes=100000-"),
    ]


@pytest.mark.parametrize("scheme", ["file", "ftp"])
def test_redirect_to_another_scheme_is_refused(site: Site, target: Path, tmp_path: Path, scheme: str) -> None:
    (tmp_path / "secret").write_text("secret")
    site.redirect = f"{scheme}://{tmp_path}/secret"
    with pytest.raises(UserError, match=f"{scheme}://.*(not allowed|refused)"):
        fetch([site.url], target)
    assert names(target.parent) == []


def test_redirect_from_https_to_http_is_refused() -> None:
    request = urllib.request.Request("https://example.org/file")
    with pytest.raises(download.Failed, match=r"sends on to http://example.org/file, which is refused"):
        download._Redirects().redirect_request(request, None, 302, "Found", {}, "http://example.org/file")


@pytest.mark.parametrize(
    "url", ["file:///etc/hosts", "ftp://a/b", "data:,x", "example.org/file", "https://", "http://["]
)
def test_addresses_that_are_none(url: str, target: Path) -> None:
    with pytest.raises(UserError, match=re.escape(f"{url}: expected an address that begins with https://")):
        fetch([url], target)


def test_known_checksum(site: Site, target: Path) -> None:
    wanted = hashlib.sha256(OTHER).hexdigest()
    with serving(Site(OTHER)) as mirror:
        assert fetch([site.url, mirror.url], target, sha256=wanted) == wanted
    assert target.read_bytes() == OTHER
    target.unlink()
    with pytest.raises(UserError, match=f"found sha256 [0-9a-f]+, expected {wanted}"):
        fetch([site.url], target, sha256=wanted)
    assert not target.exists()
    assert download.partial_size(target) == 0


def test_file_that_is_there_is_checked(site: Site, target: Path) -> None:
    fetch([site.url], target)
    assert fetch([site.url], target) == hashlib.sha256(CONTENT).hexdigest()
    assert len(site.asked) == 1
    target.write_bytes(OTHER)
    with pytest.raises(UserError, match=r"file.bin: found sha256 .*, expected .*file.bin.sha256\).*delete"):
        fetch([site.url], target)


def test_file_put_there_by_hand(target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    digest = fetch([], target)
    assert download.checksum_file(target).read_text().split() == [digest, "file.bin"]
    with pytest.raises(UserError, match="the published file"):
        fetch([], target, sha256="0" * 64)


def test_full_disk_is_told_before(site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=299_999))
    with pytest.raises(UserError, match=r"0.0 GB are free.*Make room"):
        fetch([site.url], target)
    assert names(target.parent) == []


def test_disk_that_cannot_be_written_is_no_fault_of_the_server(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, block: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download._Partial, "append", full)
    with pytest.raises(OSError, match="No space left"):
        fetch([site.url], target)
    assert len(site.asked) == 1


def test_two_processes_do_not_mix_their_bytes(site: Site, target: Path) -> None:
    pytest.importorskip("fcntl")
    told: list[str] = []

    def meanwhile(done: int, total: int | None) -> None:
        if not told:
            with pytest.raises(UserError, match="is being downloaded by another process") as error:
                fetch([site.url], target)
            told.append(str(error.value))

    fetch([site.url], target, progress=meanwhile)
    assert told
    assert target.read_bytes() == CONTENT


def test_record_names_the_address_and_the_version(site: Site, target: Path) -> None:
    cut(site, target, 100_000)
    record = json.loads((target.parent / ".file.bin.part.json").read_text())
    assert record["url"] == f"{site.url}/file"
    assert record["total"] == len(CONTENT)


def test_what_cannot_be_the_file_is_not_taken(site: Site, target: Path) -> None:
    """An empty answer, and one that begins unlike files of its kind; the next address is asked."""
    with serving(Site(b"quota exceeded")) as other, serving(Site(b"")) as empty:
        with pytest.raises(UserError, match=r"(?s)it begins with b'quota exceeded'.*what it gives is empty"):
            fetch([other.url, empty.url], target, starts=(site.content[:2],))
        assert not target.exists()
        fetch([other.url, empty.url, site.url], target, starts=(b"no such", site.content[:2]))
    assert target.read_bytes() == site.content
