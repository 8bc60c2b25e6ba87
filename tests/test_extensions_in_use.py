"""Parts of one's own where the rest of the package meets them: inference, checks, model cards, folders of the hub."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import bridgenet
from bridgenet import UserError, data, extensions, tasks
from bridgenet.cli.main import run
from bridgenet.model.inference import optimize_for_inference
from bridgenet.trust import trusting
from tests.data.layouts import make_nyud
from tests.test_extensions import forget, train

PARTS = """
import dataclasses

import torch.nn.functional as F
from torch import nn

import bridgenet
from bridgenet.data import NYUDv2


class ReadsItsLayers(nn.Module):
    def __init__(self, in_channels, num_outputs):
        super().__init__()
        self.out_channels = 4
        self.first = nn.Conv2d(in_channels[0], 4, 1)
        self.mix = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, maps):
        x = F.conv2d(self.mix(self.first(maps[0])), self.mix.weight, self.mix.bias, padding=self.mix.padding)
        return {"depth": x}, {}


class OtherBatch(ReadsItsLayers):
    def forward(self, maps):
        return {"depth": super().forward(maps)[0]["depth"][:1]}, {}


def constant(logits, target, *, mean_over_processes):
    return logits.detach().mean()


class Rooms(NYUDv2):
    info = dataclasses.replace(NYUDv2.info, counts={}, image_size=None)


class WithoutInfo(bridgenet.DenseDataset):
    pass


class Abstract(bridgenet.DenseDataset):
    info = NYUDv2.info


class OtherArguments(NYUDv2):
    def __init__(self, root):
        super().__init__(root, "train")


class Opener:
    info = NYUDv2.info
    choose_tasks = NYUDv2.choose_tasks

    def __call__(self, *arguments, **options):
        return NYUDv2(*arguments, **options)


opener = Opener()
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the module `mine_others`, on the path; and tiny rooms below it."""
    (tmp_path / "mine_others.py").write_text(PARTS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    make_nyud(tmp_path)
    yield tmp_path
    forget()


def network(decoder: str = "mine_others:ReadsItsLayers") -> bridgenet.BridgeNet:
    return bridgenet.build_network(bridgenet.NetworkConfig({"depth": 1}, "test_resnet", (32, 32), decoder=decoder))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_layers_of_ones_own_stay_as_they_are_for_inference(mine: Path, precision: str) -> None:
    torch.manual_seed(0)
    made, images = network().eval(), torch.rand(1, 3, 40, 50)
    with torch.no_grad():
        expected = made(images).logits["depth"]
        found = optimize_for_inference(made, precision=precision)(  # type: ignore[arg-type]
            images.to(torch.bfloat16 if precision == "bfloat16" else torch.float32)
        ).logits["depth"]
    assert type(made.decoder.mix) is torch.nn.Conv2d
    torch.testing.assert_close(found, expected, atol=1e-5 if precision == "float32" else 0.05, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decoder": "bridgnet"}, "'bridgnet' is not a decoder (did you mean bridgenet?)"),
        ({"decoder": "mine_others:OtherBatch"}, "gives features of depth (1, 4, 16, 16), expected (2, 4, h, w)"),
        ({"name": "mine_others:WithoutInfo"}, "WithoutInfo has no `info`, expected a bridgenet.DataSetInfo"),
        ({"name": "mine_others:Abstract"}, "data.name: mine_others:Abstract fails: TypeError: Can't instantiate"),
        ({"name": "mine_others:OtherArguments"}, "got an unexpected keyword argument 'partial'"),
        (
            {"loss": "mine_others:constant"},
            "loss.functions.depth: mine_others:constant gives a value that does not depend",
        ),
    ],
)
def test_mistakes_are_told(
    mine: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, str], message: str
) -> None:
    changes = {
        "data__name": settings.get("name", "nyud"),
        "network__decoder": settings.get("decoder", "mine_others:ReadsItsLayers"),
        "loss__functions": {"depth": settings["loss"]} if "loss" in settings else {},
    }
    assert train(mine, data__tasks=["depth"], **changes) == 2
    assert message in capsys.readouterr().err


def test_loss_may_be_constant_where_nothing_is_labelled(mine: Path) -> None:
    from bridgenet.training.criterion import CustomLoss

    logits = torch.rand(2, 1, 4, 4, requires_grad=True)
    loss = CustomLoss("loss.functions.depth", "mine_others:constant", tasks.get("depth").kind)
    loss(logits, torch.full((2, 1, 4, 4), torch.nan), mean_over_processes=lambda x: x).backward()
    assert logits.grad is not None and not logits.grad.any()


@pytest.mark.parametrize("name", ["mine_others:Rooms", "mine_others:opener"])
def test_data_set_of_ones_own_is_opened(mine: Path, name: str) -> None:
    assert len(data.get(name)(mine, "train", ["depth"])) == 3


def test_data_set_of_ones_own_is_checked(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = ["data", "check", "mine_others:Rooms", "--root", str(mine), "--workers", "1"]
    assert run([*check, "--tasks", "depth"]) == 0
    assert "5 samples checked" in capsys.readouterr().out
    (mine / "NYUDv2/depth/0001.npy").unlink()
    assert run([*check, "--tasks", "depth"]) == 1
    assert "Fix what is named above, and check again" in capsys.readouterr().out


def test_dots_alone_name_a_part_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert extensions.is_path("mine.data.Rooms") and extensions.is_path("mine:Rooms")
    assert not extensions.is_path("vit_base_patch16_dinov3.lvd1689m") and not extensions.is_path("data/my.own.yaml")
    (tmp_path / "my.own.rooms").mkdir()
    (tmp_path / "my.own.rooms/data.yaml").write_text("images: nothing")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="is no folder"):  # a folder of one's own that is called so stays one
        data.get("my.own.rooms")


def test_card_and_folder_of_the_hub(mine: Path) -> None:
    bridgenet.Model(network()).save_pretrained(mine / "hub")
    card = (mine / "hub/README.md").read_text()
    assert "| decoder | mine_others:ReadsItsLayers |" in card and "trust=['mine_others']" in card
    assert "embed" not in card and "refiner blocks" not in card and "TPAMI" not in card
    forget()
    (mine / "hub/config.yaml").write_text("steps: 1")  # makes no run folder of what came from elsewhere
    with pytest.raises(UserError, match="names code of the module mine_others"):
        bridgenet.load(mine / "hub")
    loaded = bridgenet.Model.from_pretrained(mine / "hub", trust=["mine_others"])
    assert type(loaded.network.decoder).__name__ == "ReadsItsLayers"


def test_a_package_inside_of_a_package_can_be_trusted(tmp_path: Path) -> None:
    with trusting(["not_mine.models"]):
        extensions.check_trusted({"network.decoder": "not_mine.models.small:Decoder"}, tmp_path)
        with pytest.raises(UserError, match=r"module not_mine\.other"):
            extensions.check_trusted({"network.decoder": "not_mine.other:Decoder"}, tmp_path)
