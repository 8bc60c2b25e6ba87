"""Conversion: directions, what is refused, and that nothing is lost on the way (the golden cases are in tests/golden)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import bridgenet
from bridgenet import UserError
from bridgenet.checkpoints import convert as module
from bridgenet.checkpoints.convert import as_released, convert
from tests.model.networks import NUM_OUTPUTS, build


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "best.safetensors"
    class_names = {"semseg": ["a", "b", "c", "d", "e"]}
    bridgenet.save(
        build("vit", 2, refine_depth=1, class_names=class_names), path, information={"step": 700, "licence": "mit"}
    )
    return path


@pytest.fixture
def own(saved: Path, tmp_path: Path) -> Path:
    """The file, in a folder as of a run, to be changed."""
    (tmp_path / "run").mkdir()
    return Path(shutil.copy(saved, tmp_path / "run"))


def assert_same(path: Path, other: Path) -> None:
    a, b = bridgenet.load(path, device="cpu"), bridgenet.load(other, device="cpu")
    assert a.config == b.config
    assert a.information == b.information
    assert all(torch.equal(x, b.network.state_dict()[key]) for key, x in a.network.state_dict().items())


@pytest.mark.parametrize("name", ["net.pth.tar", "net.pth", "net.safetensors", "net", "net-v1.0"])
def test_directions(own: Path, tmp_path: Path, name: str) -> None:
    convert(own.parent if name == "net" else own, tmp_path / name)
    assert_same(own, tmp_path / name)
    assert (tmp_path / name).is_dir() == (not name.endswith((".tar", ".pth", ".safetensors")))
    assert {path.name for path in tmp_path.iterdir()} == {"run", name}


def test_the_authors_form(own: Path, tmp_path: Path) -> None:
    convert(own, tmp_path / "net.pth.tar")
    content = torch.load(tmp_path / "net.pth.tar", weights_only=True)
    assert (content["epoch"], content["iter_count"]) == (0, 700)
    assert all(key.startswith("module.") for key in content["model"])
    network = bridgenet.load_network(own, device="cpu")
    counters = [key for key in network.state_dict() if key.endswith("num_batches_tracked")]
    assert sum(key.endswith("num_batches_tracked") for key in content["model"]) == len(counters)


@pytest.mark.parametrize("name", ["net.pth.tar", "net.safetensors", "net"])
def test_nothing_is_overwritten_unasked(own: Path, tmp_path: Path, name: str) -> None:
    convert(own, tmp_path / name)
    changed = bridgenet.load_network(own, device="cpu")
    with torch.no_grad():
        changed.heads["depth"].bias.fill_(3)
    bridgenet.save(changed, own)
    with pytest.raises(UserError, match=rf"{name} .*give --overwrite"):
        convert(own, tmp_path / name)
    assert bridgenet.load_network(tmp_path / name, device="cpu").heads["depth"].bias.item() != 3
    convert(own, tmp_path / name, overwrite=True)
    assert_same(own, tmp_path / name)


def test_onto_itself(own: Path, tmp_path: Path) -> None:
    convert(own, tmp_path / "copy.safetensors")
    convert(own, own, overwrite=True)
    assert_same(own, tmp_path / "copy.safetensors")


@pytest.mark.parametrize(
    ("destination", "words"),
    [
        ("run/net.pt", r"nothing is written as \.pt; \.pth\.tar asks for"),
        ("run", r"run holds other files than weights' \(best\.safetensors\)"),
        ("file/net.pth", "file is not a folder"),
        ("file", "file is a file; a folder is written"),
    ],
)
def test_wrong_destinations(own: Path, tmp_path: Path, destination: str, words: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=words):
        convert(own, tmp_path / destination, overwrite=True)


@pytest.mark.parametrize(
    ("backbone", "changes", "words"),
    [
        ("resnet", {}, "does not know the backbone test_resnet"),
        ("dinov2", {}, "does not know the backbone vit_base_patch14_dinov2"),
        ("dinov3", {}, "does not know the backbone vit_small_patch16_dinov3"),
        (
            "vit",
            {"num_outputs": {"depth": 1, "semseg": 5}},
            "in the order depth, semseg; the authors' code numbers them",
        ),
        ("vit", {"num_outputs": {"albedo": 3}}, "does not know the task albedo"),
    ],
)
def test_networks_that_the_authors_code_does_not_know(
    tmp_path: Path, backbone: str, changes: dict[str, Any], words: str
) -> None:
    bridgenet.save(build(backbone, **changes), tmp_path / "net.safetensors")
    with pytest.raises(UserError, match=words):
        convert(tmp_path / "net.safetensors", tmp_path / "net.pth.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize("name", ["net.pth.tar", "net.safetensors", "net"])
def test_a_bit_that_changes_on_the_way(own: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module._same_bits
    monkeypatch.setattr(
        module, "_same_bits", lambda a, b: real(a, b) and a.shape != torch.Size([NUM_OUTPUTS["semseg"]])
    )
    with pytest.raises(UserError, match=r"differs from the weights \(.*semseg.*\): nothing was kept"):
        convert(own, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_bits_are_compared() -> None:
    zero, nan = torch.zeros(2), torch.full((2,), torch.nan)
    assert module._same_bits(nan, nan.clone())
    assert module._same_bits(torch.tensor(3), torch.tensor(3))
    assert not module._same_bits(zero, -zero)
    assert not module._same_bits(zero, zero.double())
    assert not module._same_bits(zero, zero[None])


def test_licences(own: Path, tmp_path: Path) -> None:
    assert convert(own, tmp_path / "a.safetensors", licence="Apache 2.0").information["licence"] == "apache-2.0"
    content = as_released(bridgenet.load_network(own, device="cpu"))
    del content["bridgenet"]  # as the authors' training would have written it
    torch.save(content, tmp_path / "theirs.pth.tar")
    config = {
        "backbone_kwargs": {"num_heads": 2, "select_list": [1, 2, 3]},
        "mtt_resolution_downsample_rate": 2,
        "dilated_ratio": [1, 2, 5],
        "image_size": [64, 96],
    }
    with pytest.raises(UserError, match=r"come from theirs\.pth\.tar .*cannot be given the licence mit"):
        convert(tmp_path / "theirs.pth.tar", tmp_path / "b.safetensors", config=config, licence="mit")
    assert not (tmp_path / "b.safetensors").exists()
    network = convert(tmp_path / "theirs.pth.tar", tmp_path / "b.safetensors", config=config, licence="CC BY-NC 4.0")
    assert network.information["licence"] == "cc-by-nc-4.0"
