"""Arguments of a backbone that are not a choice are refused, naming the key."""

from __future__ import annotations

import pytest

from bridgenet import UserError
from bridgenet.model.build import build_network
from bridgenet.model.description import NetworkConfig, Part


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pretrained", True), ("drop_path", 0.1), ("image_size", [32, 32]), ("features_only", False), ("in_chans", 1),
        ("num_classes", 3), ("out_indices", [1]), ("scriptable", True), ("checkpoint_path", "x.pth"), ("cache_dir", "/tmp"),
    ],
)  # fmt: skip
def test_arguments_that_are_no_choice(key: str, value: object) -> None:
    config = NetworkConfig({"depth": 1}, Part(name="test_resnet", **{key: value}), (32, 32))
    with pytest.raises(UserError, match=rf"network\.backbone\.{key} is no setting of a backbone"):
        build_network(config)


@pytest.mark.parametrize("arguments", [{"nope": 1}, {"strides": [0, 0, 0, 0]}, {"layers": "many"}])
def test_arguments_that_do_not_fit(arguments: dict) -> None:
    config = NetworkConfig({"depth": 1}, Part(name="test_resnet", **arguments), (32, 32))
    with pytest.raises(UserError, match=r"network\.backbone: "):
        build_network(config)
