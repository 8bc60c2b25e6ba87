"""Weight files as tensors and metadata, safely: nothing read here can run code."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bridgenet.errors import UserError

State = dict[str, Tensor]


def read_file(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What a weight file holds: its content (for safetensors: tensors by name) and its metadata (safetensors only).

    Raises:
        UserError: missing, truncated, of another kind, or a pickle with more in it than tensors and plain containers.
    """
    if not path.is_file():
        raise UserError(f"no weights at {path}" + (" (it is a folder)" if path.is_dir() else ""))
    with path.open("rb") as file:
        start = file.read(16)
    if start[8:9] == b"{":
        try:
            with safe_open(str(path), framework="pt") as opened:
                return {key: opened.get_tensor(key) for key in opened.keys()}, dict(opened.metadata() or {})  # noqa: SIM118
        except SafetensorError as error:
            raise UserError(f"{path} is a damaged safetensors file ({error}); copy or download it again") from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))  # torch's own text advises to allow what it refused
        what = f" (it asks for {wanted[1]})" if wanted else ""
        raise UserError(
            f"{path} was refused: it is not a plain weight file, or it holds more than weights, which could run code{what}"
        ) from None
    except Exception as error:  # foreign bytes: what unpickling makes of them is no closed list
        raise UserError(
            f"{path} cannot be read as weights ({error}); is it whole, and a PyTorch or safetensors file?"
        ) from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, expected a dictionary of weights")
    return content, {}


def state_of(content: Mapping[str, Any], path: Path) -> State:
    """The state dict inside a checkpoint's content: under `model`, under `state_dict`, or the content itself."""
    for key in ("model", "state_dict"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    state = {key.removeprefix("module."): value for key, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise UserError(f"{path} holds no weights (keys: {', '.join(list(map(str, content))[:5]) or 'none'})")
    return state


def fit(state: State, expected: Mapping[str, Tensor], path: Path, what: str = "this network") -> State:
    """`state` itself if it has exactly the expected names and shapes; otherwise UserError listing what does not fit."""
    problems = [f"{key} is missing" for key in expected if key not in state]
    problems += [f"{key} is not part of {what}" for key in state if key not in expected]
    problems += [
        f"{key} has shape {tuple(state[key].shape)}, expected {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in state and state[key].shape != tensor.shape
    ]
    if problems:
        shown = "\n".join(f"         {problem}" for problem in problems[:20])
        more = f"\n         … and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise UserError(f"{path}: {len(problems)} weights do not fit {what}:\n{shown}{more}")
    return state
