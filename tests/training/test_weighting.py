"""Ways of weighing the tasks' losses: their formulas, surgery on gradients, and runs that go on as if never stopped."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
import torch

from bridgenet import UserError
from bridgenet.config.resolved import steps_per_epoch, weighting_note
from bridgenet.config.settings import LossSettings, RunConfig
from bridgenet.losses import LossTerms, MultiTaskLoss
from bridgenet.training.optimisation import make_optimizer
from bridgenet.training.prepare import prepare
from bridgenet.training.rows import read_rows
from bridgenet.training.run import METRICS, run_steps, train
from bridgenet.training.step import TrainingStep
from bridgenet.training.weighting import WEIGHTINGS, DynamicWeightAverage, PCGrad, Uncertainty
from bridgenet.training.weighting.pcgrad import projected
from tests.model.networks import build, images, targets
from tests.training.killed import killed_before
from tests.training.tiny import tiny_config

WEIGHTS = {"semseg": 2.0, "depth": 0.5}
OTHERS = ["uncertainty", "dwa", "pcgrad"]


def criterion() -> MultiTaskLoss:
    return MultiTaskLoss(["semseg", "depth"], WEIGHTS)


def terms(semseg: float, depth: float) -> LossTerms:
    """Of which a half is that of the intermediate logits."""
    final = {"semseg": torch.tensor(semseg / 2), "depth": torch.tensor(depth / 2)}
    return LossTerms(torch.tensor(0.0), final, final | {task: 2 * x * 0.5 for task, x in final.items()})


def linear() -> torch.nn.Module:
    return torch.nn.Linear(2, 2)


def test_uncertainty_begins_as_the_fixed_weights() -> None:
    weighting = Uncertainty(criterion(), linear())
    assert weighting.weights() == pytest.approx(WEIGHTS)
    found = weighting.total(LossTerms(torch.tensor(0.0), {"semseg": torch.tensor(3.0), "depth": torch.tensor(4.0)}, {}))
    assert found.item() == pytest.approx(2 * 3 - math.log(2) + 0.5 * 4 - math.log(0.5))


def test_uncertainty_learns_the_inverse_of_the_losses() -> None:
    """For constant losses the best weight of a task is 1 / L."""
    weighting = Uncertainty(criterion(), linear())
    optimizer = torch.optim.Adam(weighting.named_parameters().values(), lr=0.05)
    losses = LossTerms(torch.tensor(0.0), {"semseg": torch.tensor(3.0), "depth": torch.tensor(0.25)}, {})
    for _ in range(400):
        weighting.total(losses).backward()
        weighting.finish()
        optimizer.step()
        optimizer.zero_grad()
    assert weighting.weights() == pytest.approx({"semseg": 1 / 3, "depth": 4}, rel=1e-3)


def test_uncertainty_needs_weights() -> None:
    with pytest.raises(UserError, match=r"loss\.weights\.depth is 0.*must be more than 0"):
        Uncertainty(MultiTaskLoss(["semseg", "depth"], {"depth": 0.0}), linear())


def test_dynamic_weight_average() -> None:
    """Equal weights for two epochs; then more for the task that fell less, by the paper's formula."""
    weighting = DynamicWeightAverage(criterion(), linear(), steps_per_epoch=2)
    for semseg, depth in ((4, 1), (4, 3), (2, 2), (1, 2)):  # means 4 and 2, then 1.5 and 2
        assert weighting.factors() == [1.0, 1.0]
        weighting.after_step({"semseg": torch.tensor(semseg), "depth": torch.tensor(depth)})
    a, b = math.exp(1.5 / 4 / 2), math.exp(2 / 2 / 2)
    expected = [2 * a / (a + b), 2 * b / (a + b)]
    assert weighting.factors() == pytest.approx(expected)
    assert weighting.weights() == pytest.approx({"semseg": 2 * expected[0], "depth": 0.5 * expected[1]})
    losses = LossTerms(torch.tensor(0.0), {"semseg": torch.tensor(3.0), "depth": torch.tensor(5.0)}, {})
    assert float(weighting.total(losses)) == pytest.approx(6 * expected[0] + 2.5 * expected[1])
    again = DynamicWeightAverage(criterion(), linear(), steps_per_epoch=2)
    again.load_state(weighting.state())
    assert again.factors() == weighting.factors()


def test_a_run_too_short_for_dynamic_weights_is_told() -> None:
    config = RunConfig(steps=20, batch_size=2, accumulate=2, loss=LossSettings(weighting="dwa"))
    assert steps_per_epoch(config, 49) == 12 and steps_per_epoch(config, 49, 3) == 4 and steps_per_epoch(config, 1) == 1
    assert "20 steps are 2" in weighting_note(config, 40)
    assert weighting_note(config, 39) == ""
    assert weighting_note(replace(config, loss=LossSettings(weighting="uncertainty")), 40) == ""


def test_dynamic_weight_average_counts_intermediate_losses() -> None:
    weighting = DynamicWeightAverage(criterion(), linear(), steps_per_epoch=1)
    weighting.after_step({name: torch.tensor(1.0) for name in ("semseg", "depth")} | {
        "intermediate/semseg": torch.tensor(4.0), "intermediate/depth": torch.tensor(0.0)
    })  # fmt: skip
    assert weighting.means == [[3.0, 1.0]]


