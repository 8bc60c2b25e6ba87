"""Evaluation: scores of known predictions, edge maps, the gain, the constant baseline."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

import bridgenet
from bridgenet import UserError, data
from bridgenet.checkpoints import save
from bridgenet.cli.main import run
from bridgenet.config.resolved import network_config
from bridgenet.config.settings import RunConfig
from bridgenet.evaluation.baseline import constant_logits, evaluate_constant
from bridgenet.evaluation.boundaries import evaluate_boundaries, jobs_of, scores_of
from bridgenet.evaluation.command import EvaluationOptions, evaluate_source
from bridgenet.evaluation.evaluate import evaluate, write_edges
from bridgenet.model.bridgenet import BridgeNetOutput
from bridgenet.model.build import build_network
from bridgenet.system.files import write_json
from bridgenet.tasks.scores import gains, read_scores, relative_gain
from tests.data.layouts import make_nyud
from tests.training.tiny import tiny_config


class Oracle(nn.Module):
    """A network that knows the data set: it answers with the truth of the images in their order."""

    mean = deviation = None  # ImageNet's

    def __init__(self, dataset: data.DenseDataset, size: tuple[int, int]):
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1))
        self.tasks = dataset.info.num_outputs
        self.answers = iter([self.answer(dataset, index, size) for index in range(len(dataset))])

    def answer(self, dataset: data.DenseDataset, index: int, size: tuple[int, int]) -> dict[str, torch.Tensor]:
        from bridgenet.data.pipeline.transforms import EvaluationTransform

        sample = EvaluationTransform(size, dataset.tasks)(dataset.load(index))
        logits = {task: torch.from_numpy(sample[task])[None] for task in dataset.tasks}
        classes = torch.where(logits["semseg"] == 255, 0, logits["semseg"]).long()[:, 0]
        logits["semseg"] = nn.functional.one_hot(classes, 40).permute(0, 3, 1, 2).float()
        logits["edge"] = 40 * logits["edge"].nan_to_num(0) - 20
        return {task: x.nan_to_num(0) for task, x in logits.items()}

    def forward(self, images: torch.Tensor) -> BridgeNetOutput:
        answers = [next(self.answers) for _ in images]
        return BridgeNetOutput({task: torch.cat([a[task] for a in answers]) for task in self.tasks}, {})


def test_the_truth_scores_perfectly_and_its_edges_are_written_in_the_images_size(
    nyud_root: Path, tmp_path: Path
) -> None:
    dataset = data.get("nyud")(nyud_root, "val")
    oracle = Oracle(dataset, (12, 16))
    scores = evaluate(oracle, dataset, size=(12, 16), batch_size=2, edge_folder=tmp_path / "edge").scores  # type: ignore[arg-type]
    assert scores["semseg"]["pixel_accuracy"] == 1
    assert scores["depth"]["rmse"] == 0
    assert scores["edge"]["loss_clean"] < 1e-6
    for index, name in enumerate(dataset.ids):
        written = cv2.imread(str(tmp_path / "edge" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        truth = dataset.load(index)["edge"][..., 0]
        assert written.shape == truth.shape and written.dtype == np.uint8
        np.testing.assert_array_equal(written > 127, truth > 0.5)


def test_edges_are_truncated_to_8_bits(tmp_path: Path) -> None:
    batch = {"id": ["a"], "size": torch.tensor([[1, 3]]), "offset": torch.tensor([[1, 0]])}
    write_edges(torch.tensor([[[0.9, 0.9, 0.9], [0.0, 0.999, 1.0]]]), batch, tmp_path)
    assert cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED).tolist() == [[0, 254, 255]]


def test_relative_gain() -> None:
    first = {"semseg": {"mIoU": 0.2}, "depth": {"rmse": 1.0}, "edge": {"loss": 0.1}}
    better = {"semseg": {"mIoU": 0.3}, "depth": {"rmse": 0.5}, "edge": {"loss": float("nan")}}
    assert relative_gain(first, first) == 0
    assert relative_gain(better, first) == pytest.approx((0.5 + 0.5) / 2)  # no number, no part
    assert relative_gain({"depth": {"rmse": 2.0}}, first) == -1


def test_constant_baseline(nyud_root: Path) -> None:
    train_set = data.get("nyud")(nyud_root, "train")
    logits = constant_logits(train_set)
    depth = np.concatenate([train_set.load(i)["depth"].ravel() for i in range(len(train_set))])
    assert logits["depth"].item() == pytest.approx(depth.mean(), rel=1e-5)
    classes = np.concatenate([train_set.load(i)["semseg"].ravel() for i in range(len(train_set))])
    assert logits["semseg"].flatten().argmax().item() == np.bincount(classes[classes != 255].astype(int)).argmax()
    best = evaluate_constant(logits, train_set, (8, 10))
    for change in (-0.3, 0.3):  # no other constant does better where it was made
        for task, metric in (("depth", "rmse"), ("edge", "loss_clean")):
            other = evaluate_constant({**logits, task: logits[task] + change}, train_set, (8, 10))
            assert other[task][metric] > best[task][metric]
    for direction in torch.eye(3):
        other = evaluate_constant({**logits, "normals": direction.reshape(1, 3, 1, 1)}, train_set, (8, 10))
        assert other["normals"]["mean"] > best["normals"]["mean"] - 1


def make_weights(config: RunConfig, path: Path) -> Path:
    save(build_network(network_config(config)), path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the tiny network, untrained; only read."""
    folder = tmp_path_factory.mktemp("weights")
    return make_weights(tiny_config(make_nyud(folder).parent), folder / "w.safetensors")


