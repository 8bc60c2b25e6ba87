"""The network against the golden cases: activations of every stage, four optimisation steps, gradient and state norms."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import bridgenet
from bridgenet.checkpoints import reference_names
from bridgenet.losses import MultiTaskLoss
from bridgenet.training.optimisation import make_optimizer, poly_schedule
from tests.golden.golden import golden_dir

CASES = sorted(path.name.removesuffix(".activations.safetensors") for path in golden_dir().glob("*.activations.safetensors"))
TRAINED = [case for case in CASES if (golden_dir() / f"{case}.targets.safetensors").exists()]
DTYPES = {"float64": torch.float64, "float32": torch.float32}


def path_of(case: str, kind: str) -> Path:
    return golden_dir() / f"{case}.{kind}"


@cache
def description(case: str) -> dict:
    return json.loads(path_of(case, "json").read_text())


def load(case: str, dtype: torch.dtype) -> bridgenet.BridgeNet:
    network = bridgenet.load(path_of(case, "checkpoint.safetensors"), device="cpu", config=description(case))
    return network.to(dtype)


def record(network: bridgenet.BridgeNet, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """One forward pass; every quantity that the golden files store, under their names."""
    seen: dict[str, torch.Tensor] = {}

    def keep(module, name, pick=lambda output: output):
        return module.register_forward_hook(lambda _m, _i, output: seen.__setitem__(name, pick(output)))

    decoder = network.decoder
    hooks = [network.backbone.register_forward_hook(lambda _m, _i, maps: seen.update({f"backbone.{i}": x for i, x in enumerate(maps)}))]
    for task in network.heads:
        hooks += [
            keep(decoder.tpp.preliminary[task], f"preliminary.{task}"),
            keep(decoder.tpp.fusion[task], f"propagated.{task}"),
            keep(decoder.tpp.intermediate_heads[task], f"intermediate_logits.{task}"),
            keep(decoder.projections[task], f"task_feature.{task}", lambda x: x[..., ::4, ::4]),
        ]
    for i, stage in enumerate(decoder.stages):
        hooks.append(keep(stage.bfe, f"bridge.{i}"))
        hooks += [
            keep(stage.tfr, f"refined.{i}.{task}", lambda maps, task=task: maps[task]) for task in network.heads
        ]
    with torch.no_grad():
        output = network(images)
    for hook in hooks:
        hook.remove()
    seen |= {f"prediction.{task}": x[..., ::8, ::8] for task, x in output.logits.items()}
    seen |= {f"intermediate_prediction.{task}": x[..., ::8, ::8] for task, x in output.intermediate_logits.items()}
    return seen


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_activations(case: str, dtype: str) -> None:
    golden = load_file(path_of(case, "activations.safetensors"))
    seen = record(load(case, DTYPES[dtype]), golden.pop("image").to(DTYPES[dtype]))
    assert set(seen) == set(golden)
    for name, expected in golden.items():
        got = seen[name]
        if got.dim() == 4 and expected.dim() == 3:  # a transformer's map, stored as tokens
            got = got.flatten(2).transpose(1, 2)
        assert got.shape == expected.shape, name
        error = (got - expected).abs()
        bound = 1e-6 + 1e-7 * expected.abs() if dtype == "float64" else 2e-5 * expected.abs().max()
        assert (error <= bound).all(), f"{name}: off by {error.max():.3g}"


@pytest.mark.parametrize("case", CASES)
def test_decoder_alone(case: str) -> None:
    """The decoder, fed the stored backbone maps, gives the stored predictions: it needs no backbone to be right."""
    golden = load_file(path_of(case, "activations.safetensors"))
    network = load(case, torch.float64)
    divisor = network.backbone.size_divisor // network.backbone.base_divisor
    maps = []
    for i in range(4):
        x = golden[f"backbone.{i}"].double()
        if x.dim() == 3:
            height, width = (side // divisor for side in golden["image"].shape[-2:])
            x = x.transpose(1, 2).unflatten(2, (height, width))
        maps.append(x)
    network.backbone.forward = lambda images: maps  # type: ignore[method-assign]
    with torch.no_grad():
        output = network(golden["image"].double())
    for task, logits in output.logits.items():
        expected = golden[f"prediction.{task}"]
        # The stored maps are float32, so a float64 run from them is exact to about 1e-7 of the maps' size.
        assert (logits[..., ::8, ::8] - expected).abs().max() <= 2e-6 * expected.abs().max() + 2e-6


def train_four_steps(case: str, dtype: torch.dtype):
    """Yields (golden step, terms, gradient norm, learning rate) and hands the network over after each step."""
    training = description(case)["training"]
    network = load(case, dtype).train()
    images = load_file(path_of(case, "activations.safetensors"))["image"].to(dtype)
    targets = {task: x.to(dtype) for task, x in load_file(path_of(case, "targets.safetensors")).items()}
    settings = {key: value for key, value in training["optimizer"].items() if key != "name"}
    optimizer = make_optimizer(network, name=training["optimizer"]["name"], **settings)
    schedule = poly_schedule(optimizer, steps=training["schedule"]["max_iter"], power=training["schedule"]["power"])
    criterion = MultiTaskLoss(list(network.heads), training["loss_weights"], training["intermediate_weight"])
    for golden in training["steps"]:
        rate = optimizer.param_groups[0]["lr"]
        terms = criterion(network(images), targets)
        optimizer.zero_grad()
        terms.total.backward()
        gradients = {name: p.grad.norm().item() for name, p in network.named_parameters() if p.grad is not None}
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), training["grad_clip"])
        optimizer.step()
        schedule.step()
        yield golden, terms, norm.item(), rate, gradients, network


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", TRAINED)
def test_training_steps(case: str, dtype: str) -> None:
    double = dtype == "float64"
    training = description(case)["training"]
    loss_bound = 1e-6 if double else 3e-4
    first_gradients: dict[str, float] = {}
    for golden, terms, norm, rate, gradients, network in train_four_steps(case, DTYPES[dtype]):
        first_gradients = first_gradients or gradients
        losses = {"total": terms.total, **terms.final, **{f"inter_{task}": x for task, x in terms.intermediate.items()}}
        for name, value in losses.items():
            assert value.item() == pytest.approx(golden[name], rel=loss_bound), (golden["step"], name)
        assert rate == pytest.approx(golden["lr"], rel=1e-12)
        last = golden is training["steps"][-1]
        if double or last:
            assert norm == pytest.approx(golden["grad_norm_before_clip"], rel=1e-5 if double else 5e-2)

    names = reference_names(network)
    own_of = {theirs: ours for ours, theirs in names.items()}
    bound = 1e-6 if double else 1e-3
    expected_gradients = training["first_step_gradient_norms"]
    assert {names[name] for name in first_gradients} == set(expected_gradients)
    for name, expected in expected_gradients.items():
        assert first_gradients[own_of[name]] == pytest.approx(expected, rel=bound, abs=bound), name
    if double:
        state = network.state_dict()
        for name, expected in training["state_norms_after_last_step"].items():
            if name in own_of and expected_gradients.get(name, 1.0) > 1e-6:
                assert state[own_of[name]].norm().item() == pytest.approx(expected, rel=1e-6, abs=1e-6), name
