"""Boundary evaluation against the golden counts: exact for every image, configuration and threshold."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bridgenet.metrics import boundary
from tests.golden.golden import golden_dir

FOLDER = golden_dir() / "boundaries"
FILE = FOLDER / "boundaries.json"
GOLDEN: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"images": {}, "dataset": {}}
CASES = [(image, config) for image, configs in GOLDEN["images"].items() for config in configs]
STEPS = sorted(path.name.removesuffix("_steps.npz") for path in FOLDER.glob("*_steps.npz"))


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def truth(image: str, config: str) -> np.ndarray:
    settings = GOLDEN["configs"][config]
    labels = read(FOLDER / f"{image}{settings['gt_png_suffix']}")
    return labels > 0 if config.startswith("direct") else boundary.boundaries(labels)


@cache
def counts(image: str, config: str) -> tuple[np.ndarray, np.ndarray, int]:
    max_distance = GOLDEN["configs"][config]["maxDist"]
    return boundary.count(read(FOLDER / f"{image}_pred.png"), truth(image, config), max_distance=max_distance)


@pytest.mark.parametrize("image", STEPS)
def test_steps(image: str) -> None:
    stored = np.load(FOLDER / f"{image}_steps.npz")
    ridges = boundary.non_maximum_suppression(read(FOLDER / f"{image}_pred.png"))
    assert np.array_equal(ridges, stored["nms"])
    thresholds = [key for key in stored.files if key not in ("nms", "shape")]
    assert len(thresholds) == 3
    for key in thresholds:
        expected = np.unpackbits(stored[key])[: ridges.size].reshape(ridges.shape).astype(bool)
        got = boundary.thin((ridges > np.float32(float(key.rpartition("_")[2].lstrip("t"))))[None])[0]
        assert np.array_equal(got, expected), key


@pytest.mark.parametrize("image", GOLDEN["images"])
@pytest.mark.parametrize("kind, suffix", [("pascal", "label"), ("nyud", "edge")])
def test_truth(image: str, kind: str, suffix: str) -> None:
    stored = read(FOLDER / f"{image}_gt_{kind}.png") > 0
    assert np.array_equal(boundary.boundaries(read(FOLDER / f"{image}_{suffix}.png")), stored)


@pytest.mark.parametrize("image, config", CASES)
def test_counts(image: str, config: str) -> None:
    golden = GOLDEN["images"][image][config]
    matched, predicted, true = counts(image, config)
    assert [true] * 101 == golden["sumR"]
    assert predicted.tolist() == golden["sumP"]
    assert matched.tolist() == golden["cnt"]["maxcard"]


@pytest.mark.parametrize("name", GOLDEN["dataset"])
def test_scores(name: str) -> None:
    golden = GOLDEN["dataset"][name]
    per_image = [counts(image, name.partition("/")[0]) for image in golden["images"]]
    matched, predicted, true = (np.array(values) for values in zip(*per_image))
    scores = boundary.summarise(matched, predicted, true)
    expected = golden["maxcard"]
    got = {
        "ODS_F": scores.ods_f,
        "ODS_P": scores.ods_precision,
        "ODS_R": scores.ods_recall,
        "ODS_threshold": scores.ods_threshold,
        "OIS_F": scores.ois_f,
        "OIS_P": scores.ois_precision,
        "OIS_R": scores.ois_recall,
        "AP": scores.ap,
    }
    for key, value in got.items():
        assert value == pytest.approx(float(expected[key]), abs=1e-9), key
    if "mexa64" in golden:  # one draw of the original binary, which matches at random in part
        assert abs(scores.ods_f - golden["mexa64"]["ODS_F"]) <= 0.002
