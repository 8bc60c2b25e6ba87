"""Starting a network from the weights of another one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import bridgenet
from bridgenet.errors import UserError
from bridgenet.model.transfer import Transfer, transfer_weights
from tests.model.networks import NUM_OUTPUTS, build, config_of, decoder, images


def pick(*tasks: str, **others: int) -> dict[str, int]:
    return {task: NUM_OUTPUTS[task] for task in tasks} | others


def network(seed: int, backbone: Any = "resnet", **changes: Any) -> bridgenet.BridgeNet:
    """A small network whose random weights follow from the seed, norms and biases too."""
    made = build(backbone, **changes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in made.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand(value.shape, generator=generator) * 0.05)
    return made.eval()


def transfer(new: bridgenet.BridgeNet, old: bridgenet.BridgeNet) -> Transfer:
    return transfer_weights(new, config_of(new), old.state_dict(), config_of(old))


@pytest.mark.parametrize("name", ["resnet", "vit", "multi_task on resnet", "single_task on resnet", "dpt on resnet"])
def test_an_equal_network_is_taken_whole(name: str) -> None:
    old, new = network(1, name), network(2, name)
    found = transfer(new, old)
    assert not found.partly and not found.new and not found.left and not found.notes
    assert all(torch.equal(value, old.state_dict()[key]) for key, value in new.state_dict().items())


def test_classes_are_taken_by_name_in_heads_and_in_the_mix_of_tpp() -> None:
    old = network(1, num_outputs={"semseg": 3}, class_names={"semseg": ["wall", "floor", "bed"]})
    new = network(2, num_outputs={"semseg": 4}, class_names={"semseg": ["bed", "lamp", "wall", "sofa"]})
    fresh = {key: value.clone() for key, value in new.state_dict().items()}
    found = transfer(new, old)
    before, after = old.state_dict(), new.state_dict()
    for key in ("heads.semseg.weight", "heads.semseg.bias", "decoder.tpp.intermediate_heads.semseg.weight"):
        assert torch.equal(after[key][[0, 2]], before[key][[2, 0]])
        assert torch.equal(after[key][[1, 3]], fresh[key][[1, 3]])
    mix = "decoder.tpp.mix.semseg.weight"
    assert torch.equal(after[mix][:, :16], before[mix][:, :16])
    assert torch.equal(after[mix][:, [16, 18]], before[mix][:, [18, 16]])
    assert torch.equal(after[mix][:, [17, 19]], fresh[mix][:, [17, 19]])
    assert found.notes == ["semseg: 2 of 4 classes taken; new: lamp, sofa"]
    assert len(found.partly) == 5 and not found.new


def test_permuted_classes_give_permuted_logits() -> None:
    names = ["a", "b", "c", "d", "e"]
    old = network(1, num_outputs=pick("semseg", "depth"), class_names={"semseg": names})
    new = network(2, num_outputs=pick("semseg", "depth"), class_names={"semseg": names[::-1]})
    transfer(new, old)
    with torch.no_grad():
        before, after = old(images()), new(images())
    torch.testing.assert_close(after.logits["semseg"], before.logits["semseg"].flip(1))
    torch.testing.assert_close(after.logits["depth"], before.logits["depth"])


def test_tasks_may_be_reordered() -> None:
    old = network(1, num_outputs=pick("semseg", "depth", "normals"))
    new = network(2, num_outputs=pick("normals", "semseg", "depth"))
    assert not transfer(new, old).new
    with torch.no_grad():
        before, after = old(images()), new(images())
    for task in NUM_OUTPUTS.keys() & after.logits.keys():
        torch.testing.assert_close(after.logits[task], before.logits[task], rtol=1e-4, atol=1e-4)


def test_of_layers_over_all_tasks_the_parts_of_common_tasks_are_taken() -> None:
    old = network(1, num_outputs=pick("semseg", "depth", "normals"))
    new = network(2, num_outputs=pick("normals", "sal", "semseg"))
    fresh = {key: value.clone() for key, value in new.state_dict().items()}
    found = transfer(new, old)
    before, after = old.state_dict(), new.state_dict()
    fuse = "decoder.tpp.fusion.normals.fuse.weight"  # two heads a task
    assert torch.equal(after[fuse][:, [0, 1, 4, 5]], before[fuse][:, [4, 5, 0, 1]])
    assert not after[fuse][:, 2:4].any()
    norm = "decoder.stages.0.norm.weight"  # 24 channels a task
    assert torch.equal(after[norm][:24], before[norm][48:]) and torch.equal(after[norm][48:], before[norm][:24])
    assert torch.equal(after[norm][24:48], fresh[norm][24:48])
    assert torch.equal(after["heads.sal.weight"], fresh["heads.sal.weight"])
    assert torch.equal(after["decoder.tpp.fusion.sal.fuse.weight"], fresh["decoder.tpp.fusion.sal.fuse.weight"])
    assert found.notes == ["sal: a new task", "depth: left out"]
    assert all(".depth." in key for key in found.left) and all(".sal." in key for key in found.new)


def test_a_task_of_another_kind_is_a_new_task() -> None:
    def custom(kind: str) -> Any:
        definition = bridgenet.tasks.of_kind("height", kind).as_dict()
        return network(1, num_outputs={"semseg": 5, "height": 2}, task_definitions={"height": definition})

    old = custom("regression")
    from bridgenet.tasks import registry

    del registry._TASKS["height"]
    new = custom("classes")
    found = transfer(new, old)
    assert found.notes == ["height: classes, was regression: a new task"]
    assert "heads.height.weight" in found.new


def test_without_class_names_another_number_of_outputs_is_new() -> None:
    old, new = network(1, num_outputs={"semseg": 3, "depth": 1}), network(2, num_outputs={"semseg": 4, "depth": 1})
    found = transfer(new, old)
    assert "heads.semseg.weight" in found.new and "heads.depth.weight" in found.taken
    assert "semseg: 4 outputs, were 3" in found.notes[0]


def test_position_embeddings_of_another_grid_are_resampled() -> None:
    old, new = network(1, "vit", image_size=(64, 96)), network(2, "vit", image_size=(96, 96))
    key = "backbone.model.pos_embed"
    with torch.no_grad():
        old.state_dict()[key].fill_(0.25)
    found = transfer(new, old)
    assert found.has_backbone and key in found.taken and not found.new
    torch.testing.assert_close(new.state_dict()[key], torch.full_like(new.state_dict()[key], 0.25))


def test_another_decoder_keeps_the_backbone() -> None:
    old, new = network(1), network(2, "multi_task on resnet")
    found = transfer(new, old)
    assert all(key.startswith("backbone.") for key in found.taken) and not found.partly
    assert "decoder and heads start anew" in found.notes[0]


def test_a_shared_backbone_starts_a_backbone_per_task() -> None:
    old, new = network(1, "multi_task on resnet"), network(2, "single_task on resnet")
    assert transfer(new, old).has_backbone
    first = next(key for key in old.state_dict() if key.startswith("backbone."))
    for task in new.tasks:
        key = first.replace("backbone.", f"backbone.of_task.{task}.")
        assert torch.equal(new.state_dict()[key], old.state_dict()[first])


def test_another_backbone_is_not_taken_in_part() -> None:
    old, new = network(1, "resnet"), network(2, "convnext")
    found = transfer(new, old)
    assert not found.has_backbone and "backbone: convnext_atto differs from test_resnet" in found.notes[0]
    assert "heads.semseg.weight" in found.taken


def test_nothing_that_fits_is_an_error() -> None:
    old, new = network(1, "resnet"), network(2, "multi_task on convnext")
    with pytest.raises(UserError, match="nothing fits: the weights are of the backbone test_resnet"):
        transfer(new, old)


def test_the_table_counts_weights_by_part() -> None:
    old = network(1, num_outputs=pick("semseg", "depth"), decoder=decoder(num_stages=1))
    new = network(2, num_outputs=pick("semseg", "sal"), decoder=decoder(num_stages=1))
    found = transfer(new, old)
    rows = {line.split()[0]: line.split()[1:] for line in found.table().splitlines()[1:] if ":" not in line}
    assert rows["backbone"][1:] == ["–", "–", "–"], rows["backbone"]
    assert rows["depth"][:3] == ["–", "–", "–"]
    assert rows["sal"][:2] == ["–", "–"] and int(rows["sal"][2]) > 10
    assert found.table().splitlines()[-2:] == ["sal: a new task", "depth: left out"]
