"""Networks written, read back and predicted with. PyTorch's exporter takes seconds for each, so there are few of them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bridgenet
from bridgenet import UserError
from bridgenet.cli import main as cli
from bridgenet.export import export, open_exported, write
from bridgenet.prediction import predict_image
from tests.model.networks import build, with_information

CLASSES = {"semseg": ["wall", "floor", "bed", "chair", "lamp"]}

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="onnx, onnxscript or onnxruntime is not installed (they are in the dev extra)",
)


SIZE = (96, 128)
"""Of training images: from the least size on that exported files take as they are."""


def small(backbone: str, num_tasks: int = 1, num_stages: int = 1) -> bridgenet.BridgeNet:
    return build(
        backbone, num_tasks, num_stages=num_stages, refine_depth=1, class_names=CLASSES, image_size=SIZE
    ).eval()


def photo(height: int, width: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return (
        random.integers(256, size=(height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
        .repeat(8, 0)
        .repeat(8, 1)[:height, :width]
    )


def check_same(network: bridgenet.BridgeNet, path: Path, size: tuple[int, int]) -> None:
    picture = photo(*size)
    expected, found = predict_image(network, picture), open_exported(path).predict_image(picture)
    assert found.class_names == expected.class_names
    assert list(found.maps) == list(expected.maps)
    for task, x in expected.maps.items():
        if x.dtype == np.int64:
            assert (found.maps[task] == x).mean() > 0.999
        else:
            np.testing.assert_allclose(found.maps[task], x, atol=1e-3 * max(1.0, float(np.abs(x).max())))


@pytest.fixture(scope="module")
def network() -> bridgenet.BridgeNet:
    return small("resnet", 2)


@pytest.fixture(scope="module")
def staged() -> bridgenet.BridgeNet:
    """With what the second stage takes from the first."""
    return small("resnet", 2, num_stages=2)


@pytest.fixture(scope="module")
def onnx_file(staged: bridgenet.BridgeNet, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    with_information(staged, {"origin": "a test", "licence": "mit"})
    said: list[str] = []
    description = export(staged, path, say=said.append)
    assert max(description.deviation.values()) < 1e-4
    assert any("largest deviation: semseg" in line for line in said)
    assert list(path.parent.iterdir()) == [path]
    return path


@needs_onnx
@pytest.mark.parametrize("size", [(96, 96), (97, 160), (150, 201)], ids=str)
def test_onnx_predicts_as_pytorch_does(staged, onnx_file: Path, size: tuple[int, int]) -> None:
    """From the least size on; smaller pictures are refused."""
    how = {"max_pixels": 10**6}
    picture = photo(*size)
    expected = predict_image(staged, picture, **how)
    found = open_exported(onnx_file, **how).predict_image(picture)
    assert (found.semseg == expected.semseg).mean() > 0.999
    np.testing.assert_allclose(found.depth, expected.depth, atol=1e-4)


@needs_onnx
def test_what_stands_in_the_file(staged, onnx_file: Path) -> None:
    description = open_exported(onnx_file).description
    assert description.information == {"origin": "a test", "licence": "mit"}
    assert description.num_outputs == staged.tasks
    assert description.class_names == CLASSES
    assert (description.size, description.size_divisor, description.quantised) == (None, 32, None)


@needs_onnx
def test_damaged_files_are_refused(onnx_file: Path, tmp_path: Path) -> None:
    content, path = onnx_file.read_bytes(), tmp_path / "x.onnx"
    assert str(Path(bridgenet.__file__).parent).encode() not in content and b"site-packages" not in content
    for at in range(1000, len(content), len(content) // 5):
        path.write_bytes(content[:at] + bytes([content[at] ^ 8]) + content[at + 1 :])
        with pytest.raises(UserError, match=r"x\.onnx is damaged"):
            open_exported(path)
        assert cli.run(["inspect", str(path)]) == 2


@needs_onnx
def test_inspect(onnx_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inspect", str(onnx_file)]) == 0
    assert "images    any, multiples of 32 from " in capsys.readouterr().out
    assert cli.run(["inspect", str(onnx_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["size_divisor"] == 32


@needs_onnx
def test_a_description_that_is_not_the_networks(onnx_file: Path, tmp_path: Path) -> None:
    import onnx

    model, path = onnx.load(onnx_file), tmp_path / "x.onnx"
    (entry,) = [entry for entry in model.metadata_props if entry.key == "bridgenet"]
    found = json.loads(entry.value)
    for change in ({"size": [64, 96]}, {"num_outputs": found["num_outputs"] | {"depth": 2}}):
        onnx.helper.set_model_props(model, {"bridgenet": json.dumps(found | change)})
        onnx.save(model, path)
        with (
            pytest.warns(UserWarning, match="no checksum"),
            pytest.raises(UserError, match=r"x\.onnx: its network takes"),
        ):
            open_exported(path)


@needs_onnx
def test_without_pytorch(onnx_file: Path, tmp_path: Path) -> None:
    """The command line predicts with ONNX Runtime and never loads PyTorch."""
    Image.fromarray(photo(70, 90)).save(tmp_path / "photo.png")
    arguments = ["predict", str(onnx_file), str(tmp_path / "photo.png"), "--out", str(tmp_path / "out")]
    code = (
        f"import sys; from bridgenet.cli.main import run; code = run({arguments!r}); "
        "assert 'torch' not in sys.modules; assert 'timm' not in sys.modules; sys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    files = {path.name for path in (tmp_path / "out" / "photo").iterdir()}
    assert files == {"semseg.png", "depth.npy", "depth_mm.png", "panel.png"}


@needs_onnx
def test_int8(tmp_path: Path) -> None:
    """Of a ViT, which is compared in float32 first."""
    said: list[str] = []
    network = small("vit")
    description = export(
        network, tmp_path / "small.onnx", fixed=True, int8=True, pictures=[photo(*SIZE)], say=said.append
    )
    assert description.quantised == "int8"
    assert set(description.loss) == set(network.tasks)
    assert all(np.isfinite(value) for value in description.loss.values())
    assert any(line.startswith("int8 changes semseg:") for line in said)
    predictor = open_exported(tmp_path / "small.onnx")
    assert predictor.description == description
    assert predictor.predict_image(photo(*SIZE)).semseg.shape == SIZE


@needs_onnx
@pytest.mark.parametrize("backbone", ["internimage", "convnext"])
def test_backbones(backbone: str, tmp_path: Path) -> None:
    """Of one size, which takes a third of the time; benchmarks/export.py compares free ones of larger networks."""
    network = small(backbone)
    export(network, tmp_path / "network.onnx", fixed=True)
    check_same(network, tmp_path / "network.onnx", SIZE)


def test_accelerated_networks_are_exported_by_definition(tmp_path: Path) -> None:
    accelerated = bridgenet.accelerate_network(small("resnet"))
    before = [type(module) for module in accelerated.modules()]
    export(accelerated, tmp_path / "x.pt2")
    assert [type(module) for module in accelerated.modules()] == before
    check_same(small("resnet"), tmp_path / "x.pt2", (101, 150))


def test_one_size(tmp_path: Path) -> None:
    """Swin's windows depend on the size: it is exported for the size of its training images, and that is said."""
    said: list[str] = []
    network = small("swin")
    description = export(network, tmp_path / "network.pt2", say=said.append)
    assert description.size == list(SIZE)
    assert any("exported for one size" in line for line in said)
    check_same(network, tmp_path / "network.pt2", SIZE)


