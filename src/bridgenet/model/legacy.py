"""Descriptions of networks in the format of version 0.1.0, with all options at one level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OF_BRIDGENET = {
    name: name
    for name in (
        "tpp", "bfe", "tfr", "num_stages", "embed_dim", "extra_channels", "refine_depth", "dilations", "squeezes", "base_divisor",
    )
} | {"refiner_drop_path": "drop_path"}  # fmt: skip
"""Former top-level options of the decoder `bridgenet`, and their current names."""


def in_parts(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Convert a network's description or settings to `backbone` and `decoder` as parts, `{name, **arguments}`.

    Options of `bridgenet` next to another decoder had no effect and are dropped, except those that disabled a part of it.

    Returns:
        The values, and a line of text for each renamed option. Values in the current format are not changed.
    """
    values, renamed = dict(values), []
    for part in ("backbone", "decoder"):
        moved: dict[str, Any] = {}
        if isinstance(arguments := values.get(f"{part}_kwargs"), Mapping):
            moved |= values.pop(f"{part}_kwargs")
            renamed += [f"network.{part}_kwargs.{key} is network.{part}.{key} now" for key in arguments]
        given = values.get(part)
        given = {"name": given} if isinstance(given, str) else given
        if part == "decoder":
            name = given.get("name", "bridgenet") if isinstance(given, Mapping) else "bridgenet"
            for old in [key for key in values if key in _OF_BRIDGENET]:
                value = values.pop(old)
                if name == "bridgenet" or value is False:
                    moved[_OF_BRIDGENET[old]] = value
                    renamed.append(f"network.{old} is network.decoder.{_OF_BRIDGENET[old]} now")
                else:
                    renamed.append(f"network.{old} does nothing: it is an option of bridgenet, not of {name}")
        if moved and (part not in values or isinstance(given, Mapping)):
            values[part] = {**(given or {}), **moved}
    return values, renamed
