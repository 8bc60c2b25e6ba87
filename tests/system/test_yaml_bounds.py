"""YAML that stands for more than a machine holds, or that its parser fails on, is an error like any other."""

from __future__ import annotations

import pytest
import yaml

from bridgenet.system.yaml_text import load_yaml


def bomb(levels: int, width: int = 9) -> str:
    lines = [f"a0: &a0 [{', '.join(['x'] * width)}]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (bomb(12), "more than 20000 values"),
        (bomb(30, width=2), "more than 20000 values"),
        ("a: &a {x: 1}\nb: &b {<<: [" + ", ".join(["*a"] * 15_000) + "]}", "more than 20000 values"),
        ("a: [" + "1, " * 30_000 + "]", "more than 20000 values"),
        ("a: &a [*a]", "a contains itself"),
        ("a: &a {b: {c: *a}}", "a contains itself"),
        ("a: &a\n  <<: *a", "a contains itself"),
        ("steps: " + "[" * 3000 + "]" * 3000, "deeper than 50"),
        ("{a: " * 3000, "deeper than 50"),
        ("\n".join(" " * i + "a:" for i in range(300)), "deeper than 50"),
        ("- " * 3000 + "1", "deeper than 50"),
        ("? " * 300 + "1", "deeper than 50"),
        ("a: *b", "undefined alias"),
        ("a: !!float x", "could not convert"),
        ("a: !!int ''", "invalid literal"),
        ("a: !!bool maybe", "cannot be read"),
        ("a: !!timestamp no", "could not determine a constructor"),
        ("a: !!binary é", "could not determine a constructor"),
        ("? [a]\n: 1", "unhashable"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(yaml.YAMLError, match=words):
        load_yaml(text)


def test_anchors_are_read() -> None:
    text = "base: &base {lr: 1, steps: [1, 2]}\nother: {<<: *base, lr: 2}\nagain: *base"
    found = load_yaml(text)
    assert found["other"] == {"lr": 2, "steps": [1, 2]}
    assert found["again"] == {"lr": 1, "steps": [1, 2]}
