"""Atomic writing of files: an interruption leaves either the old or the complete new content."""

from __future__ import annotations

import functools
import json
import math
import os
import platform
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from bridgenet.errors import UserError

PARTIAL = re.compile(r"\..+\.partial-(?P<process>\d+)(-(?P<host>[0-9a-f]{4})(-\w+)?)?")
"""Names of files and folders that are being written."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`. It replaces `path` when the block succeeds, else it is deleted."""
    clear_partial(path.parent)
    partial = path.with_name(_temporary(path.name))
    try:
        partial.touch()  # not every writer has a readable error for this
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    try:
        yield partial
        with partial.open("r+b") as file:  # Windows syncs no file that is open for reading
            os.fsync(file.fileno())
        partial.chmod(0o666 & ~_umask())  # some writers create files that only their owner may read
        partial.replace(path)
        sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def writing_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder. Its files are moved to `folder` when the block succeeds, else it is deleted."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    clear_partial(folder.parent)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{_temporary(folder.name)}-"))
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
        sync_folder(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@functools.lru_cache(maxsize=256)  # once a process: not for each of thousands of files
def clear_partial(folder: Path) -> None:
    """Delete what :func:`replacing` and :func:`writing_folder` left in a folder when their processes were killed."""
    for left in folder.glob(".*.partial-*"):
        found = PARTIAL.fullmatch(left.name)
        if found and found["host"] in (None, _host()) and not _is_running(int(found["process"])):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _temporary(name: str) -> str:
    """A temporary name for what will be called `name`. Its end tells others which process writes it.

    It begins with at most 50 letters of the name: file systems take names of 255 bytes.
    """
    return f".{name[:50]}.partial-{os.getpid()}-{_host()}"


@functools.cache
def _host() -> str:
    return f"{zlib.crc32(platform.node().encode()) & 0xFFFF:04x}"  # folders may be shared by many machines


def _is_running(process: int) -> bool:
    if os.name == "nt":
        return True  # there os.kill would end it
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a loss of power, where the system can."""
    with suppress(OSError):  # Windows opens no folders, and some file systems do not sync them
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
