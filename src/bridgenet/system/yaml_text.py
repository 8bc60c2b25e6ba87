"""Reads YAML that users have written."""

from __future__ import annotations

import re
from typing import Any

import yaml

from bridgenet.system.yaml_bounds import BoundedLoader

NAMES = "classes"
"""The names below this key are text as it was written: `no` and `3` are names of classes there."""
_TEXT, _NULL, _WHOLE, _NUMBER, _BOOL, _LIST, _MAPPING = (
    f"tag:yaml.org,2002:{name}" for name in ("str", "null", "int", "float", "bool", "seq", "map")
)


def load_yaml(text: str) -> Any:
    """Parse YAML to plain values. Duplicate keys are an error, since the first value would be lost.

    Numbers are those of YAML 1.2: 1e-5 is a number, 010 is ten, 1:30 is text. Dates are text. Keys are text or whole numbers.

    Raises:
        yaml.YAMLError: the text is not valid YAML.
    """
    return yaml.load(text, Loader=_Loader)


class _Loader(BoundedLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for number, (key, value) in enumerate(node.value):
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in names[:number] and key.value != "<<":
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is there twice", key.start_mark)
            if key.value != "<<" and key.tag != _WHOLE:
                key.tag = _TEXT  # `no:` and `2024-01-01:`, too
            if key.value == NAMES:
                _as_written(value)
        return super().construct_mapping(node, deep=deep)

    def construct_whole(self, node: yaml.ScalarNode) -> int:
        text = node.value.replace("_", "")
        try:
            return int(text, 10 if text.lstrip("+-").isdecimal() else 0)
        except ValueError as error:  # thousands of digits
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None


def _as_written(names: yaml.Node) -> None:
    inside = names.value if isinstance(names, yaml.SequenceNode | yaml.MappingNode) else []
    for entry in inside:
        name = entry[1] if isinstance(entry, tuple) else entry
        if isinstance(name, yaml.ScalarNode) and name.tag != _NULL:
            name.tag = _TEXT


_Loader.yaml_constructors = {
    tag: make
    for tag, make in yaml.SafeLoader.yaml_constructors.items()
    if tag in (_TEXT, _NULL, _NUMBER, _BOOL, _LIST, _MAPPING, None)  # not sets, dates or bytes
}
_Loader.add_constructor(_WHOLE, _Loader.construct_whole)
_Loader.yaml_implicit_resolvers = {
    start: [(tag, pattern) for tag, pattern in found if tag not in (_WHOLE, _NUMBER, "tag:yaml.org,2002:timestamp")]
    for start, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _WHOLE, re.compile(r"[-+]?(0b[01]+|0o[0-7]+|0x[\da-fA-F]+|\d[\d_]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    _NUMBER,
    re.compile(r"([-+]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
    list("-+.0123456789"),
)
