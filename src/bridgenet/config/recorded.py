"""Settings in the folder of a run, which may be from someone else: what code they name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridgenet import extensions


def check_code(values: Mapping[Any, Any], file: Path) -> None:
    """UserError if settings name code that is not trusted, themselves or in a description of data; see :mod:`bridgenet.trust`.

    Args:
        values: the settings as they were read, in the current format.
        file: the file they were read from.
    """
    from bridgenet import data

    def group(*keys: str) -> Mapping[Any, Any]:
        found: Any = values
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {"name": found}

    named = {f"network.{part}": group("network", part).get("name") for part in ("backbone", "decoder")}
    for keys in (("metrics",), ("loss", "functions")):
        named |= {f"{'.'.join(keys)}.{task}": path for task, path in group(*keys).items()}
    code = {key: text for key, text in named.items() if isinstance(text, str) and extensions.is_path(text)}
    extensions.check_trusted(code, file, of_run=True)
    names = group("data").get("name")
    for name in names if isinstance(names, list) else [names]:
        if not isinstance(name, str):
            continue  # reported later
        if (path := data.description_path(name)) is not None and path.is_file():
            with extensions.named_by(file):
                data.get(name)
        elif extensions.is_path(name):
            extensions.check_trusted({"data.name": name}, file, of_run=True)
