"""The page through Gradio's own client, and in a browser where there is one."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

import bridgenet
from bridgenet import app
from bridgenet.app.guard import is_own, own_names
from bridgenet.cli.main import run
from bridgenet.errors import UserError

gradio_client = pytest.importorskip("gradio_client", reason="Gradio is not installed (bridgenet[app])")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def make_network() -> bridgenet.BridgeNet:
    config = bridgenet.NetworkConfig(
        {"semseg": 3, "depth": 1},
        "test_resnet",
        (32, 32),
        {"name": "bridgenet", "embed_dim": 8, "extra_channels": 8, "refine_depth": 1},
        class_names={"semseg": ["wall", "floor", "sofa"]},
    )
    return bridgenet.build_network(config).eval()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    kept = {name: os.environ.get(name) for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED")}
    page, found = app.serve(bridgenet.Model(make_network()), "tiny", port=free_port(), block=False)
    folder = os.environ["GRADIO_TEMP_DIR"]
    yield found
    page.close(verbose=False)
    shutil.rmtree(folder)
    for name, value in kept.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Two photographs and a text that calls itself one."""
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "no.png").write_text("no picture")
    return [str(tmp_path / name) for name in ("a.png", "b.jpg", "no.png")]


@pytest.mark.parametrize(
    ("host", "words"), [("no.such.host.invalid", "give another --host"), ("192.0.2.1", "cannot be used")]
)
def test_hosts_that_are_not_this_machine(host: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        app.serve(bridgenet.Model(make_network()), "tiny", host=host, port=free_port(), block=False)


def ask(address: str, files: list[str], photo: str | None = None) -> Any:
    client = gradio_client.Client(address, verbose=False)
    sent = [gradio_client.handle_file(file) for file in files]
    return client.predict(sent, photo and gradio_client.handle_file(photo), api_name="/predict")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_nothing_stays_when_it_is_ended(sent: signal.Signals, tmp_path: Path) -> None:
    bridgenet.save(make_network(), tmp_path / "tiny.safetensors")
    (tmp_path / "temp").mkdir()
    port = free_port()
    program = "import sys, tests.model.networks\nfrom bridgenet.__main__ import main\nsys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "app", str(tmp_path / "tiny.safetensors"), "--port", str(port)],
        env={**os.environ, "TMPDIR": str(tmp_path / "temp"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C ends it" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        assert list((tmp_path / "temp").glob("bridgenet-app-*"))
        process.send_signal(sent)
        said += process.communicate(timeout=30)[0]
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in said
    assert not list((tmp_path / "temp").glob("bridgenet-app-*"))


def test_pictures_are_answered(address: str, pictures: list[str]) -> None:
    choice, html = ask(address, pictures[:2])
    assert "a.png" in str(choice) and "b.jpg" in str(choice)
    assert html.count('class="bn-view"') == 2 and "Semantic segmentation" in html


def test_what_is_no_picture_is_passed_over_or_told(address: str, pictures: list[str]) -> None:
    assert ask(address, pictures)[1].count('class="bn-view"') == 2
    with pytest.raises(Exception, match=r"None of the pictures could be read|error"):
        ask(address, pictures[2:])
    assert ask(address, pictures[:1])[1].count('class="bn-view"') == 2  # it goes on


def test_photo_of_the_camera_is_opened_in_few_formats(
    address: str, pictures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(address, [], pictures[0])[1].count('class="bn-view"') == 2
    started: list[Any] = []
    for name in ("Ghostscript", "has_ghostscript"):
        monkeypatch.setattr(EpsImagePlugin, name, lambda *arguments: started.append(arguments))
    Path(pictures[2]).write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n")
    for files, photo in (([], pictures[2]), (pictures[2:], None)):
        with pytest.raises(Exception, match=r"None of the pictures could be read|error"):
            ask(address, files, photo)
    assert started == []


def test_browser_is_told_to_fetch_nothing_from_elsewhere(address: str) -> None:
    with urllib.request.urlopen(address) as answer:
        policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'") and "http" not in policy


def asked(address: str, path: str, host: str, method: str = "GET", body: Any = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address.rstrip("/").removeprefix("http://"), timeout=20)
    headers = {"Host": host, "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def call(address: str, data: Any) -> str:
    """What the page answers to a request that another program than the page wrote."""
    status, text = asked(address, "/gradio_api/call/predict", "localhost", "POST", {"data": data})
    assert status == 200
    return asked(address, f"/gradio_api/call/predict/{json.loads(text)['event_id']}", "localhost")[1]


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info", "/gradio_api/file=a.png"])
def test_only_its_own_names_are_answered(address: str, path: str) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:7860", "192.0.2.1", "", "[::1"):
        status, text = asked(address, path, host)
        assert status == 403 and "only for its own names" in text
    for host in ("127.0.0.1", "LOCALHOST:1234", "[::1]:7860"):
        assert asked(address, path, host)[0] != 403 or "file=" in path
    assert asked(address, "/gradio_api/call/predict", "evil.example", "POST", {"data": ["", [], None]})[0] == 403


def test_own_names() -> None:
    assert is_own("192.0.2.1:80", own_names("192.0.2.1")) and not is_own("192.0.2.2", own_names("192.0.2.1"))
    everywhere = own_names("0.0.0.0")
    assert is_own("192.0.2.1:7860", everywhere) and is_own("[2001:db8::1]", everywhere)
    assert is_own(socket.gethostname(), everywhere) and not is_own("evil.example", everywhere)


def test_refusals_are_one_line_and_have_no_path(
    address: str, pictures: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    temporary = os.environ["GRADIO_TEMP_DIR"]
    file = Path(temporary) / "up/<b>no.png"
    file.parent.mkdir(exist_ok=True)
    file.write_text("no picture")

    def sent(path: Any) -> dict[str, Any]:
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    for data in (
        ["", [sent("/etc/passwd")], None],
        ["", None, sent("/etc/passwd")],
        ["", [sent("http://127.0.0.1:9/x.png")], None],
        ["", [sent(str(file))], None],
        ["", None, sent(str(file))],
        ["", [sent(f"{temporary}/up/none.png")], None],
        ["", [sent(temporary)], None],
        ["", [sent(str(file))] * 21, None],
        ["", [], None],
        ["", 7, 8],
        [],
    ):
        answer = call(address, data)
        said = capfd.readouterr()
        assert "event: error" in answer and temporary not in answer and "/etc" not in answer, data
        lines = (said.out + said.err).splitlines()
        assert 1 <= len(lines) <= 2 and all(line.startswith("! ") for line in lines), said
        assert temporary not in said.err and "<b>" not in answer


def test_requests_of_no_page_are_refused_in_a_line(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    for path, body in [
        ("run/predict", {"fn_index": 99, "data": []}),
        ("call/nope", {"data": []}),
        ("queue/join", {"fn_index": 99, "data": [], "session_hash": "a"}),
        ("queue/join", []),
        ("upload", {}),
    ]:
        status, text = asked(address, f"/gradio_api/{path}", "localhost", "POST", body)
        assert 400 <= status < 500 and "Traceback" not in text and "/" not in text
        said = capfd.readouterr().err.splitlines()
        assert len(said) <= 1 and all(line.startswith("! /gradio_api/") for line in said)


def test_limits(pictures: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MOST_PIXELS", 1999)
    with pytest.raises(UserError, match=r"a\.png has 50×40 pixels, at most 0 million are taken"):
        app.predicted(make_network(), pictures[0])


def test_no_port(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["app", "net.safetensors", "--port", "99999"]) == 2
    assert "port is 99999, expected 0 to 65535" in capsys.readouterr().err


def test_port_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bridgenet.save(make_network(), tmp_path / "net.safetensors")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run(["app", str(tmp_path / "net.safetensors"), "--port", port, "--device", "cpu"]) == 2
    assert (
        f"port {port} of 127.0.0.1 cannot be used: Address already in use. Give another --port"
        in capsys.readouterr().err
    )


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_in_a_browser(address: str, pictures: list[str], tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        elsewhere: list[str] = []
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((address, "data:", "blob:")) else elsewhere.append(request.url)
            ),
        )
        page.goto(address)
        page.set_input_files("#pictures input[type=file]", pictures[:2])
        page.wait_for_selector(".bn-view", timeout=30_000)
        slider = page.locator(".bn-slide").first
        slider.evaluate("e => { e.value = 40; e.dispatchEvent(new Event('input', {bubbles: true})) }")
        assert page.locator(".bn-map").first.evaluate("e => e.style.clipPath") == "inset(0px 0px 0px 40%)"
        page.locator(".bn-stage").nth(1).hover()
        assert page.locator(".bn-tip").nth(1).inner_text().endswith(" m")
        with page.expect_download() as download:
            page.click("#download")
        download.value.save_as(tmp_path / "all.zip")
        browser.close()
    assert len(zipfile.ZipFile(tmp_path / "all.zip").namelist()) == 8
    assert elsewhere == []
