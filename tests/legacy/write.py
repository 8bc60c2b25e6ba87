"""How the files in `data` were written, with version 0.1.0, and what was recorded of them.

It is kept for readers: no test runs it, and a later version need not be able to. The YAML files in `data` were written by
hand; everything else is made from here, by `python -m tests.legacy.write` in the folder above `tests`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from PIL import Image

import bridgenet
from bridgenet import data, tasks
from bridgenet.checkpoints.convert import convert
from bridgenet.export.write import export
from bridgenet.tasks.scores import read_scores
from tests.legacy.test_legacy import (
    DATA,
    DESCRIPTIONS,
    ROOMS,
    SETTINGS,
    WEIGHTS,
    described,
    inspected,
    planned,
    predicted,
    said_by,
    settings_in,
)

NARROW = {"backbone": "convnext_atto", "backbone_kwargs": {"dims": [2, 4, 4, 4], "depths": [1, 1, 1, 1]}}
SMALL = {"embed_dim": 4, "extra_channels": 4, "refine_depth": 1, "image_size": (64, 96)}
BASELINE = {"embed_dim": 512, "extra_channels": 64, "refine_depth": 18, "decoder_kwargs": {"width": 8}}
VIT = {"embed_dim": 4, "depth": 4, "num_heads": 2, "patch_size": 8, "mlp_ratio": 1.0}


def network(seed: int, num_outputs: dict[str, int], **settings: Any) -> bridgenet.BridgeNet:
    """A network whose every weight and running statistic counts in its predictions."""
    torch.manual_seed(seed)
    made = bridgenet.build_network(bridgenet.NetworkConfig(num_outputs=num_outputs, **{**NARROW, **SMALL, **settings}))
    for name, x in made.state_dict().items():
        if name.endswith("running_var"):
            x.uniform_(0.5, 1.5)
        elif x.is_floating_point():
            x.add_(torch.randn_like(x), alpha=0.25)
    if "depth" in num_outputs:
        made.heads["depth"].bias.data.fill_(4.0)  # a negative depth would be 0
    return made.eval()


def write_run() -> dict[str, float]:
    """The run's folder, by the command line; returns what its next step gave."""
    shutil.rmtree(DATA / "run", ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        where = ["--data.root", folder, "--device", "cpu"]
        run = Path(folder) / "run"
        done = [
            said_by("data", "generate", "--out", folder, *ROOMS),
            said_by("train", str(DATA / "recipe.yaml"), "--out", str(run), *where),
            said_by("evaluate", str(run), *where),
        ]
        shutil.copytree(run, DATA / "run")
        more = Path(shutil.copytree(run, Path(folder) / "more"))
        done.append(said_by("train", str(more), "--resume", "--steps", "41", *where))
        assert all(code == 0 for code, _ in done), done
        rows = [json.loads(line) for line in (more / "metrics.jsonl").read_text().splitlines()]
        for path in (DATA / "run/config.yaml", DATA / "run/evaluation.json"):
            path.write_text(path.read_text().replace(folder, "/data"))
    (row,) = [row for row in rows if row["kind"] == "train" and row["step"] == 41]
    return {key: row[key] for key in ("loss", "losses", "lr", "grad_norm", "loss_weights")}


def write_weights() -> None:
    stages = network(
        1,
        {"depth": 1},
        backbone="vit_base_patch16_384",
        backbone_kwargs=VIT,
        tpp=False,
        num_stages=2,
        refine_depth=[2, 1],
        dilations=[[1, 3], [2]],
        squeezes=[[2, 4], [2]],
        base_divisor=1,
    )
    bridgenet.save(stages, DATA / "stages.safetensors", information={"step": 700, "licence": "mit"})
    several = {"semseg": 40, "depth": 1, "normals": 3, "edge": 1}
    multi_task = network(2, several, decoder="multi_task", dataset="nyud", **BASELINE)
    bridgenet.save(multi_task, DATA / "multi_task.safetensors")
    single_task = network(3, {"depth": 1, "sal": 2}, decoder="single_task", **BASELINE)
    bridgenet.save(single_task, DATA / "single_task.safetensors")

    roofs = data.get(str(DATA / "own/data.yaml")).info
    moisture = tasks.register(tasks.of_kind("moisture", "regression", num_outputs=2, unit="%", loss_weight=3.0))
    own = [tasks.get("damage"), tasks.get("height"), moisture]
    custom = network(
        4,
        {"damage": 3, "height": 1, "moisture": 2},
        decoder="multi_task",
        class_names={"damage": list(roofs.class_names["damage"])},
        dataset=roofs.name,
        task_definitions={task.name: task.as_dict() for task in own},
        **BASELINE,
    )
    bridgenet.save(custom, DATA / "custom_tasks.safetensors", information={"labels": "height of 40 %"})

    authors = network(5, {"depth": 1}, backbone="vit_base_patch16_384", backbone_kwargs=VIT, dilations=[2])
    hub = network(6, {"human_parts": 7, "depth": 1}, decoder="multi_task", **BASELINE)
    with tempfile.TemporaryDirectory() as folder:
        bridgenet.save(authors, Path(folder) / "a.safetensors", information={"step": 20000})
        convert(Path(folder) / "a.safetensors", DATA / "authors.pth.tar", overwrite=True)
        bridgenet.save(hub, Path(folder) / "h.safetensors", information={"scores": {"depth": {"rmse": 0.5}}})
        convert(Path(folder) / "h.safetensors", DATA / "hub", overwrite=True, licence="MIT")


def write_exported() -> None:
    """An exported network without the exporter's notes of its own source code, which are most of so small a file."""
    path = DATA / "exported.onnx"
    made = network(7, {"depth": 1, "normals": 3}, **BASELINE, decoder="multi_task")
    export(made, path, fixed=True)
    model = onnx.load(path)
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    onnx.save(model, path)


def write_folder() -> None:
    """Pictures of the folder of one's own, 4 × 6 pixels; one has labels of all tasks."""
    rng = np.random.default_rng(0)
    size, own = (4, 6), DATA / "own"
    directions = np.random.default_rng(3)

    def unit_vectors(size: tuple[int, int]) -> np.ndarray:
        found = directions.normal(size=(*size, 3))
        return found / np.linalg.norm(found, axis=2, keepdims=True)

    def write(name: str, array: Any) -> None:
        path = own / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, array)
        else:
            Image.fromarray(array).save(path)

    for name in ("north/a", "north/b", "south/c"):
        write(f"images/{name}.png", rng.integers(0, 256, (*size, 3), np.uint8))
    for name in ("north/a", "south/c"):
        write(f"labels/{name}_mask.png", rng.choice(np.array([0, 1, 2, 255], np.uint8), size))
        write(f"depth/{name}.png", rng.choice(np.array([0, 50, 1000, 9000, 65535], np.uint16), size))
        write(f"height/{name}.npy", rng.uniform(-100, 1000, size).astype(np.float32))
    normals = np.rint((unit_vectors(size) + 1) * 127.5).astype(np.uint8)
    normals[0, :2] = 0
    write("normals/north/a.png", normals)
    write("slope/north/a.npy", unit_vectors(size).astype(np.float32))
    write("edges/north/a.png", rng.integers(0, 256, size, np.uint8))
    write("damage/north/b.png", rng.choice(np.array([3, 7, 9], np.uint8), size))
    write("wet/north/a.png", rng.integers(0, 2, size, np.uint8))
    far = rng.uniform(1, 90, size).astype(np.float32)
    far[1, 1:3] = np.nan, np.inf
    write("far/north/a.npy", far)
    flow = rng.integers(-1, 1, (*size, 2)).astype(np.int16)
    write("flow/north/a.npy", flow)
    write("light/north/a.npy", rng.uniform(0, 1, size).astype(np.float32))


def main() -> None:
    write_folder()
    areas = np.random.default_rng(1).integers(0, 256, (8, 12, 3), np.uint8)
    Image.fromarray(areas.repeat(8, 0).repeat(8, 1)).save(DATA / "picture.png")
    step = write_run()
    write_weights()
    write_exported()
    arrays: dict[str, np.ndarray] = {}
    for name, file in {**WEIGHTS, "exported": "exported.onnx"}.items():
        for task, x in predicted(DATA / file).items():
            arrays[f"predictions/{name}/{task}"] = x.astype(np.uint8 if x.dtype == np.int64 else np.float32)
    descriptions = {}
    for name in DESCRIPTIONS:
        descriptions[name], samples = described(DATA / "own" / f"{name}.yaml")
        arrays |= {f"samples/{name}/{key}": x for key, x in samples.items()}
    np.savez_compressed(DATA / "expected.npz", **arrays)
    expected = {
        "inspect": {name: inspected(DATA / file) for name, file in WEIGHTS.items()},
        "settings": {name: settings_in(DATA / file) for name, file in SETTINGS.items()},
        "plan": planned(DATA / "plan.yaml"),
        "descriptions": descriptions,
        "scores": read_scores(DATA / "run"),
        "next step": step,
    }
    (DATA / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
