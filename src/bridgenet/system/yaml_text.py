"""Reads YAML that users have written."""

from __future__ import annotations

import re
from typing import Any

import yaml

from bridgenet.system.yaml_bounds import BoundedLoader


def load_yaml(text: str) -> Any:
    """Parse YAML to plain values. Duplicate keys are an error, since the first value would be lost.

    Raises:
        yaml.YAMLError: the text is not valid YAML.
    """
    return yaml.load(text, Loader=_Loader)


class _Loader(BoundedLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for number, (key, _) in enumerate(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value in names[:number] and key.value != "<<":
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is there twice", key.start_mark)
        return super().construct_mapping(node, deep=deep)


# As in YAML 1.2: PyYAML reads 1e-5, without a point, as text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+$"), list("-+0123456789")
)
