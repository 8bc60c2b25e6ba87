"""The files of a custom folder by id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bridgenet.system.text_files import composed
from bridgenet.system.walking import walk


@dataclass
class FilesById:
    """The files below a folder by id: their path without suffix, in Unicode's form NFC.

    Attributes:
        files: the files of each id.
        again: for each id that is another name of the same file: the id that has it.
        odd: for each id in whose place there is no file: the reason.
        unread: reasons why folders were not read.
    """

    files: dict[str, list[Path]]
    again: dict[str, str]
    odd: dict[str, str]
    unread: list[str]


def files_by_id(folder: Path, suffix: str, suffixes: Collection[str], *, each_once: bool = False) -> FilesById:
    """Find the files below a folder; hidden ones are skipped, see :func:`bridgenet.system.walking.walk`.

    Args:
        folder: the folder.
        suffix: the part of the names after the id; empty: any of `suffixes`.
        suffixes: suffixes of the files.
        each_once: leave out other names of a file, which are links; else all names count.
    """
    suffix = composed(suffix)

    def is_wanted(name: str) -> bool:
        return composed(name).endswith(suffix) if suffix else Path(name).suffix.lower() in suffixes

    def id_of(path: Path) -> str:
        name = composed(path.relative_to(folder).as_posix())
        return name.removesuffix(suffix) if suffix else name.removesuffix(path.suffix)

    found = walk(folder, is_wanted)
    names: dict[str, list[Path]] = defaultdict(list)
    odd = {id_of(path): reason for path, reason in found.odd.items() if is_wanted(path.name)}
    odd |= {id_of(path): f"{path} is a folder, expected a file" for path in found.folders}
    for path in found.files if each_once else sorted([*found.files, *found.again]):
        if any("\ud800" <= letter <= "\udfff" for letter in id_of(path)):
            odd[id_of(path)] = f"{path} has a name that is not UTF-8. Rename it"
        else:
            names[id_of(path)].append(path)
    unread = [reason for path, reason in found.odd.items() if not is_wanted(path.name)]
    again = {id_of(path): id_of(first) for path, first in found.again.items()} if each_once else {}
    return FilesById(dict(sorted(names.items())), again, odd, [*unread, *found.loops.values()])
