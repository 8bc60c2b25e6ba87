"""The command line: exit codes and the words of errors. Commands run in process."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import bridgenet
from bridgenet.checkpoints.convert import as_released
from bridgenet.cli import main as cli
from tests.model.networks import build
from tests.server import Site, serving


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    bridgenet.save(build(num_tasks=2), path)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.full((30, 40, 3), 90, np.uint8)).save(path)
    return path


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The error's words of a command that must end with exit code 2 and no traceback."""
    assert cli.run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert "Traceback" not in shown.err
    return shown.err.removeprefix("error: ")


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


HEAVY = "[m for m in ('torch', 'timm', 'cv2', 'scipy', 'matplotlib', 'accelerate') if m in sys.modules]"


def test_importing_is_light() -> None:
    assert python(f"import sys, bridgenet; print({HEAVY})") == "[]\n"


def test_predicting_loads_nothing_of_training_and_evaluation() -> None:
    unused = "accelerate", "torchmetrics", "scipy", "skimage", "tensorboard", "rich"
    code = f"import sys, bridgenet.prediction, bridgenet.checkpoints, bridgenet.tasks.visualize\nprint([m for m in {unused} if m in sys.modules])"
    assert python(code) == "[]\n"


def test_help_is_light() -> None:
    code = f"""
import sys
from bridgenet.cli.main import run
try:
    run(["--help"])
except SystemExit as stop:
    print(stop.code, {HEAVY})
"""
    shown = python(code)
    assert shown.splitlines()[-1] == "0 []"
    for command in ("train", "evaluate", "predict", "convert", "inspect", "data", "weights", "demo"):
        assert f"    {command} " in shown


