"""Folders with evaluations, as `bridgenet evaluate` leaves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from bridgenet.checkpoints import BEST, LAST, save
from bridgenet.config.resolved import network_config
from bridgenet.model.build import build_network
from tests.training.tiny import tiny_config

SCORES = {
    "semseg": {"mIoU": 0.5, "pixel_accuracy": 0.75},
    "depth": {"rmse": 0.6, "delta1": 0.8},
    "normals": {"mean": 20.0},
    "edge": {"loss": 0.05, "loss_clean": 0.06, "odsF": 0.7},
}


def boundaries() -> dict[str, Any]:
    return {
        "protocol": "SEISM boundaries, NYUD-v2, 654 images, maxDist 0.011",
        "threshold": 0.3,
        "odsF": 0.7,
        "odsP": 0.7,
        "odsR": 0.7,
        "precision": [0.5, 0.7, 0.9],
        "recall": [0.9, 0.7, 0.4],
    }


def details() -> dict[str, Any]:
    return {"semseg": {"per_class_iou": [0.25, None, 0.5], "confusion": [[6, 0, 2], [0, 0, 0], [3, 0, 5]]}}


def evaluation(**changes: Any) -> dict[str, Any]:
    """What evaluation.json holds: the published NYUD-v2 set, everything computed."""
    found = {
        "weights": "best.safetensors",
        "data": "NYUD-v2",
        "split": "val",
        "images": 654,
        "synthetic": False,
        "canvas": [448, 576],
        "precision": "float32",
        "test_time_augmentation": None,
        "scores": SCORES,
        "boundaries": boundaries(),
        "details": details(),
        "class_names": {"semseg": ["wall", "<script>alert(1)</script>", "a|b"]},
    }
    return {key: value for key, value in (found | changes).items() if value is not ...}


def write(folder: Path, **changes: Any) -> Path:
    """A folder with an evaluation.json; a change to `...` leaves a key out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(evaluation(**changes)))
    return folder


def write_log(folder: Path) -> None:
    rows = [{"kind": "train", "step": step, "loss": 9.0 / step} for step in (1, 2, 3)]
    scores = {"kind": "evaluation", "step": 3, "scores": SCORES}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, scores]))


def write_run(folder: Path, root: Path) -> Path:
    """A run of the tiny network, not trained, on the data below `root`, with scores of its images."""
    config = tiny_config(root)
    write(folder, images=2, boundaries=..., details=..., class_names=...)
    (folder / "config.yaml").write_text(yaml.safe_dump(config.as_dict()))
    network = build_network(network_config(config))
    for name in (BEST, LAST):
        save(network, folder / name)
    write_log(folder)
    return folder
