"""What is exchanged in from outside: a network stays the network it was, for files, optimisers and copies."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

import bridgenet
from bridgenet.model.decoders.bridgenet import BridgeNetDecoder
from bridgenet.model.fast import by_definition
from bridgenet.model.fast.decoders import FastDecoder
from bridgenet.model.fast.linear import PointwiseLinear
from tests.model.networks import build, images

NETWORKS = ["internimage", "multi_task on vit", "no tfr on resnet"]


def kinds(network: nn.Module) -> list[type]:
    return [type(module) for module in network.modules()]


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_stay_the_same_objects_under_the_same_names(name: str) -> None:
    network = build(name)
    weights, buffers, before = dict(network.named_parameters()), dict(network.named_buffers()), kinds(network)
    assert bridgenet.accelerate_network(network) is network
    assert kinds(network) != before
    for found, expected in ((network.named_parameters(), weights), (network.named_buffers(), buffers)):
        found = dict(found)
        assert list(found) == list(expected) and all(x is expected[key] for key, x in found.items())
    assert list(network.state_dict()) == list(build(name).state_dict())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_second_time_changes_nothing(name: str) -> None:
    network = bridgenet.accelerate_network(build(name))
    before = list(network.modules())
    bridgenet.accelerate_network(network)
    assert [type(a) is type(b) for a, b in zip(network.modules(), before, strict=True)].count(False) == 0


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_copies_have_weights_of_their_own(name: str, duplicate) -> None:
    network = bridgenet.accelerate_network(build(name)).eval()
    expected = network(images()).logits
    other = duplicate(network)
    for x in network.parameters():
        x.zero_()
    for task, x in other(images()).logits.items():
        assert torch.equal(x, expected[task])


@torch.no_grad()
def test_weights_can_be_loaded_moved_and_saved_afterwards(tmp_path) -> None:
    source, network = build("internimage").eval(), bridgenet.accelerate_network(build("internimage")).eval()
    for x in source.parameters():
        x.mul_(1.01)
    network.load_state_dict(source.state_dict())
    expected = source.double()(images().double()).logits
    for task, x in network.double()(images().double()).logits.items():
        torch.testing.assert_close(x, expected[task], atol=1e-10, rtol=1e-10)
    bridgenet.save(network.float(), tmp_path / "x.safetensors")
    loaded = bridgenet.load_network(tmp_path / "x.safetensors", device="cpu")
    assert type(loaded.decoder) is BridgeNetDecoder
    for key, x in loaded.state_dict().items():
        torch.testing.assert_close(x, network.state_dict()[key], atol=0, rtol=0)


@torch.no_grad()
def test_accelerated_networks_are_prepared_like_others() -> None:
    networks = [build("internimage").eval(), bridgenet.accelerate_network(build("internimage")).eval()]
    expected, got = (bridgenet.optimize_for_inference(network)(images()).logits for network in networks)
    for task, x in got.items():
        assert torch.equal(x, expected[task])


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_by_definition_for_a_while(name: str) -> None:
    network = build(name).eval()
    before, expected = kinds(network), network(images()).logits
    fast = kinds(bridgenet.accelerate_network(network))
    with pytest.raises(KeyError), by_definition(network):
        assert kinds(network) == before
        for task, x in network(images()).logits.items():
            assert torch.equal(x, expected[task])
        raise KeyError
    assert kinds(network) == fast


def test_a_layer_with_two_names_stays_one() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    network.append(network[0])
    bridgenet.accelerate_network(network)
    assert type(network[0]) is PointwiseLinear and network[0] is network[2]


def test_hooks_stay() -> None:
    network = build("resnet").eval()
    seen: list[str] = []
    network.decoder.register_forward_hook(lambda *_: seen.append("decoder"))
    network.heads["depth"].register_forward_pre_hook(lambda *_: seen.append("head"))
    bridgenet.accelerate_network(network)
    assert type(network.decoder) is FastDecoder
    network(images())
    assert seen == ["decoder", "head"]


def test_the_switch_of_earlier_versions_warns() -> None:
    from bridgenet.ops import definitions

    with pytest.warns(UserWarning, match="accelerate_network"), definitions():
        pass
