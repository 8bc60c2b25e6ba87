"""The rule for names of tasks: they become keys of batches and weights, parts of file names, and columns of tables."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from bridgenet.errors import UserError
from bridgenet.system.validation import said

LONGEST = 64
"""Length of the longest name in UTF-8 [bytes]; file systems allow 255 with what is appended."""
RULE = f"expected letters, digits, _ and -, beginning with a letter, at most {LONGEST} bytes"

_OF_BATCHES_AND_PREDICTIONS = "image maps panel coloured overlay class_names save"
_OF_RUNS = "total loss losses intermediate step scores"
_OF_MODULES = """
    t_destination add_module apply bfloat16 buffers call_super_init children clear compile cpu cuda double dump_patches eval
    extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu items keys load_state_dict
    modules mtia parameters pop requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty train
    training type update values xpu zero_grad
"""  # attributes of PyTorch's modules, as are named_… and register_…
RESERVED = frozenset(f"{_OF_BATCHES_AND_PREDICTIONS} {_OF_RUNS} {_OF_MODULES}".split())
_MEANINGS = re.compile(
    r"(named|register)_\w+|con|prn|aux|nul|com\d|lpt\d"
)  # the latter are devices on Windows, never files
_NAME = re.compile(r"[^\W\d_][\w-]*")
_OUTPUTS = ("_colour", "_overlay", "_mm")


def wrong_name(name: object) -> str:
    """What is wrong with the name of a task; an empty string if nothing is."""
    if not isinstance(name, str):
        return f"{said(name)} is no name of a task: {RULE}, in quotation marks where YAML takes it for another value"
    shown = ascii(name if len(name) <= LONGEST else name[: LONGEST - 1] + "…")
    if not _NAME.fullmatch(name) or len(name.encode()) > LONGEST:
        return f"{shown} is no name of a task: {RULE}"
    if unicodedata.normalize("NFC", name) != name:
        return f"{shown} is no name of a task: write its accents as one character each (Unicode NFC)"
    if name.lower() in RESERVED or _MEANINGS.fullmatch(name.lower()):
        return f"{shown} cannot be the name of a task, because it has another meaning; choose another, e.g. {name}_map"
    return ""


def check_names(names: Iterable[object], where: str = "") -> None:
    """UserError, prefixed by `where`, if a name is not allowed or the files of two tasks would have the same name."""
    before = f"{where}: " if where else ""
    seen: dict[str, str] = {}
    for name in names:
        if problem := wrong_name(name):
            raise UserError(before + problem)
        text = str(name)
        if (other := seen.setdefault(text.lower(), text)) != text:
            raise UserError(
                f"{before}the tasks {other} and {text} differ only in case, and so would their files; rename one"
            )
    for name in seen:
        for ending in _OUTPUTS:
            if (longer := seen.get(name + ending)) is not None:
                raise UserError(
                    f"{before}the task {longer} would be written to a file of the task {seen[name]}; rename one"
                )
