"""Checkpoints in the authors' names: as released, recognised from the weights alone, and all that can be wrong with them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import bridgenet
from bridgenet import UserError, config, data, tasks
from bridgenet.checkpoints import meta_network, reference_names
from bridgenet.checkpoints.convert import unused_weights
from bridgenet.checkpoints.detection import detect_network
from bridgenet.checkpoints.files import check_state_dict, state_of
from bridgenet.checkpoints.reference import DROPPED
from tests.golden.golden import golden_dir
from tests.model.networks import BACKBONES, build, config_of, images

CASE = "internimage_nyud"
pytestmark = pytest.mark.skipif(
    not (golden_dir() / f"{CASE}.json").is_file(), reason=f"no {CASE} among the golden cases"
)


def golden(case: str = CASE) -> tuple[dict[str, Tensor], dict[str, Any]]:
    state = load_file(golden_dir() / f"{case}.checkpoint.safetensors")
    return state, json.loads((golden_dir() / f"{case}.json").read_text())


def as_released(state: dict[str, Tensor], path: Path) -> Path:
    """A file as the authors' training writes it."""
    model = {f"module.{key}": value for key, value in state.items()}
    model["module.multi_task_decoder.trfl.mt_proj.depth.1.num_batches_tracked"] = torch.tensor(3)
    model["module.multi_task_decoder.scale_embed.0.weight"] = torch.ones(2)
    optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-5, "params": [0]}]}
    torch.save({"model": model, "optimizer": optimizer, "scheduler": {"t": 1}, "epoch": 9, "iter_count": 20000}, path)
    return path


def test_released_form(tmp_path: Path) -> None:
    state, description = golden()
    network = bridgenet.load_network(as_released(state, tmp_path / "net.pth.tar"), device="cpu", config=description)
    plain = bridgenet.load_network(golden_dir() / f"{CASE}.checkpoint.safetensors", device="cpu", config=description)
    with torch.no_grad():
        got, expected = network(images(1)), plain(images(1))
    for task, x in expected.logits.items():
        assert torch.equal(got.logits[task], x)


def test_conversion_keeps_outputs(tmp_path: Path) -> None:
    network = bridgenet.load_network(golden_dir() / f"{CASE}.checkpoint.safetensors", device="cpu", config=golden()[1])
    bridgenet.save(network, tmp_path / "own.safetensors")
    own = bridgenet.load_network(tmp_path / "own.safetensors", device="cpu")
    assert config_of(own) == config_of(network)
    with torch.no_grad():
        assert torch.equal(own(images(1)).logits["normals"], network(images(1)).logits["normals"])


@pytest.mark.parametrize("kind", ["vit", "internimage"])
def test_every_weight_has_its_own_name(kind: str) -> None:
    network = build(kind)
    names = reference_names(network)
    counters = {key for key in network.state_dict() if key.endswith("num_batches_tracked")}
    assert set(names) == set(network.state_dict()) - counters
    assert len(set(names.values())) == len(names)


