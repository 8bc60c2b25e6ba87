"""Parts of one's own by dotted path: how they are found, what is told of those that do not fit, and which are trusted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import bridgenet
from bridgenet import UserError, extensions, tasks
from bridgenet.cli.main import run
from bridgenet.data.folders.custom_class import is_dataset
from bridgenet.data.folders.task_entries import is_task
from bridgenet.extensions import is_decoding, is_loss, is_metric, load_object, subclass_of
from bridgenet.model.build import try_custom_parts
from bridgenet.trust import trusting
from tests.data.layouts import make_nyud
from tests.training.tiny import tiny_config

PARTS = """
import torch
from torch import nn

import bridgenet
from bridgenet.metrics import Depth


class Decoder(nn.Module):
    def __init__(self, in_channels, num_outputs, width=4, gives="right"):
        super().__init__()
        self.out_channels, self.gives = width, gives
        self.project = nn.ModuleDict({task: nn.Conv2d(in_channels[0], width, 1) for task in num_outputs})

    def forward(self, maps):
        found = {task: project(maps[0]) for task, project in self.project.items()}
        if self.gives == "list":
            return list(found.values())
        if self.gives == "fewer":
            found.pop("depth")
        if self.gives == "wide":
            found = {task: torch.cat([x, x], 1) for task, x in found.items()}
        if self.gives == "nothing":
            raise RuntimeError("not today")
        return found, {}


class NoWidth(nn.Module):
    def __init__(self, in_channels, num_outputs):
        super().__init__()


class Backbone(bridgenet.Backbone):
    channels, size_divisor, base_divisor = (4, 8, 8, 8), 16, 1

    def __init__(self, image_size, told=(4, 8, 8, 8)):
        super().__init__()
        self.channels, self.image_size = tuple(told), image_size
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in [(3, 4), (4, 8), (8, 8), (8, 8)])

    def forward(self, images):
        maps = [images]
        for conv in self.convs:
            maps.append(conv(maps[-1]))
        return maps[1:]


def loss(logits, target, *, mean_over_processes):
    return logits.square().mean() + 100


def vector(logits, target, *, mean_over_processes):
    return logits.mean((1, 2, 3))


def failing(logits, target, *, mean_over_processes):
    return logits / nothing


def nan(logits, target, *, mean_over_processes):
    return logits.mean() * float("nan")


class FailingMetric(Depth):
    def update(self, logits, target):
        raise ValueError("no idea")


def one_argument(logits):
    return logits


class Metric(Depth):
    def compute(self):
        return {**super().compute(), "rmse": 7.0}


class WithoutHeadline(Depth):
    def compute(self):
        return {"mine": 7.0}


