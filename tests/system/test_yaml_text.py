"""YAML as users write it: numbers and names that YAML 1.1 would turn into something else."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from bridgenet.system.yaml_text import load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("8e1", 80.0),
        (".5e3", 500.0),
        ("1.", 1.0),
        ("-.5", -0.5),
        ("010", 10),
        ("-007", -7),
        ("20_000", 20000),
        ("0x1F", 31),
        ("0o17", 15),
        ("1:30", "1:30"),
        ("190:20:30.15", "190:20:30.15"),
        ("2024-01-01", "2024-01-01"),
        (".", "."),
        ("1e", "1e"),
        (".inf", float("inf")),
        ("yes", True),
        ("~", None),
    ],
)
def test_values(text: str, value: Any) -> None:
    found = load_yaml(f"value: {text}")["value"]
    assert (found, type(found)) == (value, type(value))


def test_keys_and_names_are_text() -> None:
    assert load_yaml("{no: 1, 2024-01-01: 2, 010: 3, ~: 4}") == {"no": 1, "2024-01-01": 2, 10: 3, "~": 4}
    assert load_yaml("classes: {0: no, 1: 010, 2: ~, 3: 1e3}") == {"classes": {0: "no", 1: "010", 2: None, 3: "1e3"}}
    assert load_yaml("classes: [off, 3, [1]]") == {"classes": ["off", "3", [1]]}


@pytest.mark.parametrize(
    "text", ["{a: 1, a: 2}", "[", "a: !!python/name:os.system", "!!set {a}", "!!binary YQ==", f"a: {'9' * 5000}"]
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)