def test_deviation_is_refused(network, tmp_path: Path, monkeypatch) -> None:
    """The file that deviates is deleted, and the one that was there stays."""
    (tmp_path / "network.pt2").write_bytes(b"before")
    monkeypatch.setattr(write, "deviation", lambda *_: {"semseg": 1e-4, "depth": 2e-3})
    with pytest.raises(UserError, match=r"not written: its depth deviates from PyTorch's by 2\.0e-03"):
        export(network, tmp_path / "network.pt2", fixed=True)
    assert [path.name for path in tmp_path.iterdir()] == ["network.pt2"]
    assert (tmp_path / "network.pt2").read_bytes() == b"before"


def test_refused_before_time_is_spent(network, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(write, "capture", None)
    with pytest.raises(UserError, match=r"network\.pt: export writes \.onnx or \.pt2"):
        export(network, tmp_path / "network.pt")
    with pytest.raises(UserError, match=r"there is no folder .*missing; make it first"):
        export(network, tmp_path / "missing/network.pt2")
    with pytest.raises(UserError, match=r"int8 is for \.onnx"):
        export(network, tmp_path / "network.pt2", int8=True)
    with pytest.raises(UserError, match=r"size is \[50000, 100000\], 5000 million pixels; at most 24 million"):
        export(network, tmp_path / "network.pt2", size=(50000, 100000))
    with monkeypatch.context() as patch:
        patch.setattr(write.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else True)
        with pytest.raises(UserError, match=r'ONNX needs onnxscript, not installed: pip install "bridgenet\[export\]"'):
            export(network, tmp_path / "network.onnx")
        patch.setattr(write.importlib.util, "find_spec", lambda name: True)
        with pytest.raises(UserError, match="opset is 16, expected 17 or later"):
            export(network, tmp_path / "network.onnx", opset=16)
        patch.setattr(write, "LARGEST", 1000)
        with pytest.raises(UserError, match=r"less than 2 GiB; export to \.pt2 instead"):
            export(network, tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())


def test_missing_runtime(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "network.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r'ONNX Runtime, which is not installed: pip install "bridgenet\[export\]"'):
        open_exported(tmp_path / "network.onnx")


def test_command_line(network, tmp_path: Path, capsys) -> None:
    weights, out = tmp_path / "network.safetensors", tmp_path / "network.pt2"
    bridgenet.save(network, weights)
    assert cli.run(["export", str(weights), str(out), "--size", "60", "90"]) == 0
    printed = capsys.readouterr().out
    assert "images: 64×96 alone" in printed
    assert f"→ {out}" in printed
    Image.fromarray(photo(70, 90)).save(tmp_path / "photo.png")
    predict = ["predict", str(out), str(tmp_path / "photo.png"), "--out", str(tmp_path / "out")]
    assert cli.run(predict) == 0
    assert (tmp_path / "out" / "photo" / "depth.npy").is_file()
    assert cli.run([*predict, "--compile"]) == 2
    assert "--precision, --compile and --config are for weights" in capsys.readouterr().err
    assert cli.run(["export", str(weights), str(tmp_path / "network.zip")]) == 2