TASK = bridgenet.tasks.of_kind("height", "regression", unit="m")
number = 3
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the module `mine_parts`, on the path; and tiny rooms below it."""
    (tmp_path / "mine_parts.py").write_text(PARTS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    make_nyud(tmp_path)
    yield tmp_path
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.startswith("mine_")]:
        del sys.modules[name]


def recipe(folder: Path, **changes: Any) -> str:
    """Settings of a tiny run; keys of `changes` by dotted name with __ for the dot."""
    settings = tiny_config(folder, steps=2, evaluate_every=2).as_dict()
    for key, value in changes.items():
        group, _, name = key.rpartition("__")
        (settings[group] if group else settings)[name] = value
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(settings))
    return str(path)


def train(folder: Path, **changes: Any) -> int:
    return run(["train", recipe(folder, **changes), "--out", str(folder / "run"), "--overwrite", "--device", "cpu"])


def test_objects_are_found(mine: Path) -> None:
    assert load_object("mine_parts:number", "here") == 3
    assert load_object("mine_parts.number", "here") == 3
    assert load_object("mine_parts:Decoder.forward", "here").__name__ == "forward"
    assert extensions.is_path("a.b:C") and not extensions.is_path("C:\\data") and not extensions.is_path("vit.augreg")


@pytest.mark.parametrize(
    ("text", "check", "message"),
    [
        ("mine_part:Decoder", None, "there is no module 'mine_part' (did you mean mine_parts?)"),
        ("mine_parts:Decodr", None, "has no 'Decodr' (did you mean Decoder?)"),
        ("Decoder", None, "is no path to an object; expected package.module:attribute"),
        (
            "mine_parts:number",
            subclass_of(torch.nn.Module, "torch.nn.Module"),
            "is a int, expected a subclass of torch.nn.Module",
        ),
        (
            "mine_parts:loss",
            subclass_of(bridgenet.Backbone, "bridgenet.Backbone"),
            "is the function loss, expected a subclass of bridgenet.Backbone",
        ),
        ("mine_parts:one_argument", is_loss, "cannot be called with (logits, target, *, mean_over_processes)"),
        ("mine_parts:Decoder", is_metric, "expected a subclass of torchmetrics.Metric"),
        ("mine_parts:Decoder", is_dataset, "expected a subclass of bridgenet.DenseDataset"),
        ("mine_parts:number", is_task, "expected a bridgenet.Task"),
        ("os:system", is_decoding, "expected a function (logits)"),
        ("mine_broken:x", None, "mine_broken cannot be imported: SyntaxError"),
        ("mine_failing:x", None, "mine_failing cannot be imported: ZeroDivisionError: division by zero"),
        ("mine_needing:x", None, "cannot be imported: ModuleNotFoundError: No module named 'not_there'"),
    ],
)
def test_what_does_not_fit_is_told(mine: Path, text: str, check: Any, message: str) -> None:
    (mine / "mine_broken.py").write_text("x = (")
    (mine / "mine_failing.py").write_text("x = 1 / 0")
    (mine / "mine_needing.py").write_text("import not_there")
    with pytest.raises(UserError) as raised:
        load_object(text, "recipe.yaml: key", check)
    assert message in str(raised.value)
    assert str(raised.value).startswith("recipe.yaml: key: ")


def test_decoder_of_ones_own_from_training_to_prediction(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(mine, network__decoder={"name": "mine_parts:Decoder", "width": 6}) == 0
    network = bridgenet.load_network(mine / "run")
    assert type(network.decoder).__name__ == "Decoder" and network.decoder.out_channels == 6
    image = str(mine / "NYUDv2/images/0001.png")
    assert run(["predict", str(mine / "run"), image, "--out", str(mine / "p"), "--device", "cpu"]) == 0
    assert run(["evaluate", str(mine / "run"), "--device", "cpu", "--no-boundaries"]) == 0
    capsys.readouterr()
    assert run(["inspect", str(mine / "run")]) == 0
    told = capsys.readouterr().out
    assert "mine_parts:Decoder" in told and "; preset" not in told
    settings = yaml.safe_load((mine / "run/config.yaml").read_text()) | {"steps": 3}
    (mine / "run/config.yaml").write_text(yaml.safe_dump(settings))
    assert run(["train", str(mine / "run"), "--resume", "--device", "cpu"]) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gives": "list"}, "gives a list, expected (features by task, intermediate logits by task)"),
        ({"gives": "fewer"}, "gives features of semseg, normals, edge, expected semseg, depth, normals, edge"),
        ({"gives": "wide"}, "gives features of semseg (2, 8, 16, 16), expected (2, 4, h, w)"),
        ({"gives": "nothing"}, "fails on images of 64×64: RuntimeError: not today"),
        ({"size": 3}, "cannot be made: TypeError: Decoder.__init__() got an unexpected keyword argument 'size'"),
    ],
)
def test_decoder_that_gives_something_else(
    mine: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, Any], message: str
) -> None:
    assert train(mine, network__decoder={"name": "mine_parts:Decoder", **settings}) == 2
    told = capsys.readouterr().err
    assert message in told and "network.decoder: mine_parts:Decoder" in told
    assert not (mine / "run").exists()


def test_decoder_must_say_its_width(mine: Path) -> None:
    with pytest.raises(UserError, match="NoWidth has no attribute out_channels"):
        bridgenet.build_network(
            bridgenet.NetworkConfig({"depth": 1}, "test_resnet", (32, 32), decoder="mine_parts:NoWidth")
        )


def test_checkpointing_needs_the_decoders_help(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(mine, network__decoder="mine_parts:Decoder", network__checkpoint_decoder=True) == 2
    assert "Decoder has no set_checkpointing(); leave it out" in capsys.readouterr().err


def test_authors_code_does_not_know_it(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = bridgenet.NetworkConfig({"depth": 1}, "vit_tiny_patch16_224", (32, 32), decoder="mine_parts:Decoder")
    bridgenet.save(bridgenet.build_network(config), mine / "vit.safetensors")
    assert run(["convert", str(mine / "vit.safetensors"), str(mine / "vit.pth.tar")]) == 2
    assert "the authors' code does not know the decoder mine_parts:Decoder" in capsys.readouterr().err


def test_backbone_of_ones_own(mine: Path) -> None:
    decoder = {"name": "bridgenet", "embed_dim": 8, "extra_channels": 8, "refine_depth": 1}
    config = bridgenet.NetworkConfig({"depth": 1}, "mine_parts:Backbone", (32, 48), decoder)
    network = bridgenet.build_network(config)
    assert network.backbone.image_size == (32, 48)
    assert network.eval()(torch.zeros(1, 3, 37, 50)).logits["depth"].shape == (1, 1, 37, 50)
    try_custom_parts(network)
    config.backbone["told"] = (4, 8, 8, 9)
    with pytest.raises(UserError, match=r"gives maps of \[4, 8, 8, 8\] channels, but says \[4, 8, 8, 9\]"):
        try_custom_parts(bridgenet.build_network(config))
    config.backbone["told"] = (4, 8)
    with pytest.raises(UserError, match="expected those of its four maps"):
        bridgenet.build_network(config)


def test_loss_and_metric_of_ones_own(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = {"loss__functions": {"depth": "mine_parts:loss"}, "metrics": {"depth": "mine_parts:Metric"}}
    assert train(mine, **changes) == 0
    text = (mine / "run/metrics.jsonl").read_text()
    assert '"rmse": 7.0' in text
    assert min(yaml.safe_load(line)["losses"]["depth"] for line in text.splitlines() if '"train"' in line) > 100
    assert run(["evaluate", str(mine / "run"), "--device", "cpu", "--no-boundaries"]) == 0
    assert "7.000 m" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss__functions": {"depth": "mine_parts:one_argument"}}, "loss.functions.depth: mine_parts:one_argument is"),
        (
            {"loss__functions": {"dept": "mine_parts:loss"}},
            "loss.functions: 'dept' is not a task (did you mean depth?)",
        ),
        ({"metrics": {"depth": "mine_parts:number"}}, "metrics.depth: mine_parts:number is a int"),
        ({"metrics": {"dept": "mine_parts:Metric"}}, "metrics: 'dept' is not a task (did you mean depth?)"),
        ({"data__name": "mine_parts:number"}, "data.name: mine_parts:number is a int, expected a subclass of"),
        ({"network__decoder": "mine_part:Decoder"}, "network.decoder: there is no module 'mine_part'"),
    ],
)
def test_wrong_names_are_told_before_the_folder_is_touched(
    mine: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], message: str
) -> None:
    assert train(mine, **changes) == 2
    told = capsys.readouterr().err
    assert message in told
    assert not (mine / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss__functions": {"depth": "mine_parts:vector"}}, "mine_parts:vector gives (2,), expected a scalar tensor"),
        (
            {"loss__functions": {"depth": "mine_parts:failing"}},
            "mine_parts:failing fails: NameError: name 'nothing' is not",
        ),
        ({"loss__functions": {"depth": "mine_parts:nan"}}, "the loss is nan at step 1 (of: depth, intermediate/depth)"),
        (
            {"metrics": {"depth": "mine_parts:FailingMetric"}},
            "metrics.depth: mine_parts:FailingMetric fails: ValueError: no",
        ),
    ],
)
def test_code_that_fails_is_told_with_its_line(
    mine: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], message: str
) -> None:
    assert train(mine, **changes) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "nan" in message or "vector" in message or "mine_parts.py, line " in told


def test_metric_must_give_the_score_that_stands_for_the_task(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(mine, metrics={"depth": "mine_parts:WithoutHeadline"}) == 2
    assert (
        "metrics.depth: WithoutHeadline.compute gives mine; expected a dictionary with 'rmse'"
        in capsys.readouterr().err
    )


def test_weights_alone_run_no_code_that_is_not_trusted(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(mine, network__decoder="mine_parts:Decoder") == 0
    weights = (mine / "run/best.safetensors").rename(mine / "weights.safetensors")
    image = str(mine / "NYUDv2/images/0001.png")
    predict = ["predict", str(weights), image, "--out", str(mine / "p"), "--device", "cpu"]
    forget()
    assert run(predict) == 2
    told = capsys.readouterr().err
    assert "names code of the module mine_parts (network.decoder: mine_parts:Decoder), which would be run" in told
    assert "--trust mine_parts" in told and "mine_parts" not in sys.modules
    with pytest.raises(UserError, match="names code of the module mine_parts"):
        bridgenet.load(weights)
    assert type(bridgenet.load_network(weights, trust=["mine_parts"]).decoder).__name__ == "Decoder"
    bridgenet.load(weights)  # the program has imported it by now
    forget()
    with trusting([]):  # what the command trusts ends with its process
        assert run([*predict, "--trust", "mine_parts"]) == 0


def test_python_itself_is_never_trusted() -> None:
    config = bridgenet.NetworkConfig({"depth": 1}, "test_resnet", (32, 32), decoder="os:system")
    with pytest.raises(UserError, match="names code of the module os"):
        extensions.check_trusted(config.custom_parts(), Path("weights.safetensors"))
    with pytest.raises(UserError, match="os:system is the function system, expected a subclass"):
        bridgenet.build_network(config)


def test_code_named_by_a_tasks_definition_counts_as_well() -> None:
    definition = tasks.of_kind("height", "regression", loss="not_mine:loss").as_dict()
    config = bridgenet.NetworkConfig({"height": 1}, "test_resnet", (32, 32), task_definitions={"height": definition})
    assert config.custom_parts() == {"loss of height": "not_mine:loss"}
    with pytest.raises(UserError, match=r"module not_mine \(loss of height: not_mine:loss\)"):
        extensions.check_trusted(config.custom_parts(), Path("weights.safetensors"))
