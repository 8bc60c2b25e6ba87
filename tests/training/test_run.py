"""The training run: exact resume, interruption, folders, precision, accumulation, what is written."""

from __future__ import annotations

import signal
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

import bridgenet
from bridgenet import UserError
from bridgenet.checkpoints import BEST, LAST, read_information
from bridgenet.training import run as training
from bridgenet.training.prepare import Prepared, prepare
from bridgenet.training.rows import read_rows
from bridgenet.training.run import METRICS, Interrupted, run_steps, train
from tests.data.layouts import make_nyud
from tests.training.killed import killed_before
from tests.training.tiny import tiny_config


def train_rows(out: Path) -> list[dict]:
    return [row for row in read_rows(out / METRICS) if row["kind"] == "train"]


def test_a_run_learns_and_leaves_what_it_promises(nyud_root: Path, tmp_path: Path) -> None:
    config = tiny_config(nyud_root, trackers=["tensorboard"], log_images=1)
    scores = train(config, tmp_path / "run", device="cpu")
    rows = read_rows(tmp_path / "run" / METRICS)
    assert [(row["kind"], row["step"]) for row in rows] == [
        *(("train", step) for step in (1, 2, 3)),
        ("evaluation", 3),
        *(("train", step) for step in (4, 5, 6)),
        ("evaluation", 6),
    ]
    assert rows[-1]["scores"] == scores
    assert rows[3]["gain"] == 0  # best is by gain over the first evaluation
    assert train_rows(tmp_path / "run")[-1]["loss"] < train_rows(tmp_path / "run")[0]["loss"]
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text()) == config.as_dict()
    assert read_information(tmp_path / "run" / LAST)["step"] == 6
    assert any((tmp_path / "run" / "tensorboard").rglob("events.out.tfevents*"))
    network = bridgenet.load(tmp_path / "run", device="cpu")
    assert list(network.tasks) == ["semseg", "depth", "normals", "edge"]
    assert not list((tmp_path / "run").glob(".*"))  # nothing half-written is left


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny run that nothing interrupted; its data are those of `nyud_root`."""
    folder = tmp_path_factory.mktemp("whole")
    make_nyud(folder / "data")
    train(tiny_config(folder / "data"), folder / "run", device="cpu")
    return folder / "run"


@pytest.mark.parametrize("workers", [0, 1])
def test_killed_at_any_step_and_resumed_gives_the_same_losses_to_the_bit(
    whole: Path, nyud_root: Path, tmp_path: Path, workers: int
) -> None:
    config = tiny_config(nyud_root)
    config = replace(config, data=replace(config.data, workers=workers))
    with killed_before(4):  # after last was written at step 4 and evaluation at step 3
        train(config, tmp_path / "killed", device="cpu")
    with (tmp_path / "killed" / METRICS).open("a") as file:  # as if it had gone on a while, and died within a row
        file.write('{"kind": "train", "step": 5, "loss": 0}\n{"kind": "tra')
    train(config, tmp_path / "killed", resume=True, device="cpu")

    assert read_rows(tmp_path / "killed" / METRICS) == read_rows(whole / METRICS)
    expected, resumed = (load_file(folder / LAST) for folder in (whole, tmp_path / "killed"))
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[key], resumed[key]) for key in expected)
    assert any(key.startswith("optimizer.") for key in expected)
    information = [dict(read_information(folder / LAST)) for folder in (whole, tmp_path / "killed")]
    for measured in ("seconds", "memory"):  # of training: no two runs take the same
        assert all(each.pop(measured) > 0 for each in information)
    assert information[0] == information[1]


def test_ctrl_c_finishes_the_step_and_saves(nyud_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = training.make_step

    def interrupted(run: Prepared, number: int, batches: Any) -> object:
        if number == 2:
            signal.raise_signal(signal.SIGINT)
        return step(run, number, batches)

    monkeypatch.setattr(training, "make_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted):
        train(tiny_config(nyud_root, save_every=100, evaluate_every=100), tmp_path / "run", device="cpu")
    assert read_information(tmp_path / "run" / LAST)["step"] == 3
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_cache_changes_nothing_and_may_change_on_resuming(
    whole: Path, nyud_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(nyud_root)
    on_disk = replace(config.data, cache="disk", cache_folder=str(tmp_path / "cache"), workers=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "asked_to_stop", lambda stop, step, accelerator: step == 2)
        with pytest.raises(Interrupted):
            train(config, tmp_path / "with", device="cpu")
    train(replace(config, data=on_disk), tmp_path / "with", resume=True, device="cpu")
    assert read_rows(tmp_path / "with" / METRICS) == read_rows(whole / METRICS)
    assert list((tmp_path / "cache").glob("nyud-train-*/*.safetensors"))
    assert f"note: decoded samples are kept in {tmp_path / 'cache'}" in capsys.readouterr().out


def test_the_number_of_workers_changes_nothing(nyud_root: Path, tmp_path: Path) -> None:
    config = tiny_config(nyud_root, steps=2)
    for workers in (0, 2):
        train(replace(config, data=replace(config.data, workers=workers)), tmp_path / str(workers), device="cpu")
    assert read_rows(tmp_path / "0" / METRICS) == read_rows(tmp_path / "2" / METRICS)


def test_bfloat16_and_accumulation(nyud_root: Path, tmp_path: Path) -> None:
    config = tiny_config(nyud_root, precision="bfloat16", accumulate=2, steps=3)
    with pytest.raises(UserError, match="sides of 64 or more"):
        train(config, tmp_path / "run", device="cpu")
    config.data.size = (64, 64)
    train(config, tmp_path / "run", device="cpu")
    losses = [row["loss"] for row in train_rows(tmp_path / "run")]
    assert len(losses) == 3
    assert all(torch.isfinite(torch.tensor(losses)))


def test_accumulation_gives_the_gradient_of_the_joint_batch(nyud_root: Path, tmp_path: Path) -> None:
    config = tiny_config(nyud_root, accumulate=3)
    run = prepare(config, tmp_path / "run", device="cpu")
    run.network.eval()
    run.step.model.train = lambda mode=True: run.step.model  # type: ignore[method-assign]  # frozen statistics, no drop path
    batches = list(islice(run.batches(), 3))
    joint = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    outputs = [run.network(batch["image"]) for batch in batches]
    final, intermediate = (
        {task: torch.cat([getattr(output, name)[task] for output in outputs]) for task in run.network.tasks}
        for name in ("logits", "intermediate_logits")
    )
    run.step.criterion(SimpleNamespace(logits=final, intermediate_logits=intermediate), joint).total.backward()
    expected = {name: p.grad.clone() for name, p in run.network.named_parameters()}
    run.network.zero_grad()
    seen = {}
    run.step.optimizer.register_step_pre_hook(
        lambda *_: seen.update({name: p.grad.clone() for name, p in run.network.named_parameters()})
    )
    run.step.grad_clip = 1e9
    training.make_step(run, 0, iter(batches))
    for name, gradient in expected.items():
        torch.testing.assert_close(seen[name], gradient, rtol=1e-5, atol=1e-6)


def test_a_compiled_run_leaves_the_same_files_and_may_go_on_without(
    nyud_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backends = []
    monkeypatch.setattr("bridgenet.training.prepare.check_compiler", lambda device: None)
    monkeypatch.setattr(
        "bridgenet.training.step.compiled", lambda function, backend: backends.append(backend) or function
    )
    config = tiny_config(nyud_root, steps=3)
    train(config, tmp_path / "plain", device="cpu")
    assert not backends
    train(replace(config, steps=2, compile=True), tmp_path / "compiled", device="cpu")
    train(config, tmp_path / "compiled", resume=True, device="cpu")
    assert backends == ["inductor"]
    plain, compiled = (load_file(tmp_path / name / LAST) for name in ("plain", "compiled"))
    assert {key: x.shape for key, x in plain.items()} == {key: x.shape for key, x in compiled.items()}


def test_no_compiler_is_told_before_the_folder_is_touched(
    nyud_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridgenet.system.compilation.shutil.which", lambda name: None)
    with pytest.raises(UserError, match="compile needs a compiler"):
        train(tiny_config(nyud_root, compile=True), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_run_of_an_older_version_is_known_and_goes_on(nyud_root: Path, tmp_path: Path) -> None:
    config, out = tiny_config(nyud_root, steps=1), tmp_path / "run"
    train(config, out, device="cpu")
    settings = yaml.safe_load((out / "config.yaml").read_text())
    del settings["compile"]
    (out / "config.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(UserError, match="Use --resume to continue or --overwrite"):
        train(config, out, device="cpu")
    train(replace(config, steps=2), out, resume=True, device="cpu")


def test_folder_in_use(nyud_root: Path, tmp_path: Path) -> None:
    config, out = tiny_config(nyud_root, steps=1), tmp_path / "run"
    train(config, out, device="cpu")
    with pytest.raises(UserError, match=r"holds a run \(step 1\)\. Use --resume to continue or --overwrite"):
        train(config, out, device="cpu")
    train(config, out, overwrite=True, device="cpu")
    with pytest.raises(UserError, match="exclude each other"):
        train(config, out, overwrite=True, resume=True, device="cpu")
    with pytest.raises(UserError, match="holds no run to resume"):
        train(config, tmp_path / "none", resume=True, device="cpu")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    for recipe in (False, True):  # beside a recipe of one's own that happens to be called config.yaml
        if recipe:
            (other / "config.yaml").write_text("steps: 3\n")
        for overwrite in (False, True):
            with pytest.raises(UserError, match="choose another --out"):
                train(config, other, overwrite=overwrite, device="cpu")
    assert (other / "thesis.tex").read_text() == "years of work"
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"notes\.txt"):
        train(config, out, overwrite=True, device="cpu")
    (out / "notes.txt").unlink()
    (out / LAST).write_bytes(b"damaged")
    with pytest.raises(UserError, match="checkpoint is damaged"):
        train(config, out, device="cpu")


def test_a_mistake_leaves_no_folder(nyud_root: Path, tmp_path: Path) -> None:
    config = tiny_config(nyud_root)
    (nyud_root / "NYUDv2" / "depth" / "0002.npy").unlink()
    with pytest.raises(UserError, match=r"0002\.npy"):
        train(config, tmp_path / "run", device="cpu")
    with pytest.raises(UserError, match="has no sal"):
        train(replace(config, data=replace(config.data, tasks=["sal"])), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_stops_the_run(nyud_root: Path, tmp_path: Path) -> None:
    config = tiny_config(nyud_root, steps=50, evaluate_every=50, save_every=50)
    config.optimizer.lr = 1e30
    with pytest.raises(UserError, match=r"the loss is .* at step .* Lower optimizer\.lr"):
        train(config, tmp_path / "run", device="cpu")


def test_weights_of_another_network_are_not_resumed(nyud_root: Path, tmp_path: Path) -> None:
    config = tiny_config(nyud_root, steps=1)
    train(config, tmp_path / "run", device="cpu")
    config.network.decoder["embed_dim"] = 16
    with pytest.raises(UserError, match=r"other settings: network\.decoder\.embed_dim was 8, now 16"):
        train(config, tmp_path / "run", resume=True, device="cpu")


def test_killed_before_the_first_checkpoint_starts_again(whole: Path, nyud_root: Path, tmp_path: Path) -> None:
    with killed_before(0):
        train(tiny_config(nyud_root), tmp_path / "run", device="cpu")
    train(tiny_config(nyud_root), tmp_path / "run", resume=True, device="cpu")
    assert read_rows(tmp_path / "run" / METRICS) == read_rows(whole / METRICS)


def test_a_mistake_does_not_cost_the_run_that_is_overwritten(nyud_root: Path, tmp_path: Path) -> None:
    config, out = tiny_config(nyud_root, steps=1), tmp_path / "run"
    train(config, out, device="cpu")
    before = (out / LAST).read_bytes()
    for changes in ({"trackers": ["tensorbord"]}, {"data": replace(config.data, eval_size=(4, 4))}):
        with pytest.raises(UserError):
            train(tiny_config(nyud_root, **changes), out, overwrite=True, device="cpu")
    assert (out / LAST).read_bytes() == before


def test_batches_too_small_for_batch_norm(nyud_root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"larger data\.size or batch_size"):
        train(tiny_config(nyud_root, batch_size=1), tmp_path / "run", device="cpu")


def test_a_gradient_that_is_no_number_is_not_saved(
    nyud_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = training.make_step

    def poisoned(run: Prepared, number: int, batches: Any) -> object:
        losses, norm = step(run, number, batches)
        return losses, norm * float("nan") if number == 3 else norm

    monkeypatch.setattr(training, "make_step", poisoned)
    with pytest.raises(UserError, match="norm of its gradient"):
        train(tiny_config(nyud_root, log_every=100), tmp_path / "run", device="cpu")
    assert read_information(tmp_path / "run" / LAST)["step"] == 3  # of the evaluation before


def test_best_is_kept_apart_from_last(nyud_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gains = iter([0.0, 0.5, 0.2])
    monkeypatch.setattr("bridgenet.training.progress.relative_gain", lambda scores, first: next(gains))
    train(tiny_config(nyud_root, evaluate_every=2), tmp_path / "run", device="cpu")
    assert read_information(tmp_path / "run" / BEST)["step"] == 4
    assert read_information(tmp_path / "run" / LAST)["step"] == 6


@pytest.mark.parametrize("style", [{"layer_scale": False, "post_norm": False}, {}])
def test_internimage_takes_its_style_from_the_file(nyud_root: Path, tmp_path: Path, style: dict) -> None:
    """Blocks are built as the backbone's file needs them, and a resumed run does not need the file any more."""
    from bridgenet.checkpoints.reference import backbone_name
    from bridgenet.model.backbones import build_backbone

    size = {"channels": 8, "depths": [1, 1, 1, 1], "groups": [1, 2, 4, 8]}
    backbone = build_backbone("internimage_b", image_size=(32, 32), **size, **style)
    file = tmp_path / "internimage.pth"
    torch.save({"model": {backbone_name(key): x for key, x in backbone.state_dict().items()}}, file)
    config = tiny_config(nyud_root, steps=1)
    network = replace(
        config.network, backbone={"name": "internimage_b", **size}, backbone_checkpoint=str(file), drop_path=0.0
    )
    config = replace(config, network=replace(network, checkpoint_backbone=True))
    run = prepare(config, tmp_path / "run", device="cpu")
    for key, value in run.network.backbone.state_dict().items():
        assert torch.equal(value, backbone.state_dict()[key]), key
    run_steps(run)
    file.unlink()
    train(replace(config, steps=2), tmp_path / "run", resume=True, device="cpu")
    trained = bridgenet.load(tmp_path / "run", device="cpu")
    assert set(trained.network.backbone.state_dict()) == set(backbone.state_dict())
    assert trained.config.backbone.arguments == size | style


