"""`bridgenet data init`: write a draft of a folder's description; what cannot be detected is marked for checking."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bridgenet import tasks
from bridgenet.data.folders.description import FILE
from bridgenet.data.folders.files import files_by_id
from bridgenet.data.folders.guess import Guess, guess
from bridgenet.data.folders.labels import SUFFIXES
from bridgenet.errors import UserError
from bridgenet.imaging import reading
from bridgenet.system.files import write_atomically
from bridgenet.system.text_files import read_text

IMAGE_FOLDERS = (
    "images",
    "image",
    "img",
    "imgs",
    "rgb",
    "photos",
    "JPEGImages",
    "color",
    "leftImg8bit",
    "input",
    "inputs",
)
"""Names of folders of pictures, the most likely first."""
VALIDATION = ("val", "valid", "validation", "test")
CLASS_FILES = ("classes.txt", "labels.txt", "class_names.txt")


def write_description(folder: Path, out: Path | None = None, *, overwrite: bool = False) -> str:
    """Write the description of a folder; returns a text with the findings and the next commands.

    Args:
        folder: holds a folder of images and one folder of labels per task.
        out: the file; data.yaml in the folder if None.
        overwrite: overwrite an existing file.

    Raises:
        UserError: the file exists, or there are no images or no labels with their names.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder, expected one that holds images/ and one folder of labels per task")
    out = out or folder / FILE
    if out.exists() and not overwrite:
        raise UserError(f"{out} is there already. Give --overwrite to overwrite it, or another --out")
    picture_folder = _picture_folder(folder)
    pictures = files_by_id(picture_folder, "", reading.SUFFIXES, each_once=True).files
    if not pictures:
        raise UserError(f"{picture_folder} holds no picture ({', '.join(sorted(reading.SUFFIXES))})")
    guesses: dict[str, Guess] = {}
    passed: list[str] = []
    names = _class_names(folder)
    for other in sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry != picture_folder):
        files, suffix = _matching(other, pictures)
        if not files:
            passed.append(f"{other.name}/: no picture or array that is named like an image")
            continue
        found = guess(other.name, list(files.values()), names)
        if isinstance(found, str):
            passed.append(f"{other.name}/: {found}")
            continue
        if suffix:
            found.entry["suffix"] = suffix
        found.found = f"{len(files)} of {len(pictures)} images, {found.found}"
        name = found.task if found.task not in guesses else other.name
        if name != found.task:  # the second folder of a published task
            found.entry = {"kind": tasks.get(found.task).kind, **found.entry}
        guesses[name] = found
    if not guesses:
        why = "".join(f"\n       {text}" for text in passed)
        raise UserError(f"{folder} has {len(pictures)} images but no labels that belong to them{why}")
    write_atomically(out, "\n".join(_lines(folder, out, picture_folder, pictures, guesses, passed)) + "\n")
    return "\n".join(_summary(out, picture_folder, pictures, guesses, passed))


def _picture_folder(folder: Path) -> Path:
    inside = {entry.name.lower(): entry for entry in sorted(folder.iterdir()) if entry.is_dir()}
    for name in IMAGE_FOLDERS:
        if name.lower() in inside:
            return inside[name.lower()]
    found = ", ".join(sorted(entry.name for entry in inside.values())) or "no folder"
    raise UserError(
        f"{folder} has no folder of images (found {found}); expected images/, or one of {', '.join(IMAGE_FOLDERS[1:])}"
    )


def _matching(folder: Path, pictures: Mapping[str, Any]) -> tuple[dict[str, Path], str]:
    """Label files by the id of their image, and the part of their names after the id if it is more than a suffix."""
    files = files_by_id(folder, "", SUFFIXES).files
    found = {name: paths for name, paths in files.items() if name in pictures}
    if found:
        chosen = ""
        if any(len(paths) > 1 for paths in files.values()):
            suffixes = {path.suffix for paths in found.values() for path in paths}
            chosen = next(suffix for suffix in (".npy", ".exr", *sorted(suffixes)) if suffix in suffixes)
        return {name: path for name, paths in found.items() for path in paths if path.name.endswith(chosen)}, chosen
    endings: Counter[str] = Counter()
    for name, paths in files.items():
        known = max((image for image in pictures if name.startswith(image)), key=len, default="")
        if known:
            endings[paths[0].relative_to(folder).as_posix()[len(known) :]] += 1
    if not endings:
        return {}, ""
    suffix = endings.most_common(1)[0][0]
    by_suffix = files_by_id(folder, suffix, SUFFIXES).files
    return {name: paths[0] for name, paths in by_suffix.items() if name in pictures}, suffix


