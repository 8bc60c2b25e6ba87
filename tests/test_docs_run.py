"""The commands of the pages on prediction and evaluation, and the README's of a trained run, run as they stand.

In a folder that has what they name, made small; an address is answered and a camera filmed by the test. Training of the
presets is not run here, nor export, which the tests of it do, nor what downloads.
"""

from __future__ import annotations

import io
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import bridgenet
from bridgenet.cli.main import run
from bridgenet.downloads import pictures as web
from bridgenet.prediction import video
from bridgenet.training.run import train
from tests.pictures import noise
from tests.training.tiny import tiny_config

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
RUN = ("predict", "evaluate", "evaluate-boundaries", "report", "inspect")
LEFT_OUT = ("roofs/data.yaml", "nyud.onnx", "nyud.pt2", "BridgeNet_nyud.pth.tar", "outputs/demo")
"""Made by commands that are not run here."""


def commands(page: str) -> list[str]:
    """Lines with commands that are run here, without comments and what starts them."""
    found = []
    for text in FENCE.findall((ROOT / page).read_text(encoding="utf-8")):
        for line in text.replace("\\\n", " ").splitlines():
            match = re.match(r"(?:cat photo\.jpg \| |torchrun .* -m )?bridgenet ((\S+) .*)", line)
            if match and match[2] in RUN and not any(name in line for name in LEFT_OUT):
                found.append(match[1])
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands name."""
    folder = tmp_path_factory.mktemp("pages")
    assert (
        run(["data", "generate", "--out", str(folder / "DATA"), "--train", "2", "--val", "2", "--size", "32", "32"])
        == 0
    )
    for name in ("nyud", "single"):
        train(tiny_config(folder / "DATA", steps=1, evaluate_every=1), folder / "runs" / name, device="cpu")
    assert run(["evaluate", str(folder / "runs/single"), "--device", "cpu", "--boundary-workers", "1"]) == 0
    (folder / "runs/other").symlink_to(folder / "runs/single")
    (folder / "best.safetensors").write_bytes((folder / "runs/nyud/best.safetensors").read_bytes())
    for name in ("photo.jpg", "holiday/1.png", "holiday/2/3.png", "scans/a/b.tif", "photos/1.jpg", "photos/2.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(90, 120)).save(folder / name)
    writer = cv2.VideoWriter(str(folder / "walk.mp4"), cv2.VideoWriter.fourcc(*video.CODEC), 25.0, (64, 48))
    for number in range(6):
        writer.write(noise(48, 64, number))
    writer.release()
    labels = folder / "DATA/NYUDv2/edge"
    (folder / "LABELS").symlink_to(labels)
    (folder / "PNGS").mkdir()
    for path in labels.glob("*.png"):
        Image.fromarray(noise(32, 32)[..., 0]).save(folder / "PNGS" / path.name)
    return folder


class Camera:
    """Three frames."""

    def __init__(self, number: int) -> None:
        self.left = 3

    def isOpened(self) -> bool:
        return True

    def get(self, what: int) -> float:
        return 25.0 if what == cv2.CAP_PROP_FPS else 0.0

    def grab(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, noise(48, 64)

    def release(self) -> None:
        pass


@pytest.mark.parametrize("page", ["README.md", "docs/predict.md", "docs/evaluate.md"])
def test_commands_of_a_page(
    page: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = (folder / "photo.jpg").read_bytes()
    opened = cv2.VideoCapture
    monkeypatch.chdir(folder)
    monkeypatch.setattr(web, "fetch_picture", lambda url: photo)
    monkeypatch.setattr(
        cv2, "VideoCapture", lambda source: Camera(source) if isinstance(source, int) else opened(source)
    )
    found = commands(page)
    assert len(found) > 5
    for command in found:
        words = shlex.split(command, comments=True)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(photo)))
        options: list[Any] = ["--boundary-workers", "1"] if words[0] == "evaluate" else []
        options += ["--device", "cpu"] if words[0] in ("evaluate", "predict") else []
        assert run([*words, *options]) == 0, f"{command}\n{capsys.readouterr().err}"


def test_python_of_the_readme(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "outputs/demo").mkdir(parents=True)
    (folder / "outputs/demo/run").symlink_to(folder / "runs/nyud")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("\n## Python\n") : text.index("\n## Command line\n")]
    names: dict[str, Any] = {}
    predict, train = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    exec(predict, names)
    model, before = names["model"], names["result"]
    assert (folder / "panel.png").is_file()
    targets = {
        task: torch.rand(2, model.network.heads[task].out_channels if task == "normals" else 1, 64, 64).round()
        for task in model.tasks
    }
    names["batches"] = [(torch.randn(2, 3, 64, 64), targets)]
    exec(train, names)
    after, again = model.predict("photo.jpg"), bridgenet.load("tuned.safetensors").predict("photo.jpg")
    assert not np.array_equal(after.normals, before.normals)
    np.testing.assert_array_equal(again.normals, after.normals)
