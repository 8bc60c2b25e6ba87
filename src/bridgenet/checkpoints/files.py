"""Safe reading of weight files: nothing that is read here can run code or be larger than the file it comes from."""

from __future__ import annotations

import hashlib
import json
import mmap
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bridgenet.errors import UserError
from bridgenet.system.text_files import read_text
from bridgenet.system.yaml_text import load_yaml

State = dict[str, Tensor]

_LOCAL_HEADER = 30
"""Smallest size of a zip member's header [bytes]; its name and content follow."""


def read_file(path: Path, *, whole: bool = True) -> tuple[dict[str, Any], dict[str, str]]:
    """Read a weight file: its content (for safetensors, tensors by name) and its metadata (safetensors only).

    Tensors are memory-mapped: what is never accessed (an optimiser's state) needs no memory.

    Args:
        whole: verify the checksums of a PyTorch file, for which all of it is read once.

    Raises:
        UserError: the file is missing, truncated, of another kind or compressed, or it is a pickle that holds more than
            tensors and plain containers.
    """
    start = _start(path)
    if start[8:9] == b"{":
        return _read_safetensors(path)
    is_zip = start[:4] == b"PK\x03\x04"
    if is_zip:
        check_zip(path, whole)
    elif start[:1] != b"\x80":  # the first byte of every pickle of torch.save
        raise UserError(f"{path} is neither a PyTorch nor a safetensors file" + ("" if start else ": it is empty"))
    if _holds_bytearray(
        path, is_zip
    ):  # the only one of torch's permitted types that takes as much memory as a number says
        raise UserError(f"{path} was refused: it holds a bytearray, expected only weights")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))  # torch's own text advises to allow what it refused
        what = f" (it asks for {wanted[1]})" if wanted else ""
        raise UserError(
            f"{path} was refused: it is not a plain weight file, or it holds more than weights, which could run code{what}"
        ) from None
    except Exception as error:  # unpickling arbitrary bytes can raise anything
        raise UserError(
            f"{path} cannot be read as weights ({error}); is it complete, and a PyTorch or safetensors file?"
        ) from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, expected a dictionary of weights")
    return content, {}


def _holds_bytearray(path: Path, is_zip: bool) -> bool:
    """Whether a PyTorch file, whose parts are not compressed, asks for Python's type of that name."""
    if is_zip:
        with zipfile.ZipFile(path) as opened:
            pickles = [opened.read(name) for name in opened.namelist() if name.endswith(".pkl")]
        return any(b"bytearray" in each for each in pickles)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"bytearray") >= 0


def weights_digest(path: Path) -> str:
    """A digest that distinguishes weight files of one network: SHA-256 of the file's size and first MiB."""
    with path.open("rb") as file:
        return hashlib.sha256(str(path.stat().st_size).encode() + file.read(1 << 20)).hexdigest()


def is_safetensors(path: Path) -> bool:
    """Whether this is a safetensors file, judged by its content; UserError if it does not exist."""
    return _start(path)[8:9] == b"{"


def _start(path: Path) -> bytes:
    if not path.is_file():
        raise UserError(f"no weights at {path}" + (" (it is a folder)" if path.is_dir() else ""))
    with path.open("rb") as file:
        return file.read(16)


def _read_safetensors(path: Path) -> tuple[State, dict[str, str]]:
    try:
        with safe_open(str(path), framework="pt") as opened:
            return {key: opened.get_tensor(key) for key in opened.keys()}, dict(opened.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path} is a damaged safetensors file ({error}); copy or download it again") from None


