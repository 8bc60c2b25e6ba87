from __future__ import annotations

import contextlib
import io
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bridgenet import UserError
from bridgenet.downloads import pictures as web
from bridgenet.prediction.inputs import Input, find_inputs, share
from tests.server import Site, serving


def encoded(format: str = "PNG", **options) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.full((6, 9, 3), (10, 200, 30), np.uint8)).save(content, format, **options)
    return content.getvalue()


def test_files_folders_patterns_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.jpg", "a.png", "b/a.jpg", "b/c.mp4", "b.png", "notes.txt", ".hidden.png", "C.JPG", "out/old.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    for name in ("odd.dat", "[x].png", "7"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    entries = [
        "in",
        "in/a.jpg",
        "odd.dat",
        "[x].png",
        "in/**/*.mp4",
        "in/*.t*",
        "in/out/*.png",
        "no*",
        "empty",
        "none",
        "7",
        "0",
        "-",
    ]
    found, skipped = find_inputs(
        [*entries, "https://example.org/x/y%20z.jpeg?w=3", f"data:{'x' * 5000}"], Path("in/out")
    )
    assert [(entry.name, entry.source, entry.kind) for entry in found] == [
        ("C", "in/C.JPG", "file"),
        ("a", "in/a.jpg", "file"),
        ("a-2", "in/a.png", "file"),
        ("b/a", "in/b/a.jpg", "file"),
        ("b-2", "in/b.png", "file"),
        ("odd", "odd.dat", "file"),
        ("[x]", "[x].png", "file"),
        ("c", "in/b/c.mp4", "video"),
        ("7", "7", "file"),
        ("camera0", "0", "camera"),
        ("stdin", "-", "standard input"),
        ("y z", "https://example.org/x/y%20z.jpeg?w=3", "address"),
    ]
    assert [reason for _, reason in skipped] == [
        "in/b/c.mp4 is a video, which is to be given by its own name",
        "in/notes.txt is not an image",
        "in/notes.txt is not an image",
        "in/out/*.png matches nothing",
        "no* matches nothing",
        "empty is an empty folder",
        "none does not exist",
        f"data:{'x' * 95}… is too long to be a file (5005 letters)",
    ]


def test_processes_share_all_inputs_once() -> None:
    inputs = [Input(str(n), str(n), "file") for n in range(7)]
    parts = [share(inputs, rank, 3) for rank in range(3)]
    assert sorted((entry for part in parts for entry in part), key=lambda entry: entry.name) == inputs
    assert max(map(len, parts)) - min(map(len, parts)) == 1
    with pytest.raises(UserError, match="cannot be shared among 2 processes"):
        share([Input("stdin", "-", "standard input")], 0, 2)


def test_picture_from_an_address_and_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Site(encoded(), content_type="image/png")) as site:
        picture, notes = Input("x", f"{site.url}/x.png", "address").read()
        assert (picture == (10, 200, 30)).all() and notes == []
        site.redirect = f"{site.url}/moved"
        assert web.fetch_picture(f"{site.url}/x.png") == site.content
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(encoded("JPEG"))))
    assert Input("stdin", "-", "standard input").read()[0].shape == (6, 9, 3)


@pytest.mark.parametrize(
    ("site", "words"),
    [
        (Site(codes=[404]), "the server answers 404"),
        (Site(encoded(), content_type="text/html"), "is a page or text"),
        (Site(encoded(), content_type="video/mp4"), "is a video"),
        (Site(bytes(3000)), "is too large"),
        (Site(bytes(3000), tells_length=False), "is too large: more than"),
        (Site(bytes(900), cut_after=[100]), "ended after 100 of 900"),
        (Site(redirect="file:///etc/passwd"), "not allowed"),
        (Site(redirect="ftp://example.org/x.png"), "cannot be fetched"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_addresses(site: Site, words: str) -> None:
    with serving(site), pytest.raises(UserError, match=words):
        web.fetch_picture(f"{site.url}/x.png", max_bytes=2000)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x.png", "http://", "http://[x/y.png"])
def test_only_http(url: str) -> None:
    with pytest.raises(UserError, match="must begin with https"):
        web.fetch_picture(url)


def test_dead_and_slow_addresses() -> None:
    with pytest.raises(UserError, match="cannot be fetched"):
        web.fetch_picture("http://127.0.0.1:9/x.png")
    site = Site(bytes(100), cut_after=[10], silent=0.5)
    with serving(site), pytest.raises(UserError, match="cannot be fetched"):
        web.fetch_picture(f"{site.url}/x.png", max_seconds=0.2)


def test_headers_that_never_end() -> None:
    """The time is that of all of it, not of each wait."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not stop.wait(0.02):
                    connection.sendall(b"X-More: x\r\n")

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            with pytest.raises(UserError, match=r"took more than 0\.3 s"):
                web.fetch_picture(f"http://127.0.0.1:{server.getsockname()[1]}/x.png", max_seconds=0.3)
        finally:
            stop.set()
            thread.join()


def test_addresses_as_people_copy_them() -> None:
    with serving(Site(encoded())) as site:
        web.fetch_picture(f"{site.url}/grün und blau.png?größe=a b%20c&x=1#top")
    assert site.asked[-1]["path"] == "/gr%C3%BCn%20und%20blau.png?gr%C3%B6%C3%9Fe=a%20b%20c&x=1"


@pytest.mark.parametrize(
    ("url", "name"), [("http://a.b/c/..%2f..%2fetc", "etc"), ("http://a.b/", "a.b"), ("http://a.b/%00?", "_")]
)
def test_names_stay_in_the_folder(url: str, name: str) -> None:
    assert web.name_of(url) == name


def test_out_that_has_the_pictures(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has the pictures and would get the results too"):
        find_inputs([str(tmp_path)], tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    assert [entry.name for entry in find_inputs([str(tmp_path / "in")], tmp_path)[0]] == ["a"]


def test_too_much_from_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MAX_BYTES", 10)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(bytes(11))))
    with pytest.raises(UserError, match="standard input is too large"):
        Input("stdin", "-", "standard input").read()
