from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

import bridgenet
from bridgenet import UserError
from bridgenet.checkpoints import read_information, read_own, reference
from bridgenet.checkpoints.backbone import load_backbone
from bridgenet.checkpoints.files import read_file
from bridgenet.checkpoints.inspect import inspect
from bridgenet.model.backbones import build_backbone
from tests.model.networks import BACKBONES, build, config, config_of, images

NESTED = json.loads("[" * 300 + "]" * 300)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "best.safetensors"
    bridgenet.save(build(class_names={"semseg": ["a", "b", "c", "d", "e"]}), path, information={"step": 7})
    return path


def rewrite(path: Path, change: dict[str, Any]) -> None:
    """The file with another description."""
    own = read_own(path)
    assert own is not None
    description = {"format": 1, "network": own[2].as_dict(), "information": {}} | change
    tensors = {f"model.{key}": value for key, value in own[0].items()}
    save_file(tensors, str(path), metadata={"bridgenet": json.dumps(description)})


def test_round_trip_to_the_bit(saved: Path) -> None:
    network, loaded = (
        build(class_names={"semseg": ["a", "b", "c", "d", "e"]}),
        bridgenet.load_network(saved, device="cpu"),
    )
    assert config_of(loaded) == config_of(network)
    assert list(loaded.tasks.items()) == list(network.tasks.items())
    state = loaded.state_dict()
    assert set(state) == set(network.state_dict())
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())
    assert read_information(saved) == {"step": 7}


def test_run_folder(saved: Path) -> None:
    with torch.no_grad():
        expected = bridgenet.load_network(saved, device="cpu")(images()).logits["depth"]
        assert torch.equal(bridgenet.load_network(saved.parent, device="cpu")(images()).logits["depth"], expected)
    saved.rename(saved.with_name("last.safetensors"))
    bridgenet.load(saved.parent, device="cpu")
    saved.with_name("last.safetensors").unlink()
    with pytest.raises(UserError, match=r"holds no weights \(looked for best\.safetensors and last\.safetensors\)"):
        bridgenet.load(saved.parent)


def test_optimizer_state_is_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    bridgenet.save(build(), path, optimizer={"exp_avg.x": torch.arange(3.0)})
    own = read_own(path)
    assert own is not None
    assert list(own[1]) == ["exp_avg.x"]
    bridgenet.load(path, device="cpu")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 99}, "has format 99, this version reads 1: update bridgenet"),
        ({"network": {"backbone": "test_resnet"}}, "description: num_outputs is missing"),
        ({"network": {"colour": "red"}}, "unknown key colour"),
        ({"network": None}, "description"),
        ({"information": []}, "description is incomplete"),
        ({"network": config().as_dict() | {"image_size": "large"}}, "description: image_size is 'large', expected "),
        (
            {"network": config().as_dict() | {"num_outputs": {"depth": "1"}}},
            "description: num_outputs.depth is '1', expected a whole number",
        ),
        ({"network": config().as_dict() | {"refine_depth": 10**9}}, "refine_depth is 1000000000, expected "),
        ({"network": config().as_dict() | {"refine_depth": 900}}, "refine_depth 900, but there are"),
        (
            {"network": config("vit").as_dict() | {"backbone_kwargs": {"depth": 10**9}}},
            "depth is 1000000000, expected ",
        ),
        ({"network": config().as_dict() | {"embed_dim": 10**6}}, "embed_dim is 1000000, expected "),
        ({"network": config().as_dict() | {"embed_dim": 1000}}, "weights do not fit this network"),
        ({"network": config("resnet").as_dict() | {"backbone_kwargs": {"layers": [60_000] * 4}}}, "far larger network"),
        (
            {"network": config("resnet").as_dict() | {"backbone_kwargs": {"layers": [10**9] * 4}}},
            r"backbone\.layers.* is 1000000000",
        ),
        ({"network": config().as_dict() | {"num_stages": 10**9}}, "num_stages is 1000000000, expected 3"),
        ({"network": config().as_dict() | {"class_names": {"semseg": NESTED}}}, "nested too deeply"),
        ({"network": config().as_dict() | {"dilations": [10**9]}}, "dilations is .*1000000000"),
        (
            {"network": config().as_dict() | {"base_divisor": 10**9}},
            "base_divisor is 1000000000, expected .* at most 64",
        ),
        ({"network": config().as_dict() | {"image_size": [0, 0]}}, r"image_size is \[0, 0\], expected"),
        ({"network": config().as_dict() | {"image_size": [64, 10**9]}}, r"image_size is .* 1 to 32736"),
        ({"network": config().as_dict() | {"num_outputs": {"depth": 10**9}}}, "num_outputs.depth is 1000000000"),
        ({"network": config().as_dict() | {"num_outputs": {"../x": 1}}}, "num_outputs: '../x' is no name of a task"),
        (
            {"network": config().as_dict() | {"class_names": {"semseg": ["a"]}}},
            "class_names.semseg has 1 names, expected 5",
        ),
        (
            {"network": config().as_dict() | {"class_names": {"x": ["a"]}}},
            "class_names has x, expected tasks of semseg",
        ),
        (
            {"network": config().as_dict() | {"task_definitions": {"depth": {"name": "x"}}}},
            "task_definitions.depth defines 'x'",
        ),
        ({"network": config().as_dict() | {"task_definitions": {"depth": "text"}}}, "task_definitions.depth is 'text'"),
        (
            {"network": config().as_dict() | {"task_definitions": {"depth": {"name": "depth"}}}},
            "does not describe a task: title",
        ),
        (
            {"network": config().as_dict() | {"backbone_kwargs": {"checkpoint_path": "/x"}}},
            "backbone.checkpoint_path is no setting of a backbone",
        ),
        ({"network": config().as_dict() | {"backbone_kwargs": {"pretrained": True}}}, "pretrained is no setting of"),
        ({"network": config().as_dict() | {"backbone": "hf-hub:me/net"}}, "neither InternImage nor a timm model"),
    ],
)
def test_descriptions_that_are_not_ours(saved: Path, change: dict[str, Any], words: str) -> None:
    rewrite(saved, change)
    with pytest.raises(UserError, match=rf"(?s)best\.safetensors.*{words}"):
        bridgenet.load(saved)


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"format": 1}', "[" * 100_000])
def test_damaged_descriptions(saved: Path, text: str) -> None:
    save_file({"model.x": torch.zeros(1)}, str(saved), metadata={"bridgenet": text})
    with pytest.raises(UserError, match=r"best\.safetensors.*description"):
        bridgenet.load(saved)