def test_command_on_weights_alone(
    weights: Path, nyud_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["evaluate", str(weights), "--data.root", str(nyud_root), "--out", str(out), "--device", "cpu"]) == 0
    report = json.loads((out / "evaluation.json").read_text())
    assert (report["data"], report["images"], report["canvas"]) == ("NYUD-v2", 2, [32, 32])
    assert sorted(path.name for path in (out / "edge").iterdir()) == ["0004.png", "0005.png"]
    said = capsys.readouterr().out
    assert "mIoU ↑" in said and "RMSE ↓" in said and "odsF ↑" in said
    assert "boundaries: SEISM boundaries, NYUD-v2, 2 images (published: 654), maxDist 0.011" in said
    dataset = data.get("nyud")(nyud_root, "val", ["edge"])
    expected = scores_of(evaluate_boundaries(jobs_of(dataset, out / "edge"), workers=1).values())
    assert {key: report["scores"]["edge"][key] for key in ("odsF", "oisF", "AP")} == expected.headlines
    assert report["boundaries"]["matched"] == expected.matched.tolist()
    assert report["test_time_augmentation"] is None
    assert len(report["details"]["semseg"]["per_class_iou"]) == len(report["class_names"]["semseg"]) == 40
    rows = list(csv.DictReader((out / "per_image.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == ["0004", "0005"]
    assert all(0 <= float(row["edge.F"]) <= 1 and float(row["depth.rmse"]) > 0 for row in rows)


def test_scores_of_each_image_are_those_of_a_split_of_one(nyud_root: Path) -> None:
    dataset = data.get("nyud")(nyud_root, "val")
    network = build_network(network_config(tiny_config(nyud_root)))
    found = evaluate(network, dataset, size=(32, 32), batch_size=2)
    assert list(found.per_image) == dataset.ids
    for name in list(found.per_image):
        dataset.ids = [name]
        alone = evaluate(network, dataset, size=(32, 32), batch_size=1)
        for task, values in alone.scores.items():
            assert found.per_image[name][task] == pytest.approx(values, rel=1e-4, nan_ok=True), task


def test_command_with_its_options(
    weights: Path, nyud_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = {"scores": {"depth": {"rmse": 1e9}, "edge": {"odsF": 0.5, "loss": 1e9}, "sal": {"maxF": None}}}
    (tmp_path / "other.json").write_text(json.dumps(reference))
    arguments = [
        "evaluate",
        str(weights),
        "--data.root",
        str(nyud_root),
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
    ]
    arguments += ["--no-boundaries", "--flip", "--scales", "1", "1.5", "--reference", str(tmp_path / "other.json")]
    assert run([*arguments, "--data.tasks", "[semseg, depth, edge]"]) == 0
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert report["test_time_augmentation"] == "scales 1, 1.5, each mirrored as well"
    assert "boundaries" not in report and "odsF" not in report["scores"]["edge"]
    assert report["gain"] == pytest.approx(1, abs=1e-6)
    assert set(report["gains"]) == {"depth", "edge"}
    said = capsys.readouterr().out
    assert "test-time augmentation: scales 1, 1.5, each mirrored as well" in said
    assert "Δm +100.00 % (mean over 2 tasks)" in said


def test_a_reference_over_other_images_is_told(weights: Path, nyud_root: Path, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps({"images": 654, "scores": {"depth": {"rmse": 1.0}}}))
    config = tiny_config(nyud_root)
    config.data.tasks = ["depth"]
    how = EvaluationOptions(reference=str(tmp_path / "other.json"))
    with pytest.warns(UserWarning, match="the reference has images 654, this evaluation 2"):
        report = evaluate_source(str(weights), config, out=tmp_path / "out", options=how, device="cpu")
    assert report["synthetic"] is False
    assert report["data_root"] == str(nyud_root)


def test_scores_that_are_no_numbers_are_null(tmp_path: Path) -> None:
    """Strict readers of JSON refuse NaN; read back it is NaN again."""
    write_json(tmp_path / "evaluation.json", {"scores": {"sal": {"maxF": float("nan"), "mae": 0.5}}})
    assert json.loads((tmp_path / "evaluation.json").read_text()) == {"scores": {"sal": {"maxF": None, "mae": 0.5}}}
    scores = read_scores(tmp_path)
    assert np.isnan(scores["sal"]["maxF"]) and scores["sal"]["mae"] == 0.5


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no scores at"), ("[1]", "holds no scores"), ("{", "holds no scores")]
)
def test_references_without_scores(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(UserError, match=words):
        read_scores(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scales", "nan"], "--scales nan: expected factors from 0.1 to 4"),
        (["--scales", "100"], "--scales 100.0: expected"),
        (["--boundary-workers", "0"], "--boundary-workers 0: expected 1 or more"),
        (["--reference", "{none}"], "no task of these is evaluated"),
    ],
)
def test_wrong_options_are_told_before_anything_is_computed(
    weights: Path, nyud_root: Path, tmp_path: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none.json").write_text('{"scores": {"sal": {"maxF": 0.5}}}')
    options = [word.format(none=tmp_path / "none.json") for word in options]
    assert run(["evaluate", str(weights), "--data.root", str(nyud_root), "--out", str(tmp_path / "out"), *options]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_gains_are_by_what_both_sides_have() -> None:
    """odsF where both have it, else the loss; in training, where no one has it, the loss."""
    full, short = {"edge": {"odsF": 0.6, "loss": 0.1}}, {"edge": {"loss": 0.2}}
    assert gains(full, {"edge": {"odsF": 0.5, "loss": 0.1}}) == {"edge": pytest.approx(0.2)}
    assert gains(full, short) == {"edge": pytest.approx(0.5)}
    assert gains(short, full) == {"edge": pytest.approx(-1)}
    assert gains(full, {}) == {}


def test_what_does_not_fit_is_told(nyud_root: Path, tmp_path: Path) -> None:
    config = tiny_config(nyud_root)
    config.data.tasks = ["depth"]
    weights = make_weights(config, tmp_path / "w.safetensors")
    config.data.tasks = ["semseg", "depth"]
    with pytest.raises(UserError, match="does not predict semseg"):
        evaluate_source(str(weights), config, out=tmp_path, device="cpu")
    assert bridgenet.load(weights, device="cpu").tasks == {"depth": 1}
    config = tiny_config(nyud_root)
    config.data.eval_size = (4, 4)
    with pytest.raises(UserError, match="eval-size"):
        evaluate_source(str(weights), tiny_config(nyud_root, data=config.data), out=tmp_path, device="cpu")
