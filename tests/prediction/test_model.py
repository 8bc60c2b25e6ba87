"""What `bridgenet.load` gives: predicting leaves what can be trained and saved as it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import bridgenet
from bridgenet import UserError
from bridgenet.model.inference import PreparedNetwork
from tests.model.networks import build, config_of, images

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights with running statistics that are not what a fresh network has."""
    network = build("resnet", 4)
    with torch.no_grad():
        network.train()(images())
    path = tmp_path_factory.mktemp("weights") / "x.safetensors"
    bridgenet.save(network, path, information={"step": 7})
    return path


def plainly(network: bridgenet.BridgeNet) -> np.ndarray:
    """The saliency that a network predicts for the picture, unprepared."""
    from bridgenet.prediction import predict_image

    return predict_image(network.eval(), PICTURE).sal


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(x, b[key]) for key, x in a.items())


def test_predicting_changes_nothing_that_can_be_saved(weights: Path, tmp_path: Path) -> None:
    model, plain = bridgenet.load(weights, device="cpu"), bridgenet.load_network(weights, device="cpu")
    np.testing.assert_allclose(model.predict(PICTURE).sal, plainly(plain), atol=1e-5)
    model.save(tmp_path / "again.safetensors", information={"more": 1})
    again = bridgenet.load(tmp_path / "again.safetensors", device="cpu")
    assert again.information == {"step": 7, "more": 1}
    assert same(again.network.state_dict(), plain.state_dict())
    assert same(model.network.state_dict(), plain.state_dict())
    assert type(model.network) is bridgenet.BridgeNet
    np.testing.assert_allclose(model.predict(PICTURE).sal, plainly(plain), atol=1e-5)


def test_a_network_is_a_module_and_no_more(weights: Path) -> None:
    network = bridgenet.load_network(weights, device="cpu")
    assert type(network) is bridgenet.BridgeNet and not network.training
    assert set(vars(network)) == set(vars(torch.nn.Module()))
    assert same({"mean": network.mean}, {"mean": torch.tensor([0.485, 0.456, 0.406])[:, None, None]})
    assert not {"mean", "deviation"} & set(network.state_dict())


def test_predictions_follow_training(weights: Path) -> None:
    """After a prediction the network is trained a step; the next prediction is that of the new weights."""
    model = bridgenet.load(weights, device="cpu")
    before = model.predict(PICTURE).sal
    network = model.network
    assert model.network is network
    np.testing.assert_allclose(model.predict(PICTURE).sal, before, atol=1e-5)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network.train()(images()).logits["sal"].mean().backward()
    optimizer.step()
    assert network.training
    after = model.predict(PICTURE).sal
    assert network.training  # as its owner has it
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, plainly(network), atol=1e-5)


def test_the_prepared_form_is_made_once(weights: Path) -> None:
    model = bridgenet.load(weights, device="cpu")
    prepared = model.prepared()
    assert isinstance(prepared, PreparedNetwork)
    model.predict(PICTURE)
    assert model.prepared() is prepared
    network = model.network
    held = model.prepared()
    model.predict(PICTURE)
    assert model.prepared() is held
    with torch.no_grad():
        network.heads["sal"].bias.data += 1  # unseen by the tensor's version
    assert model.prepared() is not held


def test_the_file_may_be_gone_or_another(weights: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    model = bridgenet.load(copy, device="cpu")
    model.predict(PICTURE)
    other = build("resnet", 4)
    bridgenet.save(other, copy)
    with pytest.raises(UserError, match=r"copy\.safetensors was overwritten since it was loaded; load it again"):
        _ = model.network
    copy.unlink()
    with pytest.raises(UserError, match=r"copy\.safetensors is gone"):
        model.save(tmp_path / "x.safetensors")
    assert model.predict(PICTURE).sal.shape == (40, 60)


@torch.no_grad()
def test_several_threads_predict_first(weights: Path) -> None:
    expected = plainly(bridgenet.load_network(weights, device="cpu"))
    model = bridgenet.load(weights, device="cpu")
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(model.predict, [PICTURE] * 8):
            np.testing.assert_allclose(result.sal, expected, atol=1e-5)


def test_a_network_of_ones_own_making() -> None:
    network = build("resnet", 4).train()
    model = bridgenet.Model(network)
    assert model.config == config_of(network)
    with torch.no_grad():
        expected = model.predict(PICTURE).sal
    assert network.training and model.network is network
    np.testing.assert_allclose(expected, plainly(network), atol=1e-5)
    alone = bridgenet.BridgeNet(network.backbone, network.decoder, network.heads)
    with pytest.raises(UserError, match="give its NetworkConfig"):
        bridgenet.Model(alone)
    assert bridgenet.Model(alone, model.config).tasks == network.tasks


def test_another_dtype_is_kept(weights: Path) -> None:
    model = bridgenet.load(weights, device="cpu")
    expected = model.predict(PICTURE).sal
    model.network.double().train()
    found = model.predict(PICTURE).sal
    assert next(model.network.parameters()).dtype == torch.float64 and model.network.training
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_failed_prediction_changes_nothing(weights: Path, tmp_path: Path) -> None:
    model = bridgenet.load(weights, device="cpu")
    for image, tasks in ((tmp_path / "none.jpg", None), (PICTURE, ["depht"])):
        with pytest.raises(UserError):
            model.predict(image, tasks=tasks)
    assert model.predict(PICTURE).sal.shape == (40, 60)


def test_another_precision(weights: Path) -> None:
    model = bridgenet.load(weights, device="cpu", precision="bfloat16")
    assert next(model.prepared().parameters()).dtype == torch.bfloat16
    assert model.predict(PICTURE).sal.dtype == np.float32
    assert next(model.network.parameters()).dtype == torch.float32
    with pytest.raises(UserError, match="precision is 'half', expected one of auto, float32, bfloat16"):
        bridgenet.load(weights, device="cpu", precision="half")


def test_what_models_were_before(weights: Path) -> None:
    """A loaded network was a module: its methods still work, with a warning."""
    model = bridgenet.load(weights, device="cpu")
    with pytest.warns(UserWarning, match=r"model\.state_dict is model\.network\.state_dict now"):
        state = model.state_dict()
    assert same(state, model.network.state_dict())
    with pytest.warns(UserWarning, match="optimize=False has no effect any more"):
        model.predict(PICTURE, optimize=False)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = model.nonsense


def test_an_interrupted_first_prediction_leaves_a_model_that_predicts(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = bridgenet.load(weights, device="cpu")

    def interrupted(network: torch.nn.Module) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("bridgenet.model.inference.prepare_for_inference", interrupted)
        model.predict(PICTURE)
    expected = plainly(bridgenet.load_network(weights, device="cpu"))
    np.testing.assert_allclose(model.predict(PICTURE).sal, expected, atol=1e-5)
