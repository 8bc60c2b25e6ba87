"""The decoders that BridgeNet is compared with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from bridgenet import UserError
from bridgenet.checkpoints.backbone import load_backbone
from bridgenet.training.optimisation import make_optimizer
from tests.model.networks import build, images


@torch.no_grad()
def test_tasks_of_single_task_share_nothing() -> None:
    """What a task's own network has is all that its result depends on."""
    network = build("single_task on resnet").eval()
    before = network(images()).logits
    for name, x in network.named_parameters():
        if "depth" not in name:
            x.mul_(1.5)
    after = network(images()).logits
    assert [task for task in before if torch.equal(before[task], after[task])] == ["depth"]


@torch.no_grad()
def test_tasks_of_multi_task_share_the_backbone_alone() -> None:
    network = build("multi_task on resnet").eval()
    before = network(images()).logits
    for name, x in network.named_parameters():
        if "depth" not in name and not name.startswith("backbone."):
            x.mul_(1.5)
    assert [task for task, x in network(images()).logits.items() if torch.equal(before[task], x)] == ["depth"]
    next(network.backbone.parameters()).mul_(2)
    assert not torch.equal(network(images()).logits["depth"], before["depth"])


def test_single_task_is_the_multi_task_head_on_a_backbone_each() -> None:
    single, multi = build("single_task on resnet"), build("multi_task on resnet")
    count = {name: sum(x.numel() for x in part.parameters()) for name, part in single.named_children()}
    shared = {name: sum(x.numel() for x in part.parameters()) for name, part in multi.named_children()}
    assert count["backbone"] == 4 * shared["backbone"]
    assert (count["decoder"], count["heads"]) == (shared["decoder"], shared["heads"])
    first, second = (list(single.backbone.of_task[task].parameters()) for task in ("semseg", "depth"))
    assert any(not torch.equal(a, b) for a, b in zip(first, second))  # each has weights of its own


def test_one_task_alone_is_single_task() -> None:
    """With one task there is nothing to share: both are the same network."""
    torch.manual_seed(0)
    x, y = (build(f"{name} on resnet", 1).eval()(images()).logits["semseg"] for name in ("single_task", "multi_task"))
    torch.testing.assert_close(x, y)


def test_a_backbone_per_task_is_one_backbone() -> None:
    """Frozen, checkpointed, with learning rates by layer: all of its parts are."""
    network = build("single_task on vit")
    network.backbone.set_checkpointing()
    assert all(part.checkpointing for part in network.backbone.parts)
    optimizer = make_optimizer(network, name="adam", lr=1.0, layer_decay=0.5)
    plain = make_optimizer(build("multi_task on vit"), name="adam", lr=1.0, layer_decay=0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [group["lr"] for group in plain.param_groups]
    network.backbone.freeze()
    assert not network.train().backbone.of_task["depth"].training
    assert not any(x.requires_grad for x in network.backbone.parameters())


def test_weights_of_a_file_go_to_every_task(tmp_path: Path) -> None:
    source, network = build("resnet").backbone, build("single_task on resnet")
    torch.save({name: source.state_dict()[key] for key, name in source.timm_names().items()}, tmp_path / "resnet.pth")
    load_backbone(network.backbone, tmp_path / "resnet.pth")
    for part in network.backbone.parts:
        assert all(torch.equal(x, source.state_dict()[key]) for key, x in part.state_dict().items())


@pytest.mark.parametrize(
    ("backbone", "strides"), [("vit", [4, 8, 16, 32]), ("resnet", [4, 8, 16, 32])], ids=["vit", "resnet"]
)
@torch.no_grad()
def test_dpt_makes_a_pyramid_of_any_backbone(backbone: str, strides: list[int]) -> None:
    network = build(f"dpt on {backbone}").eval()
    head = network.decoder.task_heads["depth"]
    maps = network.backbone(images())
    assert [images().shape[-1] // part(x).shape[-1] for part, x in zip(head.reassemble, maps)] == strides
    assert head(maps).shape == (2, 8, 32, 48)  # half the width, stride 2


def test_dpt_without_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers.models", None)
    with pytest.raises(
        UserError, match=r'dpt needs transformers, which is not installed: pip install "bridgenet\[dpt\]"'
    ):
        build("dpt on resnet")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"depth": 3}, r"unknown key network\.decoder\.depth \(did you mean network\.decoder\.width\?\)"),
        ({"width": 12}, "width is 12, expected a positive multiple of 8"),
        ({"width": "wide"}, "width is 'wide'"),
    ],
)
def test_settings(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        build("resnet", decoder={"name": "multi_task", **settings})


def test_names_of_decoders() -> None:
    with pytest.raises(UserError, match=r"'multitask' is not a decoder \(did you mean multi_task\?\)"):
        build("resnet", decoder="multitask")