HEAD = "heads.depth.linear_pred.weight"
WIDE = "multi_task_decoder.preliminary_decoder.semseg.1.conv.weight"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("multi_task_decoder.trfl.mt_proj.depth.0.weight"), r"1 weights.*(?s:.*)mt_proj\.depth\.0\.weight is missing"),
        (lambda s: s.update(extra=torch.ones(1)), "extra is not part of this network"),
        (lambda s: s.update({HEAD: torch.ones(1, 3, 1, 1)}), r"linear_pred\.weight has shape \(1, 3, 1, 1\)"),
        (lambda s: s.pop("multi_task_decoder.trfl.mix_proj.semseg.0.weight"), r"mix_proj\.semseg\.0\.weight is missing"),
        (lambda s: [s.pop(key) for key in list(s) if key.startswith("heads.")], "not a BridgeNet checkpoint"),
        (lambda s: [s.pop(key) for key in list(s) if key.startswith("backbone.")], "backbone.* is missing"),
        (lambda s: [s.pop(key) for key in list(s) if key.startswith("multi_task")], "is not a complete BridgeNet checkpoint"),
        (lambda s: s.update({HEAD: torch.ones(1, 32, 1, 1, dtype=torch.int64)}), "has numbers of kind int64, expected float32"),
        (lambda s: s.update({HEAD: torch.zeros(1).expand(1, 10**14, 1, 1)}), r"depth\.linear_pred\.weight claims to have"),
        (lambda s: s.update({WIDE: torch.zeros(10**6, 1, 1, 1)}), "the weights have embed_dim 1000000"),
        (lambda s: s.update({WIDE: torch.tensor(1.0)}), "has weights of shapes that no BridgeNet has"),
        (lambda s: s.update({"backbone.levels.0.blocks.9999999999.gamma1": torch.ones(1)}), r"levels\.0\.blocks\.\d+\. is missing"),
        (lambda s: s.update({"heads.albedo.linear_pred.weight": torch.ones(3, 3, 1, 1)}), "tasks that are not registered: albedo"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit(tmp_path: Path, change, words: str) -> None:
    state, description = golden()
    change(state)
    with pytest.raises(UserError, match=words) as error:
        bridgenet.load(as_released(state, tmp_path / "net.pth.tar"), config=description)
    assert "net.pth.tar" in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_size": "large"}, "image_size is 'large', expected"),
        ({"backbone_kwargs": 3}, "backbone_kwargs is 3, expected"),
        ({"backbone_kwargs": {"offset_scale": "x"}}, "offset_scale is 'x', expected"),
        ({"tasks": 4}, "tasks is 4, expected"),
        ({"mtt_resolution_downsample_rate": "x"}, "base_divisor is 'x'"),
        ({"dilated_ratio": "x"}, "net.pth"),
    ],
)
def test_settings_of_another_kind(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    state, description = golden()
    with pytest.raises(UserError, match=words):
        bridgenet.load(as_released(state, tmp_path / "net.pth"), config=description | change)


@pytest.mark.parametrize("case", ["vit_nyud", "internimage_nyud"])
def test_what_the_file_cannot_tell_is_asked_for(case: str) -> None:
    state, description = golden(case)
    wanted = {"vit_nyud": ["num_heads", "select_list"], "internimage_nyud": ["offset_scale"]}[case]
    with pytest.raises(UserError) as error:
        detect_network(state, None, Path("net.pth"))
    for key in [
        *(f"backbone_kwargs.{key}" for key in wanted),
        "mtt_resolution_downsample_rate",
        "dilated_ratio",
        "image_size",
    ]:
        assert key in str(error.value)
    for key in ("mtt_resolution_downsample_rate", "dilated_ratio", "image_size"):
        given = {name: value for name, value in description.items() if name != key}
        with pytest.raises(UserError, match=f"do not show: {key}\\."):
            detect_network(state, given, Path("net.pth"))
    with pytest.raises(UserError, match=r"'image_sizes' is not a key \(did you mean image_size\?\)"):
        detect_network(state, {"image_sizes": [1, 2]}, Path("net.pth"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("embed_dim", 32),
        ("pred_out_num_constant", 16),
        ("refine_depth", 4),
        ("refine_depth", [3, 3, 4]),
        ("tasks", ["semseg", "depth"]),
        ("num_outputs", {"semseg": 21}),
        ("squeeze_ratio", [[1]]),
        ("backbone_kwargs", {"channels": 16, "offset_scale": 1.0}),
        ("backbone_kwargs", {"depths": [1, 1, 1, 1], "offset_scale": 1.0}),
    ],
)
def test_contradictions(key: str, value: Any) -> None:
    state, description = golden()
    with pytest.raises(UserError, match=f"the weights have {key if key != 'backbone_kwargs' else next(iter(value))}"):
        detect_network(state, description | {key: value}, Path("net.pth"))


PUBLISHED = [
    name
    for name in config.presets()
    if name.startswith(("nyud-vit", "nyud-int", "pascal-vit", "pascal-int"))
    and config.load(name).network.decoder.name == "bridgenet"
]


@cache
def published(name: str) -> bridgenet.BridgeNet:
    """A preset's network as published, without memory."""
    settings = config.load(name)
    info = data.info(settings.data.name)
    description = bridgenet.NetworkConfig(
        num_outputs={task: info.num_outputs[task] for task in tasks.in_order(info.num_outputs)},
        backbone=settings.network.backbone,
        image_size=(448, 576) if settings.data.name == "nyud" else (512, 512),
        decoder=settings.network.decoder,
    )
    with torch.device("meta"):
        return bridgenet.build_network(description)


def content_as_released(network: bridgenet.BridgeNet) -> dict[str, Any]:
    """What a released file of this network holds: all of the authors' keys, and the training's state."""
    names, weights = reference_names(network), network.state_dict()
    state = {theirs: weights[ours] for ours, theirs in names.items()} | unused_weights(network)
    for key in list(state):
        if key.endswith("running_mean"):
            state[key.replace("running_mean", "num_batches_tracked")] = torch.tensor(20000)
    model = {f"module.{key}": state[key] for key in sorted(state)}
    return {"model": model, "optimizer": {"state": {}}, "scheduler": {"t": 1}, "epoch": 151, "iter_count": 20000}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_are_recognised(name: str) -> None:
    """Each preset's network as released, from the names and shapes of its weights alone; and every weight fits."""
    settings, network, path = config.load(name), published(name), Path(name)
    expected = config_of(network)
    state = state_of(content_as_released(network), path)
    found = detect_network(state, None, path)
    assert found.num_outputs == expected.num_outputs
    assert list(found.num_outputs) == list(expected.num_outputs)
    assert (found.backbone, found.image_size) == (expected.backbone, expected.image_size)
    decoder = found.decoder
    assert (decoder["embed_dim"], decoder["extra_channels"]) == (512, 64)
    assert decoder["refine_depth"] == [settings.network.decoder.complete()["refine_depth"]] * 3
    assert decoder["dilations"] == [1, 2, 5]
    assert decoder["base_divisor"] == network.backbone.base_divisor
    assert found.dataset == settings.data.name
    again = meta_network(found, state, path)
    assert {key: x.shape for key, x in again.state_dict().items()} == {
        key: x.shape for key, x in network.state_dict().items()
    }
    weights = again.state_dict()
    expected_weights = {theirs: weights[ours] for ours, theirs in reference_names(again).items()}
    check_state_dict({key: x for key, x in state.items() if not DROPPED.match(key)}, expected_weights, path)


def test_published_vit_contradicted() -> None:
    with torch.device("meta"):
        network = bridgenet.build_network(bridgenet.NetworkConfig({"depth": 1}, "vit_base_patch16_384", (448, 576)))
    state = {theirs: network.state_dict()[ours] for ours, theirs in reference_names(network).items()}
    given = {"backbone_kwargs": {"num_heads": 12, "select_list": [3, 6, 9]}, "mtt_resolution_downsample_rate": 2}
    assert detect_network(state, given, Path("x")).backbone == {"name": "vit_base_patch16_384"}
    with pytest.raises(UserError, match=r"num_heads 12.*says 16"):
        detect_network(state, {"backbone_kwargs": {"num_heads": 16}}, Path("x"))
    with pytest.raises(UserError, match=r"mtt_resolution_downsample_rate 2.*says 1"):
        detect_network(state, {"mtt_resolution_downsample_rate": 1}, Path("x"))


@pytest.mark.parametrize(
    "style", [{"post_norm": False}, {"layer_scale": False}, {"layer_scale": False, "post_norm": False}]
)
def test_other_styles_of_internimage_are_recognised(style: dict[str, Any]) -> None:
    name, kwargs = BACKBONES["internimage"]
    network = build(backbone={"name": name, **kwargs, **style})
    state = {theirs: network.state_dict()[ours] for ours, theirs in reference_names(network).items()}
    given = {
        "backbone_kwargs": {"offset_scale": 1.0},
        "mtt_resolution_downsample_rate": 1,
        "dilated_ratio": [1, 2, 5],
        "image_size": [64, 96],
    }
    assert detect_network(state, given, Path("x")).backbone.arguments == kwargs | style
