"""Locks of folders: one process writes, however it ends."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from bridgenet.errors import UserError

LOCK = ".lock"
"""The file in a folder that a process writes; it names the process."""
_FAR = 2**30
"""The byte that Windows locks: a locked one cannot be read by others."""
_held: set[str] = set()


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Be the only process that writes `folder` inside the block. The folder is made if needed, and deleted if it stays empty.

    The system releases the lock of a process that was killed. File systems without locks give none.

    Raises:
        UserError: another process, which is named, writes the folder.
    """
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    name = os.path.realpath(path)
    try:
        with _locked(folder, path, name) as file:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}".encode())
            file.flush()
            _held.add(name)
            try:
                yield
            finally:
                _held.discard(name)
                with suppress(OSError):  # Windows does not delete open files
                    path.unlink()
    finally:
        for made in new:
            with suppress(OSError):  # it is used
                made.rmdir()


def _locked(folder: Path, path: Path, name: str) -> IO[bytes]:
    """The lock file, open and locked."""
    while True:
        try:
            file = path.open("r+b" if path.exists() else "w+b")
        except OSError as error:
            raise UserError(f"{folder} cannot be written: {error.strerror}") from None
        if name in _held or not _lock(file):
            holder = file.read(200).decode("utf-8", "replace") or "another process"
            file.close()
            raise UserError(f"{folder} is written by {holder}; wait until it ends, or end it, or choose another folder")
        with suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # its last holder has deleted it since it was opened


def _lock(file: IO[bytes]) -> bool:
    """Lock a file until it is closed; False if another process has. Child processes do not inherit it."""
    try:
        try:
            import fcntl
        except ImportError:
            import msvcrt  # Windows

            file.seek(_FAR)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            finally:
                file.seek(0)
        else:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # no locks here
        return True
    return True
