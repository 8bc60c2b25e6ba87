"""Every golden case through the files that its weights may come in: the stored predictions come out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import bridgenet
from bridgenet.checkpoints.convert import convert
from tests.golden.test_network import CASES, DTYPES, description, path_of


def as_released(case: str, path: Path) -> Path:
    """The case's weights as the authors' training writes them: all tasks in one file, `module.`, training state."""
    state = load_file(path_of(case, "checkpoint.safetensors"))
    model = {f"module.{key}": value for key, value in state.items()}
    for key in list(model):
        if key.endswith("running_mean"):
            model[key.replace("running_mean", "num_batches_tracked")] = torch.tensor(20000)
    optimizer = {"state": {0: {"step": 1, "exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 2e-5, "params": [0]}]}
    scheduler = {"last_epoch": 20000, "base_lrs": [2e-5]}
    content = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "epoch": 151, "iter_count": 20000}
    torch.save(content, path)
    return path


def check(network: bridgenet.BridgeNet, case: str, dtype: str) -> None:
    """The README's tolerance: 1e-6 + 1e-7·|g| in float64, 2e-5 of the tensor's largest value in float32."""
    golden = load_file(path_of(case, "activations.safetensors"))
    network = network.to(DTYPES[dtype])
    with torch.no_grad():
        output = network(golden["image"].to(DTYPES[dtype]))
    for kind, maps in (("prediction", output.logits), ("intermediate_prediction", output.intermediate_logits)):
        assert list(maps) == description(case)["tasks"]
        for task, x in maps.items():
            expected = golden[f"{kind}.{task}"]
            bound = 1e-6 + 1e-7 * expected.abs() if dtype == "float64" else 2e-5 * expected.abs().max()
            error = (x[..., ::8, ::8] - expected).abs()
            assert (error <= bound).all(), f"{kind}.{task}: off by {error.max():.3g}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_released_form(case: str, dtype: str, tmp_path: Path) -> None:
    path = as_released(case, tmp_path / "net.pth.tar")
    network = bridgenet.load(path, device="cpu", config=description(case))
    assert network.information["licence"] == "cc-by-nc-4.0"
    assert (network.information["step"], network.information["epoch"]) == (20000, 151)
    check(network.network, case, dtype)


@pytest.mark.parametrize("case", CASES)
def test_converted_there_and_back(case: str, tmp_path: Path) -> None:
    """The authors' → own → a folder → the authors': the predictions stay, and the keys are those of the case's own file."""
    released = as_released(case, tmp_path / "net.pth.tar")
    first = convert(released, tmp_path / "own.safetensors", config=path_of(case, "json"))
    convert(tmp_path / "own.safetensors", tmp_path / "folder")
    convert(tmp_path / "folder", tmp_path / "back.pth.tar")
    back = bridgenet.load(tmp_path / "back.pth.tar", device="cpu")
    assert back.config == first.config
    assert back.information == first.information
    check(back.network, case, "float64")

    shapes = {key: x.shape for key, x in torch.load(released, weights_only=True)["model"].items()}
    written = torch.load(tmp_path / "back.pth.tar", weights_only=True)
    assert {key: x.shape for key, x in written["model"].items()} == shapes
    assert (written["epoch"], written["iter_count"]) == (151, 20000)
