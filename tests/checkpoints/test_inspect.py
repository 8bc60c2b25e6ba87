"""What `bridgenet inspect` tells of every kind of file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

import bridgenet
from bridgenet import UserError
from bridgenet.checkpoints import inspect as module
from bridgenet.checkpoints import reference, weights_path
from bridgenet.checkpoints.convert import as_released, convert
from bridgenet.checkpoints.inspect import inspect
from bridgenet.model.backbones import build_backbone
from tests.checkpoints.test_reference import PUBLISHED, content_as_released, published
from tests.model.networks import BACKBONES, SIZE, build, config_of, with_information

CONFIG = {
    "backbone_kwargs": {"num_heads": 2, "select_list": [1, 2, 3]},
    "mtt_resolution_downsample_rate": 2,
    "dilated_ratio": [1, 2, 5],
    "image_size": list(SIZE),
}
PARAMETERS = {
    "nyud-vit-large": (460.7, 304.1),
    "nyud-internimage-large": (397.8, 219.0),
    "pascal-vit-base": (230.0, 86.4),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_released(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The eight networks, by shapes alone: their files would take 12 GB."""
    content = content_as_released(published(name))
    state = {key.removeprefix("module."): x for key, x in content["model"].items()}
    monkeypatch.setattr(module, "read_own", lambda path, whole: None)
    monkeypatch.setattr(module, "read_state", lambda path, whole: (state, content))
    path = tmp_path / "BridgeNet.pth.tar"
    path.touch()
    found = inspect(path)
    assert (found.kind, found.preset, found.problems) == ("released BridgeNet", name, [])
    assert (found.step, found.epoch, found.licence) == (20000, 151, "cc-by-nc-4.0")
    if name == "nyud-internimage-large":
        first = (
            "released BridgeNet, internimage_l, tasks semseg depth normals edge, d 18; preset nyud-internimage-large"
        )
        assert str(found).splitlines()[0] == first
    if name in PARAMETERS:
        millions = round(found.parameters / 1e6, 1), round(found.backbone_parameters / 1e6, 1)
        assert millions == PARAMETERS[name]

    broken = dict(state)
    del broken["heads.edge.linear_pred.bias"]
    monkeypatch.setattr(module, "read_state", lambda path, whole: (broken, content))
    assert inspect(path).problems == ["heads.edge.linear_pred.bias is missing"]


def theirs(tmp_path: Path, **changes: Any) -> Path:
    """A small network's file in the authors' names that does not describe itself."""
    content = as_released(build("vit", **changes))
    del content["bridgenet"]
    torch.save(content, tmp_path / "net.pth.tar")
    return tmp_path / "net.pth.tar"


def test_unpublished_in_the_authors_names(tmp_path: Path) -> None:
    path = theirs(tmp_path)
    found = inspect(path)
    assert found.kind == "BridgeNet in the authors' names"
    assert found.tasks == {"semseg": 5, "depth": 1, "human_parts": 7, "sal": 2}
    assert (found.embed_dim, found.width, found.refine_depth) == (16, 24, [2, 2, 2])
    assert found.problems[0].startswith(
        "is not one of the published networks, and its weights do not show: backbone_kw"
    )
    found = inspect(path, config=CONFIG)
    assert found.problems == []
    assert found.image_size == SIZE
    assert found.parameters == sum(x.numel() for x in build("vit").parameters())
    (tmp_path / "net.json").write_text(json.dumps(CONFIG))
    assert inspect(path, config=tmp_path / "net.json") == found