def test_weights_of_another_configuration(saved: Path) -> None:
    rewrite(saved, {"network": config_of(build(num_tasks=2)).as_dict()})
    with pytest.raises(UserError, match=r"weights do not fit this network:(?s:.*)\.human_parts\..* is not part of"):
        bridgenet.load(saved)


def test_what_is_recorded_travels(saved: Path, tmp_path: Path) -> None:
    network = bridgenet.load(saved, device="cpu")
    assert network.information == {"step": 7}
    bridgenet.save(network, tmp_path / "again.safetensors", information={"scores": {"depth": {"rmse": 1.0}}})
    again = bridgenet.load(tmp_path / "again.safetensors", device="cpu")
    assert again.information == {"step": 7, "scores": {"depth": {"rmse": 1.0}}}


def test_a_runs_last_has_scores_of_an_earlier_step(tmp_path: Path) -> None:
    information = {"step": 90, "first_scores": {}, "best_gain": 0.1, "scores": {"depth": {"rmse": 1.0}}}
    bridgenet.save(build(), tmp_path / "last.safetensors", information=information)
    assert bridgenet.load(tmp_path, device="cpu").information == {"step": 90}
    assert read_information(tmp_path / "last.safetensors") == information  # what the run is resumed from


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    network, path = build(), tmp_path / "x.safetensors"
    with torch.no_grad():
        network.heads["depth"].bias.fill_(value)
    bridgenet.save(network, path)
    words = r"1 of \d+ weights hold NaN or infinity \(first: heads\.depth\.bias\)"
    with pytest.raises(UserError, match=rf"x\.safetensors: {words}"):
        bridgenet.load(path, device="cpu")
    assert any(re.search(words, problem) for problem in inspect(path).problems)