def check_zip(path: Path, whole: bool = True) -> None:
    """UserError for a zip file that torch.save cannot have written: compressed or overlapping members, wrong checksums."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as opened:
            members = sorted(opened.infolist(), key=lambda member: member.header_offset)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UserError(
            f"{path} cannot be read as weights ({error}); is it complete? Copy or download it again"
        ) from None
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise UserError(
                f"{path} was refused: its part {member.filename} is compressed ({member.compress_size} bytes that "
                f"claim to be {member.file_size}); torch.save compresses nothing. Save the weights again with torch.save"
            )
    end = 0
    for member in members:
        if member.header_offset < end or member.header_offset + _LOCAL_HEADER + member.file_size > size:
            raise UserError(
                f"{path} was refused: its part {member.filename} shares bytes with another or goes beyond the end of the "
                "file; copy or download it again"
            )
        end = member.header_offset + _LOCAL_HEADER + member.file_size
    if len({member.filename for member in members}) != len(members):
        raise UserError(f"{path} was refused: two of its parts have the same name")
    if whole:
        with zipfile.ZipFile(path) as opened:
            try:
                damaged = opened.testzip()
            except (zipfile.BadZipFile, OSError, EOFError) as error:
                damaged = str(error)
        if damaged:
            raise UserError(f"{path} is damaged (checksum of {damaged}); copy or download it again")


def state_of(content: Mapping[str, Any], path: Path) -> State:
    """The state dict of a checkpoint: its entry `model`, its entry `state_dict`, or the checkpoint itself."""
    for key in ("model", "state_dict"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    state = without_prefix(tensors, "module.", path)
    if not state:
        raise UserError(
            f"{path} holds no weights (keys: {', '.join([key for key in content if isinstance(key, str)][:5]) or 'none'})"
        )
    return state


def without_prefix(state: Mapping[str, Tensor], prefix: str, path: Path) -> State:
    """The state with a prefix removed from its names; UserError if two weights then have the same name."""
    renamed = {key.removeprefix(prefix): value for key, value in state.items()}
    if len(renamed) < len(state):
        both = next(key for key in state if key.startswith(prefix) and key.removeprefix(prefix) in state)
        raise UserError(f"{path} holds both {both} and {both.removeprefix(prefix)}: which one is meant?")
    return renamed


def read_state(path: Path, *, whole: bool = True) -> tuple[State, dict[str, Any]]:
    """Read a weight file of another project: the weights, each with its values in the file, and the whole content.

    Raises:
        UserError: as :func:`read_file` and :func:`state_of`; also for weights that are not plain arrays or that claim to
            be larger than the file, so that no memory is allocated for shapes that the file cannot fill.
    """
    content, _ = read_file(path, whole=whole)
    state = state_of(content, path)
    for key, value in state.items():
        if value.layout != torch.strided or value.is_quantized or value.is_nested or value.device.type != "cpu":
            kind = "quantised" if value.is_quantized else str(value.layout).removeprefix("torch.")
            where = "" if value.device.type == "cpu" else f" without values ({value.device})"
            raise UserError(
                f"{path}: {key} is a {kind} tensor{where}, expected plain weights; save it dense, on the CPU"
            )
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UserError(
                f"{path}: {key} claims to have shape {tuple(value.shape)}, but the file holds only "
                f"{value.untyped_storage().nbytes()} bytes of it; save it with .contiguous()"
            )
    claimed, size = sum(value.numel() * value.element_size() for value in state.values()), path.stat().st_size
    if claimed > size:
        raise UserError(f"{path} has {size} bytes, but its weights claim to have {claimed}; download it again")
    return state, content


def check_state_dict(state: State, expected: Mapping[str, Tensor], path: Path, what: str = "this network") -> State:
    """Return `state` if its names, shapes and kinds of dtype are exactly the expected ones; else UserError with a list."""
    if found := problems(state, expected, what):
        shown = "\n".join(f"         {problem}" for problem in found[:20])
        more = f"\n         … and {len(found) - 20} more" if len(found) > 20 else ""
        raise UserError(f"{path}: {len(found)} weights do not fit {what}:\n{shown}{more}")
    return state


def problems(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str = "this network") -> list[str]:
    """The weights that do not fit, one line each."""
    found = [f"{key} is missing" for key in expected if key not in state]
    found += [f"{key} is not part of {what}" for key in state if key not in expected]
    for key, tensor in expected.items():
        if key not in state:
            continue
        value = state[key]
        if value.shape != tensor.shape:
            found.append(f"{key} has shape {tuple(value.shape)}, expected {tuple(tensor.shape)}")
        elif value.is_floating_point() != tensor.is_floating_point():
            kinds = (str(value.dtype).removeprefix("torch."), str(tensor.dtype).removeprefix("torch."))
            found.append(f"{key} has numbers of kind {kinds[0]}, expected {kinds[1]}")
    return found


def not_finite(state: Mapping[str, Tensor]) -> str:
    """How many weights hold NaN or infinity, in words; an empty string if none does."""
    bad = [key for key, x in state.items() if x.is_floating_point() and not (x.is_meta or torch.isfinite(x).all())]
    return f"{len(bad)} of {len(state)} weights hold NaN or infinity (first: {bad[0]})" if bad else ""


def read_config(path: str | Path) -> dict[str, Any]:
    """Read settings from a JSON or YAML file; UserError if it is neither."""
    text = read_text(Path(path))
    try:
        values = json.loads(text)  # first: YAML's reader takes seconds for a long file
    except ValueError:
        try:
            values = load_yaml(text)
        except yaml.YAMLError as error:
            raise UserError(f"{path} is neither JSON nor YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} holds a {type(values).__name__}, expected settings like 'image_size: [448, 576]'")
    return values