def test_weights_that_are_no_numbers_are_not_saved(
    nyud_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of a step is of the weights before it."""
    step = training.make_step

    def poisoned(run: Prepared, number: int, batches: Any) -> object:
        result = step(run, number, batches)
        if number == 3:
            next(run.network.parameters()).data.fill_(float("inf"))
        return result

    monkeypatch.setattr(training, "make_step", poisoned)
    with pytest.raises(UserError, match="is not a number after step 4"):
        train(tiny_config(nyud_root), tmp_path / "run", device="cpu")
    assert read_information(tmp_path / "run" / LAST)["step"] == 3


def test_nothing_to_learn_is_refused(nyud_root: Path, tmp_path: Path) -> None:
    config = tiny_config(nyud_root)
    config.loss.weights = dict.fromkeys(["semseg", "depth", "normals", "edge"], 0.0)
    with pytest.raises(UserError, match=r"loss\.weights is 0 for semseg, depth, normals, edge"):
        train(config, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_killed_worker_is_told_in_a_line(
    nyud_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bridgenet.cli.main import run as command
    from bridgenet.data.pipeline.loading import TransformedDataset

    config = tiny_config(nyud_root)
    config.data.workers = 1
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(config.as_dict()))
    monkeypatch.setattr(TransformedDataset, "__getitems__", lambda *_: signal.raise_signal(signal.SIGKILL))
    assert command(["train", str(file), "--out", str(tmp_path / "run"), "--device", "cpu"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: a process that loads data was killed")
    assert told.count("\n") == 1
