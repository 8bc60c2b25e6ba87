"""Atomic writing of files: an interruption leaves either the old or the complete new content."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bridgenet.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`. It replaces `path` when the block succeeds, else it is deleted."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.touch()  # not every writer has a readable error for this
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.chmod(0o666 & ~_umask())  # some writers create files that only their owner may read
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def writing_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder. Its files are moved to `folder` when the block succeeds, else it is deleted."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    partial.chmod(0o755)
    try:
        yield partial
        if folder.exists():
            for path in sorted(partial.iterdir()):
                target = folder / path.name
                if target.is_dir():
                    shutil.rmtree(target)
                path.replace(target)
        else:
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write the complete content or nothing."""
    with replacing(path) as partial:
        partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def write_json(path: Path, values: Any) -> None:
    """Write JSON atomically, indented; NaN and infinities as null."""
    write_atomically(path, json.dumps(finite(values), indent=2, allow_nan=False) + "\n")


def finite(values: Any) -> Any:
    """Convert NaN and infinities, which JSON does not have, to None."""
    if isinstance(values, Mapping):
        return {str(key): finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def lock(file: IO[bytes], *, shared: bool = False) -> bool:
    """Lock a file until it is closed; returns False if another process has locked it.

    Several processes can have a `shared` lock. A second call changes the kind of the lock. Returns True where the system
    or the file system has no locks.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
