"""Loading and transforms against the golden samples: every key of the files is a case."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from bridgenet import data
from bridgenet.data import DenseDataset
from bridgenet.data.pipeline import transforms
from tests.golden.golden import golden_dir, with_nan

GOLDEN = golden_dir()
DATASETS = {"NYUD": "nyud", "PASCALContext": "pascal"}
SCALED_TOLERANCE = 1e-3 * 255


@cache
def expected(name: str) -> dict[str, np.ndarray]:
    path = GOLDEN / name
    return load_file(path) if path.is_file() else {}


@cache
def described() -> dict[str, Any]:
    path = GOLDEN / "transforms.json"
    return json.loads(path.read_text()) if path.is_file() else {}


@cache
def dataset(name: str, split: str) -> DenseDataset:
    return data.get(DATASETS[name])(GOLDEN / "datasets", split)


@cache
def sample(name: str, split: str, sample_id: str) -> dict[str, np.ndarray]:
    found = dataset(name, split)
    return found.load(found.ids.index(sample_id))


def train_samples(name: str) -> Iterator[dict[str, np.ndarray]]:
    return (sample(name, "train", sample_id) for sample_id in dataset(name, "train").ids)


def cases(file: str, depth: int) -> list[Any]:
    """The groups that the keys of a file make, without the task at their end."""
    found = sorted({key.rpartition(".")[0] for key in expected(file)})
    assert all(len(case.split(".", depth)) == depth + 1 for case in found)
    return found or [pytest.param("", marks=pytest.mark.skip(f"no {Path(GOLDEN) / file}"))]


def group(file: str, case: str) -> dict[str, np.ndarray]:
    found = {key.rpartition(".")[2]: value for key, value in expected(file).items() if key.rpartition(".")[0] == case}
    return {name: with_nan(name, value) for name, value in found.items()}


@pytest.mark.parametrize("case", cases("dataset_samples.safetensors", 2))
def test_loaded_sample_is_exact(case: str) -> None:
    name, split, sample_id = case.split(".")
    got = sample(name, split, sample_id)
    wanted = group("dataset_samples.safetensors", case)
    assert got.keys() == wanted.keys()
    for key, value in wanted.items():
        assert got[key].dtype == np.float32
        np.testing.assert_array_equal(got[key], value, err_msg=key)


@pytest.mark.parametrize("case", cases("transforms.safetensors", 1))
def test_transform(case: str) -> None:
    name, _, transform = case.partition(".")
    wanted = group("transforms.safetensors", case)
    description = described()[name]
    pad_to = tuple(description["pad_to"])
    no_person = transform == "eval_padded_no_person"
    if no_person:
        loaded = next(loaded for loaded in train_samples(name) if not loaded["human_parts"].any())
        pad_to = wanted["human_parts"].shape[1:]
    else:
        loaded = sample(name, "train", description["sample"])
    if transform.startswith("scale"):
        got = transforms.scale(loaded, float(transform.removeprefix("scale")))
    elif transform == "flip":
        got = transforms.flip(loaded)
    else:
        assert transform.startswith("eval_padded")
        got = transforms.EvaluationTransform(pad_to, dataset(name, "train").tasks)(loaded)
    if not no_person:
        assert got.keys() == wanted.keys()
    for key, value in wanted.items():
        tolerance = SCALED_TOLERANCE if key == "image" and transform.startswith("scale") else 0
        np.testing.assert_allclose(got[key], value, rtol=0, atol=tolerance, err_msg=key)
