"""Folders and names of the Hugging Face hub, against a local folder and a local hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file

import bridgenet
from bridgenet import UserError
from bridgenet.checkpoints.hub import is_hub_name
from tests.fake_hub import FakeHub, running
from tests.model.networks import build as build_module
from tests.model.networks import images

AUTHORS = {"origin": "BridgeNet_nyud.pth.tar (in the names of BridgeNet's authors)", "licence": "cc-by-nc-4.0"}


def build(**changes: Any) -> bridgenet.Model:
    return bridgenet.Model(build_module(**changes))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    constants = huggingface_hub.constants
    with running() as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.chdir(tmp_path)
        yield server


def same(a: bridgenet.Model, b: bridgenet.Model) -> bool:
    states = a.network.state_dict(), b.network.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][key], states[1][key]) for key in states[0]
    )


def test_folder(tmp_path: Path) -> None:
    network = build()
    network.save_pretrained(tmp_path / "folder")
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    config = json.loads((tmp_path / "folder" / "config.json").read_text())
    assert bridgenet.NetworkConfig.from_dict(config["network"]) == network.config
    (tmp_path / "folder" / "config.json").unlink()  # for readers only: the weights load alone
    for loaded in (
        bridgenet.load(tmp_path / "folder", device="cpu"),
        bridgenet.Model.from_pretrained(tmp_path / "folder"),
        bridgenet.load(tmp_path / "folder" / "model.safetensors", device="cpu"),
    ):
        assert same(loaded, network)
        assert not loaded.network.training
        assert loaded.config == network.config


def test_card_says_what_is_recorded_and_no_more(tmp_path: Path) -> None:
    network = build(num_tasks=2, dataset="nyud")
    card = str(network.generate_model_card())
    assert "No scores are recorded with these weights." in card
    assert "What pictures the network was trained on is not recorded" in card
    assert "are those of NYUD-v2" in card
    assert "license:" not in card
    assert "Not stated." in card
    assert "| Depth | `depth` | 1 |" in card
    network.information = {"step": 700, "scores": {"depth": {"rmse": 0.4126}, "semseg": {"mIoU": 0.5, "other": 1.0}}}
    card = str(network.generate_model_card())
    assert "| optimiser steps | 700 |" in card
    assert "| Depth | RMSE ↓ | 0.413 m |" in card
    assert "| Semantic segmentation | mIoU ↑ | 50.0 % |" in card
    assert "published tables" in card


@pytest.mark.parametrize("scores", ["x", [1], {"depth": 3}, {"depth": {"rmse": "x"}}, {"other": {"rmse": 1.0}}, None])
def test_scores_of_another_kind_are_left_out(scores: object) -> None:
    network = build(num_tasks=2)
    network.information = {"scores": scores}
    assert "No scores are recorded" in str(network.generate_model_card())


def test_what_the_user_states(tmp_path: Path) -> None:
    network = build(num_tasks=2)
    stated = {"license": "Apache 2.0", "data": "Rooms of our own.", "scores": {"depth": {"rmse": 0.5}}}
    network.save_pretrained(tmp_path, model_card_kwargs=stated)
    card = (tmp_path / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "Rooms of our own." in card
    assert "These numbers are stated by whoever saved the weights." in card
    assert bridgenet.load(tmp_path, device="cpu").information["licence"] == "apache-2.0"
    with pytest.raises(UserError, match=r"no licens \(did you mean license\?\)"):
        network.save_pretrained(tmp_path, model_card_kwargs={"licens": "mit"})


def test_the_authors_licence_stays(tmp_path: Path) -> None:
    network = build()
    network.information = AUTHORS
    for licence in ("mit", "Apache 2.0"):
        with pytest.raises(UserError, match=r"come from BridgeNet_nyud\.pth\.tar .*cannot be given the licence"):
            network.save_pretrained(tmp_path / "folder", model_card_kwargs={"license": licence})
    with pytest.raises(UserError, match="cannot be given the licence None"):
        bridgenet.save(network, tmp_path / "x.safetensors", information={"licence": None})
    assert not list(tmp_path.iterdir())
    network.save_pretrained(tmp_path / "folder", model_card_kwargs={"license": "CC BY-NC 4.0"})
    again = bridgenet.load(tmp_path / "folder", device="cpu")
    assert again.information == AUTHORS
    again.save_pretrained(tmp_path / "again")
    assert "license: cc-by-nc-4.0" in (tmp_path / "again" / "README.md").read_text()


def test_a_card_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    build().save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_name_on_the_hub(hub: FakeHub, tmp_path: Path) -> None:
    network = build()
    network.save_pretrained(tmp_path / "folder")
    hub.models["me/net"] = {
        "model.safetensors": (tmp_path / "folder" / "model.safetensors").read_bytes(),
        "pytorch_model.bin": b"a pickle that must not be fetched",
    }
    assert same(bridgenet.load("me/net", device="cpu"), network)
    assert same(bridgenet.Model.from_pretrained("me/net"), network)
    files = {request.rpartition("/")[2] for request in hub.requests if "/resolve/" in request}
    assert files == {"model.safetensors"}
    assert (
        sum(request.startswith("GET /me/net/") for request in hub.requests) == 1
    )  # the second time it is in the cache


def test_what_is_cached_needs_no_hub(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build().save_pretrained(tmp_path / "folder")
    hub.models["me/net"] = {"model.safetensors": (tmp_path / "folder" / "model.safetensors").read_bytes()}
    bridgenet.load("me/net", device="cpu")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert same(bridgenet.load("me/net", device="cpu"), build())


def test_a_local_path_comes_first(hub: FakeHub, tmp_path: Path) -> None:
    build().save_pretrained(tmp_path / "me" / "net")
    bridgenet.load("me/net", device="cpu")
    with pytest.raises(UserError, match=r"no weights at me/nett$"):
        bridgenet.load("me/nett")
    assert not hub.requests


def test_no_such_model(hub: FakeHub) -> None:
    hub.models["me/other"] = {"pytorch_model.bin": b""}
    with pytest.raises(UserError, match=r"no weights at me/net here, and no model of that name .*hf auth login"):
        bridgenet.load("me/net")
    with pytest.raises(UserError, match=r"me/other .*has no model\.safetensors"):
        bridgenet.load("me/other")


def test_foreign_weights_on_the_hub(hub: FakeHub, tmp_path: Path) -> None:
    save_file({"conv.weight": torch.ones(1)}, str(tmp_path / "x"))
    hub.models["me/net"] = {"model.safetensors": (tmp_path / "x").read_bytes()}
    with pytest.raises(UserError, match="neither this project's weights nor"):
        bridgenet.load("me/net")


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        UserError, match=r"no weights at me/net here, and the Hugging Face hub cannot be asked \(.*offline"
    ):
        bridgenet.load("me/net")
    with pytest.raises(UserError, match=r"me/net could not be pushed .*hf auth login"):
        build().push_to_hub("me/net")


def test_push(hub: FakeHub) -> None:
    network = build()
    with torch.no_grad():
        expected = network.network.eval()(images(1)).logits
    assert hub.address in network.push_to_hub("me/net", token="t", model_card_kwargs={"license": "mit"})
    assert set(hub.models["me/net"]) == {"model.safetensors", "config.json", "README.md"}
    assert b"license: mit" in hub.models["me/net"]["README.md"]
    loaded = bridgenet.load("me/net", device="cpu")
    with torch.no_grad():
        assert all(torch.equal(x, expected[task]) for task, x in loaded.network(images(1)).logits.items())


def test_a_refused_licence_sends_nothing(hub: FakeHub) -> None:
    network = build()
    network.information = AUTHORS
    with pytest.raises(UserError, match="cannot be given the licence mit"):
        network.push_to_hub("me/net", token="t", model_card_kwargs={"license": "mit"})
    assert not hub.requests


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("me/net", True),
        ("my-org/net_v1.0", True),
        ("net", False),
        ("a/b/c", False),
        ("/me/net", False),
        ("../net", False),
        ("checkpoints/net.pth.tar", False),
        ("me/net.safetensors", False),
        ("tests/nett", False),
    ],
)
def test_names_of_the_hub(text: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    assert is_hub_name(text) is expected


def test_the_hubs_mixin_leaves_the_constructor_alone() -> None:
    """Nothing of it is kept as a configuration."""
    assert build()._hub_mixin_config is None


def test_networks_have_the_methods_that_models_have_now(tmp_path: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"network\.save_pretrained is bridgenet\.Model\(network\)\.save_pretrained now"
    ):
        build_module().save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match=r"BridgeNet\.from_pretrained is bridgenet\.Model\.from_pretrained now"):
        assert same(bridgenet.BridgeNet.from_pretrained(tmp_path), build())


def test_a_card_that_stays_must_state_the_licence_of_the_weights(tmp_path: Path) -> None:
    network = build()
    network.save_pretrained(tmp_path, model_card_kwargs={"license": "mit"})
    network.save_pretrained(tmp_path)
    other = build()
    other.information = {"origin": "x.pth.tar", "licence": "cc-by-nc-4.0"}
    with pytest.raises(UserError, match=r"README\.md states the licence mit, the weights have cc-by-nc-4\.0"):
        other.save_pretrained(tmp_path)
    (tmp_path / "README.md").unlink()
    other.save_pretrained(tmp_path)
    assert "cc-by-nc-4.0" in (tmp_path / "README.md").read_text()