def test_projection() -> None:
    """Conflicting parts are taken out, what agrees stays as it is, and nothing conflicts afterwards for two tasks."""
    gradients = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    found = projected(gradients, [[0, 1], [1, 0]])
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    assert found[0] @ gradients[1] == pytest.approx(0) and found[1] @ gradients[0] == pytest.approx(0)
    agreeing = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert torch.equal(projected(agreeing, [[0, 1], [1, 0]]), agreeing)
    with_none = torch.tensor([[1.0, 0.0], [0.0, 0.0]])  # nothing is labelled of the second
    assert torch.equal(projected(with_none, [[0, 1], [1, 0]]), with_none)


def test_order_of_projections_matters() -> None:
    gradients = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 1.0, 0.0], [-1.0, 0.3, 1.0]])
    one, other = (projected(gradients, [order, [1], [2]])[0] for order in ([1, 2], [2, 1]))
    assert not torch.equal(one, other)


def step_of(name: str, **options: Any) -> tuple[Any, TrainingStep]:
    network = build("resnet", 2)
    losses = MultiTaskLoss(list(network.tasks))
    weighting = WEIGHTINGS[name](losses, network)
    optimizer = make_optimizer(network, name="adam", lr=1e-3)
    return network, TrainingStep(network, losses, optimizer, weighting=weighting, **options)


def gradients_of(name: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict[str, torch.Tensor]:
    network, step = step_of(name, **options)
    batch = {"image": images(), **targets(network)}
    monkeypatch.setattr(step.optimizer, "step", lambda: None)
    monkeypatch.setattr(step.optimizer, "zero_grad", lambda **_: None)
    step(repeat(batch))
    return {name: x.grad for name, x in network.named_parameters()}


def test_pcgrad_without_conflict_is_the_plain_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """And with micro-batches too."""
    plain = gradients_of("fixed", monkeypatch, grad_clip=1e9)
    rounding = 1e-7 * max(float(x.abs().max()) for x in plain.values())  # all that a bias before a norm gets
    with monkeypatch.context() as patch:
        patch.setattr("bridgenet.training.weighting.pcgrad.projected", lambda gradients, order: gradients)
        for accumulate in (1, 2):
            found = gradients_of("pcgrad", patch, grad_clip=1e9, accumulate=accumulate)
            for name, x in plain.items():
                torch.testing.assert_close(found[name], x, atol=1e-5 * float(x.abs().max()) + rounding, rtol=1e-3)
    surgery = gradients_of("pcgrad", monkeypatch, grad_clip=1e9)
    changed = {name for name, x in plain.items() if not torch.allclose(surgery[name], x, rtol=1e-3, atol=1e-7)}
    assert any(name.startswith("backbone.") for name in changed)
    assert not any(name.startswith("heads.") for name in changed)  # of one task alone


def test_pcgrad_of_one_task_is_the_plain_gradient() -> None:
    network = build("resnet", 1).eval()
    losses = MultiTaskLoss(list(network.tasks))
    losses(network(images()), targets(network)).total.backward()
    expected = {name: x.grad for name, x in network.named_parameters()}
    network.zero_grad(set_to_none=True)
    weighting = PCGrad(losses, network)
    weighting.backward(losses(network(images()), targets(network)), 1)
    weighting.finish()
    for name, x in network.named_parameters():
        torch.testing.assert_close(x.grad, expected[name], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", OTHERS)
def test_killed_and_resumed_to_the_bit(name: str, nyud_root: Path, tmp_path: Path) -> None:
    config = tiny_config(nyud_root, loss=LossSettings(weighting=name), steps=5)
    train(config, tmp_path / "whole", device="cpu")
    with killed_before(4, KeyboardInterrupt):
        train(config, tmp_path / "parts", device="cpu")
    train(config, tmp_path / "parts", resume=True, device="cpu")
    whole, parts = (read_rows(tmp_path / folder / METRICS) for folder in ("whole", "parts"))
    assert whole == parts
    rows = [row for row in whole if row["kind"] == "train"]
    if name == "pcgrad":
        assert "loss_weights" not in rows[-1]
    else:
        assert rows[0]["loss_weights"] != rows[-1]["loss_weights"]
        assert set(rows[0]["loss_weights"]) == {"semseg", "depth", "normals", "edge"}


def test_learned_weights_have_a_learning_rate_of_their_own(nyud_root: Path, tmp_path: Path) -> None:
    """Adam's first step is as long as the rate, whatever the gradient."""
    config = tiny_config(nyud_root, loss=LossSettings(weighting="uncertainty", uncertainty_lr=0.05), steps=1)
    run = prepare(config, tmp_path / "run", device="cpu")
    before = run.step.weighting.weights()
    run_steps(run)
    after = run.step.weighting.weights()
    assert before is not None and after is not None
    assert {task: abs(math.log(after[task] / before[task])) for task in after} == pytest.approx(
        dict.fromkeys(before, 0.05), rel=1e-3
    )


def test_refused(nyud_root: Path, tmp_path: Path) -> None:
    config = tiny_config(nyud_root, loss=LossSettings(weighting="pcgrad"), compile=True)
    with pytest.raises(UserError, match=r"compile and loss\.weighting pcgrad exclude each other"):
        train(config, tmp_path / "run", device="cpu")
