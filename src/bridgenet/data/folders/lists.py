"""Lists of splits as people and programs write them: one id, file name or path of a picture a line."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from bridgenet.errors import UserError
from bridgenet.system.text_files import composed, read_text


def listed_ids(path: Path, images: Path, suffix: str, known: Collection[str]) -> list[str]:
    """The ids in a list of a split; a line that names no `known` id is returned as it is.

    Args:
        path: the list.
        images: folder of the pictures; a line may begin with it or with its name.
        suffix: the part of the pictures' file names after the id; empty: any suffix.
        known: ids of the pictures.

    Raises:
        UserError: the file is no text, or has several columns.
    """
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not (text := _unquoted(line)):
            continue
        name = _id_of(text, images.name, suffix, known)
        columns = [_unquoted(column) for column in re.split(r"[\s,;]+", text) if column]
        if name is None and len(columns) > 1 and _id_of(columns[0], images.name, suffix, known) is not None:
            raise UserError(
                f"{path} has {len(columns)} columns in line {number} ({text}), expected one id a line: labels have the "
                "id of their image. Keep the first column only"
            )
        found.append(text if name is None else name)
    return found


def _unquoted(text: str) -> str:
    text = composed(text.strip())
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _id_of(text: str, folder: str, suffix: str, known: Collection[str]) -> str | None:
    """The known id that a line means: as it is, with slashes the other way, below the images' folder, with a suffix."""
    for line in dict.fromkeys((text, text.replace("\\", "/"))):
        parts = PurePosixPath(line).parts
        below = [place + 1 for place, part in enumerate(parts) if part == composed(folder)]
        for start in (0, *reversed(below)):
            place = PurePosixPath(*parts[start:])
            without_suffix = place.as_posix().removesuffix(composed(suffix)), (place.parent / place.stem).as_posix()
            for name in (line, place.as_posix(), *without_suffix):
                if name in known:
                    return name
    return None