def _class_names(folder: Path) -> list[str]:
    """Names of classes, one per line, from such a file in the folder."""
    for name in CLASS_FILES:
        if (folder / name).is_file():
            lines = read_text(folder / name).splitlines()
            return [line.strip() for line in lines if line.strip()]
    return []


def _split(folder: Path, picture_folder: Path, pictures: Mapping[str, Any]) -> dict[str, Any]:
    first = {name.partition("/")[0] for name in pictures if "/" in name}
    if "train" in first and (val := next((name for name in VALIDATION if name in first), "")):
        return {"train": "train/", "val": f"{val}/"}
    for place in ("", "splits/", "gt_sets/", "lists/"):
        for val in VALIDATION:
            if (folder / f"{place}train.txt").is_file() and (folder / f"{place}{val}.txt").is_file():
                return {"train": f"{place}train.txt", "val": f"{place}{val}.txt"}
    return {"val": 0.1, "seed": 0}


def _lines(
    folder: Path,
    out: Path,
    picture_folder: Path,
    pictures: Mapping[str, Sequence[Path]],
    guesses: Mapping[str, Guess],
    passed: Sequence[str],
) -> Iterator[str]:
    """The lines of the file. The user must check those with CHECK."""
    yield "# A folder of data for BridgeNet, written by `bridgenet data init`. Look at the lines that say CHECK."
    yield f"name: {_flow(folder.absolute().name)}"
    if out.absolute().parent != folder.absolute():
        yield f"root: {_flow(os.path.relpath(folder.absolute(), out.absolute().parent))}"
    yield f"images: {_flow(picture_folder.name)}"
    yield f"split: {_flow(_split(folder, picture_folder, pictures))}"
    yield "# size: [512, 512]   # training crop and evaluation canvas [pixels]; default: what fits all images"
    yield "tasks:"
    for name, found in guesses.items():
        yield f"  # {found.found}"
        if found.to_check:
            yield f"  # CHECK {found.to_check}"
        yield from _entry(name, found)
    for text in passed:
        yield f"# not taken: {text}"


def _entry(name: str, found: Guess) -> Iterator[str]:
    """The entry of a task: classes one per line, with their share of the pixels."""
    if "classes" not in found.entry:
        yield f"  {_flow(name)}: {_flow(found.entry)}"
        return
    yield f"  {_flow(name)}:"
    for key, value in found.entry.items():
        if key != "classes":
            yield f"    {key}: {_flow(value)}"
    yield "    classes:"
    listed, total = found.entry["classes"], sum(found.values.values())
    for value, title in enumerate(listed) if isinstance(listed, list) else listed.items():
        share = f"{100 * found.values[value] / total:.2g} % of the pixels" if found.values[value] else "not seen"
        item = "-" if isinstance(listed, list) else f"{value}:"
        yield f"      {item} {_flow(title)}  # {value}, {share}"


def _flow(value: Any) -> str:
    """YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _summary(
    out: Path, picture_folder: Path, pictures: Mapping[str, Any], guesses: Mapping[str, Guess], passed: Sequence[str]
) -> Iterator[str]:
    yield f"{picture_folder.name}/: {len(pictures)} images"
    for name, found in guesses.items():
        yield f"{found.entry['folder']}/ → {name}: {found.found}"
        if found.to_check:
            yield f"    check {found.to_check}"
    for text in passed:
        yield f"not taken: {text}"
    yield f"→ {out}   look at it, then: bridgenet data check {out}   bridgenet data show {out}"
    yield f"  to train on it: bridgenet train nyud-vit-base --data {out}"