@pytest.mark.parametrize("part", ["model.heads.depth.weight", "optimizer.heads.depth.weight/exp_avg"])
def test_flipped_bits_are_told(tmp_path: Path, part: str) -> None:
    path = tmp_path / "last.safetensors"
    bridgenet.save(build(), path, optimizer={"heads.depth.weight/exp_avg": torch.ones(3)})
    content = bytearray(path.read_bytes())
    length = int.from_bytes(content[:8], "little")
    start, _ = json.loads(content[8 : 8 + length])[part]["data_offsets"]
    content[8 + length + start + 1] ^= 16
    path.write_bytes(content)
    damaged = rf"last\.safetensors is damaged: the checksum of {part.partition('.')[0]} does not match"
    with pytest.raises(UserError, match=damaged):
        inspect(path)
    with pytest.raises(UserError, match=damaged):
        read_own(path, whole=True)
    if part.startswith("model"):
        with pytest.raises(UserError, match=damaged):
            bridgenet.load(path)


def test_weights_and_description_belong_together(tmp_path: Path) -> None:
    """What the format itself does not tell: two weights of one shape exchanged, and another name of a class."""
    path = tmp_path / "x.safetensors"
    bridgenet.save(build(class_names={"semseg": list("abcde")}), path)
    content = path.read_bytes()
    for change in ((b"preliminary.semseg.0.conv", b"preliminary.depth.0.conv"), (b'\\"a\\"', b'\\"A\\"')):
        one, two = change
        assert one in content
        marked = content.replace(one, b"@").replace(two, one).replace(b"@", two)
        path.write_bytes(marked if len(marked) == len(content) else content.replace(one, two, 1))
        with pytest.raises(UserError, match=r"x\.safetensors"):
            bridgenet.load(path)


@pytest.mark.parametrize("sums", ["", "[]", '{"model": 3}', "{}", "[" * 100_000])
def test_checksums_that_are_none(tmp_path: Path, sums: str) -> None:
    path = tmp_path / "x.safetensors"
    bridgenet.save(build(), path)
    content, metadata = read_file(path)
    save_file(content, str(path), metadata=metadata | {"bridgenet_checksums": sums})
    with pytest.raises(UserError, match=r"checksum of (bridgenet_checksums|model) does not match"):
        bridgenet.load(path)


def test_files_without_a_checksum_are_read_with_a_note(saved: Path) -> None:
    rewrite(saved, {"network": config().as_dict()})
    with pytest.warns(UserWarning, match=r"best\.safetensors has no checksum"):
        bridgenet.load(saved)


def test_failed_save_leaves_the_old_file(saved: Path, monkeypatch) -> None:
    before = saved.read_bytes()

    def half(_tensors, path: str, **_kwargs) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("bridgenet.checkpoints.own.save_file", half)
    with pytest.raises(OSError, match="no space"):
        bridgenet.save(build(), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_neither_ours_nor_the_authors(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.ones(1)}, tmp_path / "resnet.pth")
    with pytest.raises(
        UserError, match=r"resnet\.pth holds neither this project's weights nor .*first keys: conv1\.weight"
    ):
        bridgenet.load(tmp_path / "resnet.pth")


def test_network_without_a_description(tmp_path: Path) -> None:
    network = build()
    same = bridgenet.BridgeNet(network.backbone, network.decoder, network.heads)
    with pytest.raises(UserError, match="not known how this network was built; give its NetworkConfig"):
        bridgenet.save(same, tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())
    bridgenet.save(same, tmp_path / "x.safetensors", config=config_of(network))
    assert bridgenet.load(tmp_path / "x.safetensors", device="cpu").config == config_of(network)


def backbone(kind: str):
    name, kwargs = BACKBONES[kind]
    return build_backbone(name, image_size=(64, 96), **kwargs)


def internimage_file() -> dict[str, torch.Tensor]:
    """A fake file of OpenGVLab's, classification head included."""
    state = {
        reference.backbone_name(key): torch.rand_like(x) for key, x in backbone("internimage").state_dict().items()
    }
    return state | {"conv_head.0.weight": torch.ones(2), "norm.0.weight": torch.ones(2), "head.bias": torch.ones(2)}


@pytest.mark.parametrize("prefix", ["", "backbone.", "module.", "module.backbone."])
@pytest.mark.parametrize("under", ["model", "state_dict", None])
def test_internimage_backbone(tmp_path: Path, prefix: str, under: str | None) -> None:
    state, path = internimage_file(), tmp_path / "internimage.pth"
    content = {prefix + key: value for key, value in state.items()}
    torch.save({under: content} if under else content, path)
    network = backbone("internimage")
    load_backbone(network, path)
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[reference.backbone_name(key)]), key


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("patch_embed.conv1.weight", None, r"patch_embed\.conv1\.weight is missing"),
        (
            "levels.1.blocks.0.gamma1",
            "levels.1.blocks.0.gamma",
            r"(?s)gamma1 is missing.*gamma is not part of this backbone",
        ),
    ],
)
def test_backbone_files_that_do_not_fit(tmp_path: Path, old: str, new: str | None, words: str) -> None:
    state, path = internimage_file(), tmp_path / "internimage.pth"
    value = state.pop(old)
    torch.save(state | ({new: value} if new else {}), path)
    with pytest.raises(UserError, match=words):
        load_backbone(backbone("internimage"), path)


