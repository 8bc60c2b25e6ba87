"""What version 0.1.0 wrote is read by this one: run folders, weights of every form, exported networks and YAML files.

`data/README.md` tells what the files are, `write.py` how they were made. The functions of the first part are the only place
that knows how things are read today; what they give is recorded in `data/expected.json` and `data/expected.npz`.
"""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

import bridgenet
from bridgenet import config as configuration
from bridgenet import data
from bridgenet import tasks as task_registry
from bridgenet.cli import main as cli
from bridgenet.compare.plan import read_plan
from bridgenet.config.resolved import network_config
from bridgenet.export import open_exported
from bridgenet.model.build import build_network
from bridgenet.tasks.scores import read_scores

DATA = Path(__file__).parent / "data"
WEIGHTS = {
    "run": "run",
    "last of the run": "run/last.safetensors",
    "stages": "stages.safetensors",
    "multi_task": "multi_task.safetensors",
    "single_task": "single_task.safetensors",
    "custom tasks": "custom_tasks.safetensors",
    "authors' names": "authors.pth.tar",
    "hub": "hub",
}
"""Files and folders of weights in `data`, by what they are."""
SETTINGS = {
    "run": "run",
    "recipe": "recipe.yaml",
    "settings": "settings.yaml",
    "baseline": "baseline.yaml",
}
ADDED = {
    "data.mirror": True,
    "init_from": None,
    "optimizer.milestones": [0.6, 0.9],
    "optimizer.schedule": "poly",
    "optimizer.warmup": 0,
}
"""Settings that version 0.1.0 does not have, with the values that do what it did."""
DESCRIPTIONS = ("data", "short", "folders")
ROOMS = ["--train", "4", "--val", "2", "--size", "32", "48"]
"""Options of `bridgenet data generate` that made the data of the run."""


# What is read, by this version's functions, in a form that does not depend on them.


def plain(values: Any) -> Any:
    """JSON types, paths told from `data`."""
    return json.loads(json.dumps(values).replace(f"{DATA}/", ""))


def said_by(*arguments: str) -> tuple[int, str]:
    """Exit code and standard output of a command."""
    shown = io.StringIO()
    with redirect_stdout(shown):
        code = cli.run(list(arguments))
    return code, shown.getvalue()


def predicted(source: Path) -> dict[str, np.ndarray]:
    """Decoded maps of `data/picture.png` by task, every fourth row and column."""
    if source.suffix == ".onnx":
        maps = open_exported(source).predict_image(DATA / "picture.png").maps
    else:
        maps = bridgenet.load(source, device="cpu").predict(DATA / "picture.png").maps
    return {task: x[1::4, 1::4] for task, x in maps.items()}


def inspected(source: Path) -> dict[str, Any]:
    """What `bridgenet inspect` tells, as JSON and as text."""
    (code, as_json), (_, text) = said_by("inspect", str(source), "--json"), said_by("inspect", str(source))
    return {"code": code, "json": plain(json.loads(as_json)), "text": text.replace(f"{DATA}/", "")}


def by_dotted_name(config: Any) -> dict[str, Any]:
    """All settings of a run by the names that they had in version 0.1.0."""
    values = config.as_dict()
    backbone, decoder = values["network"].pop("backbone"), values["network"].pop("decoder")
    found = configuration.flatten(values) | {"network.backbone": backbone.pop("name")}
    found |= {"network.decoder": decoder.pop("name"), "network.backbone_kwargs": backbone}
    if found["network.decoder"] == "bridgenet":
        assert (decoder.pop("squeezes"), decoder.pop("base_divisor")) == ([2], None)  # these were no settings
        decoder["refiner_drop_path"] = decoder.pop("drop_path")
        found |= {f"network.{name}": value for name, value in decoder.items()} | {"network.decoder_kwargs": {}}
    else:
        found["network.decoder_kwargs"] = decoder
    return plain(found)


def effective(settings: dict[str, Any]) -> dict[str, Any]:
    """Recorded settings without those of the decoder `bridgenet` that stood beside another one, where they did nothing."""
    parts, sizes = ["tpp", "bfe", "tfr", "num_stages", "refine_depth"], ["embed_dim", "extra_channels", "dilations"]
    others = [*parts, *sizes, "refiner_drop_path"]
    unused = [] if settings["network.decoder"] == "bridgenet" else [f"network.{name}" for name in others]
    return {name: value for name, value in settings.items() if name not in unused} | ADDED


def settings_in(source: Path) -> dict[str, Any]:
    return by_dotted_name(configuration.load(source))


def num_parameters(config: Any) -> int:
    """Of the network that the settings of a run ask for."""
    with torch.device("meta"):
        return sum(x.numel() for x in build_network(network_config(config)).parameters())


def planned(path: Path) -> dict[str, Any]:
    plan = read_plan(path)
    fields = ("title", "benchmark", "seeds", "boundaries", "reference", "against")
    configurations = {
        name: {"settings": by_dotted_name(config), "parameters": num_parameters(config)}
        for name, config in plan.configs.items()
    }
    return plain({**{name: getattr(plan, name) for name in fields}, "configurations": configurations})