def test_not_whole(tmp_path: Path) -> None:
    content = as_released(build("vit"))
    del content["model"]["module.multi_task_decoder.trfl.mix_proj.semseg.0.weight"]
    torch.save(content, tmp_path / "net.pth.tar")
    found = inspect(tmp_path / "net.pth.tar")
    assert found.problems == [
        "is not a complete BridgeNet checkpoint: multi_task_decoder.trfl.mix_proj.semseg.0.weight is missing"
    ]
    assert "! is not a complete" in str(found)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("best.safetensors", "best weights of a run"),
        ("last.safetensors", "last weights of a run"),
        ("own.safetensors", "own weights"),
        ("hub", "own weights, as on the hub"),
    ],
)
def test_own(tmp_path: Path, name: str, kind: str) -> None:
    network = build(dataset="nyud")
    with_information(network, {"step": 7, "licence": "mit"})
    if name == "hub":
        bridgenet.Model(network).save_pretrained(tmp_path / name)
    else:
        bridgenet.save(network, tmp_path / name, optimizer={"x": torch.ones(1000)})
    found = inspect(tmp_path / name)
    assert (found.kind, found.step, found.licence, found.problems) == (kind, 7, "mit", [])
    assert found.parameters == sum(x.numel() for x in network.parameters())
    assert found.backbone_parameters == sum(x.numel() for x in network.backbone.parameters())
    assert (found.preset, found.nearest_preset) == (None, None)
    if name.startswith(("best", "last")):
        assert inspect(tmp_path) == found


def test_nearest_preset() -> None:
    config = config_of(published("nyud-vit-large"))
    assert config is not None
    assert module.nearest_preset(config) == ("nyud-vit-large", [])
    assert module.nearest_preset(replace(config, decoder={**config.decoder, "refine_depth": 6})) == (
        "nyud-vit-large",
        ["refine_depth 6 (preset 18)"],
    )


def test_backbones(tmp_path: Path) -> None:
    with torch.device("meta"):
        large = build_backbone("internimage_l", image_size=SIZE)
        vit = timm.create_model("vit_large_patch16_384")
    state = {f"backbone.{reference.backbone_name(key)}": x for key, x in large.state_dict().items()}
    found = module._backbone(Path("x"), state)
    assert (found.kind, found.backbone) == ("InternImage backbone in OpenGVLab's names", "internimage_l")
    assert found.preset == (
        "cityscapes-internimage-large or nyud-internimage-large or pascal-internimage-large (network.backbone_checkpoint)"
    )
    assert round(found.parameters / 1e6, 1) == 219.0
    found = module._backbone(Path("x"), dict(vit.state_dict()))
    assert (found.kind, found.backbone) == ("ViT backbone in timm's names", "vit_large_patch16_384")
    name, kwargs = BACKBONES["internimage"]
    small = build_backbone(name, image_size=SIZE, **kwargs)
    torch.save({reference.backbone_name(key): x for key, x in small.state_dict().items()}, tmp_path / "small.pth")
    found = inspect(tmp_path / "small.pth")
    assert found.backbone is None
    assert found.problems == ["no backbone of this project has this size"]


def test_unknown(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.ones(3), "bn1.running_mean": torch.ones(5)}, tmp_path / "x.pth")
    found = inspect(tmp_path / "x.pth")
    assert found.kind == "unknown weights (first: conv1.weight, bn1.running_mean)"
    assert found.parameters == 3
    (tmp_path / "words.pth").write_text("words")
    with pytest.raises(UserError, match=r"words\.pth "):
        inspect(tmp_path / "words.pth")


def test_no_network_is_built_with_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert_source = theirs(tmp_path)
    convert(convert_source, tmp_path / "own.safetensors", config=CONFIG)
    built = []
    real = bridgenet.checkpoints.source.build_network

    def build_network(config: Any) -> Any:
        built.append(real(config))
        return built[-1]

    monkeypatch.setattr("bridgenet.checkpoints.source.build_network", build_network)
    inspect(tmp_path / "own.safetensors")
    inspect(convert_source, config=CONFIG)
    assert len(built) == 2
    assert all(x.device.type == "meta" for network in built for x in network.state_dict().values())
    assert weights_path(tmp_path / "own.safetensors") == tmp_path / "own.safetensors"