def test_vit_file_at_another_grid(tmp_path: Path) -> None:
    """timm's ViT file: the head left out, position embeddings brought to the backbone's grid."""
    name, kwargs = BACKBONES["vit"]
    model = timm.create_model(name, img_size=128, **kwargs)
    torch.nn.init.normal_(model.pos_embed)
    torch.save(model.state_dict(), tmp_path / "vit.pth")
    network = backbone("vit")
    load_backbone(network, tmp_path / "vit.pth")
    assert model.pos_embed.shape == (1, 1 + 8 * 8, 32)
    assert network.model.pos_embed.shape == (1, 1 + 4 * 6, 32)
    assert torch.equal(network.model.pos_embed[:, 0], model.pos_embed[:, 0])
    for key, value in network.model.state_dict().items():
        assert key == "pos_embed" or torch.equal(value, model.state_dict()[key]), key


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_efficientnet", "twins_svt_small"])
@torch.no_grad()
def test_pyramid_file(tmp_path: Path, name: str) -> None:
    """timm's own file, in its own names, gives its own maps."""
    model = timm.create_model(name).eval()
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    network = build_backbone(name, image_size=(64, 96)).eval()
    load_backbone(network, tmp_path / "weights.pth")
    expected = model.forward_intermediates(images(1), intermediates_only=True)[-1]
    assert torch.equal(network(images(1))[-1], expected)


@pytest.mark.parametrize(
    ("kind", "key"), [("vit", "blocks.1.attn.qkv.weight"), ("convnext", "stages.1.blocks.0.mlp.fc1.weight")]
)
@pytest.mark.parametrize("renamed", [True, False])
def test_timm_file_with_a_weight_renamed_or_missing(tmp_path: Path, kind: str, key: str, renamed: bool) -> None:
    name, kwargs = BACKBONES[kind]
    state = timm.create_model(name, **kwargs).state_dict()
    value = state.pop(key)
    torch.save(state | ({key.replace("weight", "weihgt"): value} if renamed else {}), tmp_path / "weights.pth")
    with pytest.raises(
        UserError, match=rf"weights\.pth: {1 + renamed} weights do not fit this backbone:(?s:.*) is missing"
    ):
        load_backbone(backbone(kind), tmp_path / "weights.pth")


def test_pyramid_file_of_another_depth(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_convnext").state_dict(), tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"weights\.pth: \d+ weights do not fit this backbone"):
        load_backbone(
            build_backbone("test_convnext", image_size=(64, 96), depths=(1, 1, 1, 1)), tmp_path / "weights.pth"
        )


def test_float64_weights_are_rounded_aloud(tmp_path: Path) -> None:
    bridgenet.save(build().double(), tmp_path / "x.safetensors")
    with pytest.warns(UserWarning, match="weights are float64 and are rounded to float32"):
        bridgenet.load(tmp_path / "x.safetensors", device="cpu")


def test_only_loading_leaves_out_the_draws_of_initialisation(saved: Path) -> None:
    bridgenet.load(saved, device="cpu")
    assert build().heads["semseg"].weight.abs().max() > 0


def test_a_writer_that_fails_is_told_in_words(tmp_path: Path, monkeypatch) -> None:
    from safetensors import SafetensorError

    def full(*_args, **_kwargs):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("bridgenet.checkpoints.own.save_file", full)
    with pytest.raises(UserError, match=r"x\.safetensors could not be written: No space left"):
        bridgenet.save(build(), tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())


def test_position_embeddings_that_cannot_be_resampled(tmp_path: Path) -> None:
    state = {key.removeprefix("model."): x for key, x in backbone("vit").state_dict().items()}
    torch.save(state | {"pos_embed": torch.zeros(1, 55, 32)}, tmp_path / "vit.pth")
    with pytest.raises(UserError, match=r"vit\.pth: its position embeddings \(1, 55, 32\) do not fit this backbone"):
        load_backbone(backbone("vit"), tmp_path / "vit.pth")