def described(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a description of a folder says, and its samples (H, W, C) by `id/task`, NaN where nothing is labelled."""
    source = data.get(str(path))
    splits = {split: source("", split) for split in ("train", "val")}
    fields = ("title", "kind", "num_outputs", "unit", "loss_weight", "headline")
    definitions = {name: task_registry.get(name) for name in source.info.tasks}
    functions = {name: [task.loss, task.metric] for name, task in definitions.items()}
    told = {
        "name": source.info.name,
        "size": source.info.size,
        "class_names": source.info.class_names,
        "tasks": {name: {key: getattr(task, key) for key in fields} for name, task in definitions.items()},
        "functions of their own": {
            name: [text for text in named if text.startswith("tests.")] for name, named in functions.items()
        },
        "ids": {split: dataset.ids for split, dataset in splits.items()},
    }
    samples = {}
    for dataset in splits.values():
        for index, name in enumerate(dataset.ids):
            for task, target in dataset.load(index).items():
                unknown = (target == 255).all(axis=2) & (task != "image")
                if task != "image" and definitions[task].unknown == "zero":
                    unknown |= (target == 0).all(axis=2)
                samples[f"{name}/{task}"] = np.where(unknown[..., None], np.nan, target).astype(np.float32)
    return plain(told), samples


# What is recorded.


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return json.loads((DATA / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(DATA / "expected.npz") as content:
        return dict(content)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of the run's folder that may be changed."""
    return Path(shutil.copytree(DATA / "run", tmp_path / "run"))


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data that the run was made with, rendered anew."""
    root = tmp_path_factory.mktemp("rooms")
    assert said_by("data", "generate", "--out", str(root), *ROOMS)[0] == 0
    return root


def recorded(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): x for key, x in arrays.items() if key.startswith(prefix)}


@pytest.mark.parametrize("name", [*WEIGHTS, "exported"])
def test_predictions(name: str, arrays: dict[str, np.ndarray]) -> None:
    source = DATA / WEIGHTS.get(name, "exported.onnx")
    if source.suffix == ".onnx":
        pytest.importorskip("onnxruntime")
    found, wanted = predicted(source), recorded(arrays, f"predictions/{name}/")
    assert list(found) == list(wanted)
    for task, x in wanted.items():
        assert found[task].shape == x.shape
        if x.dtype == np.uint8:  # classes, of which rounding may turn a few
            assert (found[task] != x).mean() < 0.01
        else:
            np.testing.assert_allclose(found[task], x, rtol=1e-4, atol=1e-4 * np.abs(x).max())


@pytest.mark.parametrize("name", WEIGHTS)
def test_inspect(name: str, expected: dict[str, Any]) -> None:
    wanted = expected["inspect"][name]
    wanted["json"]["initial_weights"] = None  # which 0.1.0 does not know
    assert inspected(DATA / WEIGHTS[name]) == wanted


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name: str, expected: dict[str, Any]) -> None:
    assert settings_in(DATA / SETTINGS[name]) == effective(expected["settings"][name])


def test_plan(expected: dict[str, Any]) -> None:
    wanted = expected["plan"]
    for configured in wanted["configurations"].values():
        configured["settings"] = effective(configured["settings"])
    assert planned(DATA / "plan.yaml") == wanted


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_description_of_a_folder(name: str, expected: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    told, samples = described(DATA / "own" / f"{name}.yaml")
    wanted = recorded(arrays, f"samples/{name}/")
    assert told == expected["descriptions"][name]
    assert samples.keys() == wanted.keys()
    for key, x in wanted.items():
        np.testing.assert_allclose(samples[key], x, rtol=1e-6, err_msg=key)


def test_scores_of_the_run(run: Path, rooms: Path, expected: dict[str, Any]) -> None:
    """The recorded ones are read, and come out again."""
    wanted = expected["scores"]
    assert read_scores(run) == wanted
    where = ["--data.root", str(rooms), "--device", "cpu"]
    assert said_by("evaluate", str(run), *where)[0] == 0
    for task, scores in read_scores(run).items():
        assert scores == pytest.approx(wanted[task], rel=1e-3, nan_ok=True)


def optimizer_state(run: Path) -> dict[str, torch.Tensor]:
    with safe_open(str(run / "last.safetensors"), framework="pt") as opened:
        names = [key for key in opened.keys() if key.startswith("optimizer.")]  # noqa: SIM118
        return {key: opened.get_tensor(key) for key in names}


def test_the_run_goes_on(run: Path, rooms: Path, expected: dict[str, Any]) -> None:
    """From its weights, the optimiser's state, the learned weights of the losses and the order of the samples."""
    rows = (run / "metrics.jsonl").read_text().splitlines()
    before = optimizer_state(run)
    more = ["--data.root", str(rooms), "--steps", "41", "--device", "cpu"]
    assert said_by("train", str(run), "--resume", *more)[0] == 0
    continued = (run / "metrics.jsonl").read_text().splitlines()
    assert continued[: len(rows)] == rows
    row = json.loads(continued[len(rows)])
    for key, value in expected["next step"].items():
        assert row[key] == pytest.approx(value, rel=1e-3), key
    after = optimizer_state(run)
    assert after.keys() == before.keys()
    for key, x in before.items():
        if key.endswith("/step"):
            assert (x, after[key]) == (40, 41)
        elif key.endswith("/exp_avg_sq"):  # 0.999 of what was there, and the new gradient's square
            assert (after[key] >= 0.9989 * x).all()


def test_a_report_of_the_run(run: Path, expected: dict[str, Any]) -> None:
    """Also where its data are no more."""
    assert said_by("report", str(run), "--device", "cpu")[0] == 0
    assert f"{expected['scores']['depth']['rmse']:.4f}" in (run / "report.md").read_text(encoding="utf-8")