def test_version_and_module() -> None:
    done = subprocess.run([sys.executable, "-m", "bridgenet", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"bridgenet {bridgenet.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["trian"], "trian"),
        (["train"], "config"),
        (["predict", "x"], "inputs"),
        (["train", "demo", "--ot", "x"], "unknown argument --ot (did you mean --out?)"),
        (["predict", "x", "y", "--tsks", "depth"], "unknown argument --tsks (did you mean --tasks?)"),
        (["predict", "x", "y", "--steps", "3"], "unknown argument --steps"),
        (["train", "demo", "--optimizer.learning-rate", "1"], "--optimizer.learning-rate (did you mean --optimizer.lr?)"),
        (["train", "demo", "--step", "3"], "unknown argument --step (did you mean --steps?)"),
        (["train", "demo", "--data.tasks", "[depht]"], "'depht' is not a task (did you mean depth?)"),
        (["train", "demi"], "demi is neither a preset (did you mean demo?) nor a file"),
        (["convert", "x.pth"], "destination"),
        (["convert", "none.pth", "x.pt"], "x.pt: nothing is written as .pt"),
        (["convert", "none.pth", "x.pth"], "no weights at none.pth"),
        (["inspect", "none.pth"], "no weights at none.pth"),
        (["inspect", "none.pth", "--jsn"], "unknown argument --jsn (did you mean --json?)"),
        (["data", "generate", "--layout", "kitti", "--out", "x"], "kitti"),
        (["data", "generate", "--train", "many", "--out", "x"], "many"),
        (["data", "check", "nyud", "--roots", "x"], "unknown argument --roots (did you mean --root?)"),
        (["data", "check", "nyu", "--root", "x"], "'nyu' is not a data set (did you mean nyud?)"),
        (["data", "check", "nyud", "--root", "x", "--tasks", "depht"], "'depht' is not a task (did you mean depth?)"),
        (["data", "download", "nyu", "--root", "x"], "'nyu' is not a data set (did you mean nyud?)"),
        (["data", "download", "nyud", "--root", "x", "--url", "file:///x"], "--url file:///x: expected an address"),
        (["weights"], "COMMAND"),
        (["weights", "download", "internimage_l"], "(did you mean internimage_"),
    ],
)  # fmt: skip
def test_wrong_command_lines(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in fails(arguments, capsys)


def test_wrong_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("optimizer: {learning_rate: 1}\ndata: {tasks: [depht]}\n")
    assert fails(["train", str(path), "--out", str(tmp_path / "run")], capsys).splitlines() == [
        f"{path}: unknown key optimizer.learning_rate (did you mean optimizer.lr?)",
        f"       {path}: data.tasks: 'depht' is not a task (did you mean depth?) (semseg, depth, human_parts, sal, normals, edge, disparity, inverse_depth)",
    ]
    assert not (tmp_path / "run").exists()


def test_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong data root is told before anything is written."""
    out = tmp_path / "run"
    arguments = ["train", "demo", "--data.root", str(tmp_path / "dta"), "--out", str(out), "--device", "cpu"]
    words = fails(arguments, capsys)
    assert str(tmp_path / "dta") in words
    assert "BRIDGENET_DATA" in words
    assert not out.exists()


def test_print_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["train", "demo", "--optimizer.lr", "1e-5", "--print-config"]) == 0
    text = capsys.readouterr().out
    assert yaml.safe_load(text)["optimizer"]["lr"] == 1e-5
    path = tmp_path / "my.yaml"
    path.write_text(text)
    assert cli.run(["train", str(path), "--print_config"]) == 0
    assert capsys.readouterr().out == text


def test_predict(weights: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert cli.run(["predict", str(weights), str(picture), "--out", str(out), "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "40×30  semseg depth" in shown
    assert "1 images, 0 skipped" in shown
    assert sorted(path.name for path in (out / "photo").iterdir()) == sorted(
        ["semseg.png", "depth.npy", "depth_mm.png", "panel.png"]
    )


def test_predict_skips_what_is_no_picture(
    weights: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("words")
    arguments = ["predict", str(weights), str(picture), str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    assert cli.run([*arguments, "--device", "cpu"]) == 1
    shown = capsys.readouterr()
    assert f"! {tmp_path}/in/notes.txt is not an image: skipped" in shown.out + shown.err
    assert "1 images, 1 skipped" in shown.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.jsonl", "photo"]


def test_convert_inspect_and_predict(
    weights: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a user does with weights: to a folder, a look, a prediction; the same pictures come out."""
    folder = tmp_path / "folder"
    assert cli.run(["convert", str(weights), str(folder), "--license", "MIT"]) == 0
    assert capsys.readouterr().out == f"→ {folder} (read back and compared: equal to the bit)\n"
    assert "give --overwrite" in fails(["convert", str(weights), str(folder)], capsys)
    assert cli.run(["inspect", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("own weights, as on the hub, test_resnet, tasks semseg depth, d 2\n")
    assert cli.run(["inspect", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["tasks"], told["licence"], told["problems"]) == ({"semseg": 5, "depth": 1}, "mit", [])
    for source, out in ((weights, "a"), (folder, "b")):
        assert cli.run(["predict", str(source), str(picture), "--out", str(tmp_path / out), "--device", "cpu"]) == 0
    names = [path.name for path in (tmp_path / "a" / "photo").iterdir()]
    assert all((tmp_path / "a/photo" / x).read_bytes() == (tmp_path / "b/photo" / x).read_bytes() for x in names)


def test_settings_of_an_unpublished_network(tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = as_released(build("vit", num_tasks=2))
    del content["bridgenet"]
    weights, config, out = tmp_path / "net.pth.tar", tmp_path / "net.yaml", str(tmp_path / "out")
    torch.save(content, weights)
    config.write_text(
        "backbone_kwargs: {num_heads: 2, select_list: [1, 2, 3]}\nmtt_resolution_downsample_rate: 2\n"
        "dilated_ratio: [1, 2, 5]\nimage_size: [64, 96]\n"
    )
    words = fails(["predict", str(weights), str(picture), "--out", out, "--device", "cpu"], capsys)
    assert "Give them with --config FILE" in words
    arguments = ["predict", str(weights), str(picture), "--out", out, "--device", "cpu", "--config", str(config)]
    assert cli.run(arguments) == 0
    assert cli.run(["convert", str(weights), str(tmp_path / "own.safetensors"), "--config", str(config)]) == 0
    assert "does not exist" in fails([*arguments[:-1], str(tmp_path / "none.yaml")], capsys)


def test_predict_with_wrong_weights(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "model.pth.tar"
    bad.write_bytes(b"words")
    out = str(tmp_path / "out")
    assert "model.pth.tar" in fails(["predict", str(bad), str(picture), "--out", out], capsys)
    assert "no weights at" in fails(["predict", str(tmp_path / "none"), str(picture), "--out", out], capsys)
    assert "holds no weights" in fails(["predict", str(tmp_path), str(picture), "--out", out], capsys)
    assert not (tmp_path / "out").exists()


def packed(weights: Path) -> None:
    with zipfile.ZipFile(weights) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    with zipfile.ZipFile(weights, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in parts.items():
            opened.writestr(name, content)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1000]), "is it complete"),
        (packed, "is compressed"),
        (lambda path: torch.save({"model": torch.ones(1), "run": print}, path), "which could run code (it asks for"),
    ],
)
def test_bad_checkpoints(spoil, words: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, out = tmp_path / "model.pth.tar", str(tmp_path / "out")
    torch.save(as_released(build("vit", num_tasks=2, refine_depth=1)), bad)
    spoil(bad)
    for arguments in (
        ["predict", str(bad), str(picture), "--out", out],
        ["inspect", str(bad)],
        ["convert", str(bad), out],
    ):
        assert words in fails(arguments, capsys)
    assert not Path(out).exists()


def test_predict_wrong_task(weights: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["predict", str(weights), str(picture), "--out", str(tmp_path / "out"), "--tasks"]
    assert "does not predict 'depht' (did you mean depth?)" in fails([*arguments, "depht"], capsys)
    assert not (tmp_path / "out").exists()


def test_output_that_cannot_be_written(
    weights: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    words = fails(["predict", str(weights), str(picture), "--out", str(tmp_path / "file")], capsys)
    assert str(tmp_path / "file") in words


def test_data_needs_a_root(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("BRIDGENET_DATA", raising=False)
    for command in ("check", "download"):
        assert "Give --root or set BRIDGENET_DATA" in fails(["data", command, "nyud"], capsys)


def test_data_check(nyud_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (nyud_root / "NYUDv2/scenes.json").write_text("{}")
    arguments = ["data", "check", "nyud", "--tasks", "depth", "--workers", "1"]
    assert cli.run([*arguments, "--root", str(nyud_root)]) == 0
    assert f"→ {nyud_root}/NYUDv2 is sound" in capsys.readouterr().out
    (nyud_root / "NYUDv2/depth/0001.npy").unlink()
    monkeypatch.setenv("BRIDGENET_DATA", str(nyud_root))
    assert cli.run(arguments) == 1
    assert "depth/0001.npy is missing" in capsys.readouterr().out


def test_data_download_and_again(
    nyud_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(nyud_root / "NYUDv2", "NYUDv2")
    root = tmp_path / "root"
    with serving(Site(packed.getvalue())) as site:
        arguments = ["data", "download", "nyud", "--root", str(root), "--url", f"{site.url}/NYUDv2.tar.gz"]
        assert cli.run(arguments) == 0
        shown = capsys.readouterr().out
        assert hashlib.sha256(site.content).hexdigest() in shown
        assert f"→ {root}/NYUDv2   to check it: bridgenet data check nyud --root {root}" in shown
        assert cli.run(arguments) == 0
        assert "exists already and was not changed" in capsys.readouterr().out
        assert len(site.asked) == 1


def test_weights_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["weights", "list"]) == 0
    shown = capsys.readouterr().out
    assert "https://huggingface.co/OpenGVLab/InternImage/resolve/main/internimage_l_22k_192to384.pth" in shown
    assert "non-commercial" in shown


@pytest.mark.parametrize("name", ["internimage_t_1k_224", "internimage_t_1k_224.pth"])
def test_weights_download(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An address that is given comes before the known ones; the file is not opened: it is no weights at all."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Site(b"PK\x03\x04bytes")) as site:
        assert cli.run(["weights", "download", name, "--out", str(tmp_path), "--url", site.url]) == 0
    path = tmp_path / "internimage_t_1k_224.pth"
    assert path.read_bytes() == b"PK\x03\x04bytes"
    assert f"--network.backbone_checkpoint {path}" in capsys.readouterr().out


def test_weights_without_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = fails(["weights", "download", "bridgenet_nyud_internimage_large", "--out", str(tmp_path)], capsys)
    assert "no address is known; the page of the paper's authors links them" in words
    assert "--url" in words


def test_stopped_download_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*arguments: object, **options: object) -> None:
        (tmp_path / ".internimage_t_1k_224.pth.part").write_bytes(bytes(2_500_000))
        raise KeyboardInterrupt

    monkeypatch.setattr("bridgenet.downloads.weights.fetch", stop)
    assert cli.run(["weights", "download", "internimage_t_1k_224", "--out", str(tmp_path)]) == 130
    assert "stopped; 2.5 MB are kept. Run the same command again to resume" in capsys.readouterr().out
