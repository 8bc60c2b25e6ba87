"""Safe unpacking of downloaded .tar.gz archives: all or nothing, and nothing outside the target folder."""

from __future__ import annotations

import gzip
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from bridgenet.errors import UserError
from bridgenet.system.files import lock

KEEP_FREE = 0.02
"""Fraction of the free disk space that stays free."""


class CorruptArchive(UserError):
    """The archive is damaged, incomplete, or has unexpected content."""


def unpack(archive: Path, target: Path, expected: str, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Unpack a .tar.gz archive to the folder `target`, which is created when everything is unpacked.

    Args:
        archive: archive with a folder of the target's name, or with its content.
        target: must not exist, or be an empty folder.
        expected: a file, relative to the target, that the archive must contain.
        progress: called with (bytes read of the archive, all its bytes).

    Raises:
        CorruptArchive: the archive is damaged or incomplete, or lacks the expected file.
        UserError: a member lies outside the target folder or is not a plain file, folder or link; the content does not
            fit on the disk; the target exists; or this Python cannot unpack safely.
    """
    if not hasattr(tarfile, "data_filter"):
        raise UserError(
            f"{archive} is kept: this Python cannot unpack it safely. Use Python 3.10.12, 3.11.4 or newer, or unpack it "
            f"by hand: tar -xzf {archive} -C {target.parent}"
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists and is not empty. Move it away to unpack {archive.name} again")
    with archive.open("rb") as file:
        if not lock(file):
            raise UserError(f"{archive} is being unpacked by another process. Wait for it, or stop it")
        partial = target.with_name(f".{target.name}.unpacking")
        shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
        partial.mkdir(parents=True)
        try:
            _extract(archive, file, partial, progress)
            _place(archive, partial, target, expected)
        except (tarfile.ReadError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise CorruptArchive(f"{archive} is damaged or not a .tar.gz archive ({error})") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _place(archive: Path, partial: Path, target: Path, expected: str) -> None:
    """Move the data set's folder from what was unpacked to where it belongs."""
    content = next((folder for folder in (partial / target.name, partial) if (folder / expected).is_file()), None)
    if content is None:
        found = ", ".join(sorted(entry.name for entry in partial.iterdir())[:5]) or "nothing"
        raise CorruptArchive(f"{archive}: found {found}, expected {target.name}/{expected}")
    if target.exists():
        target.rmdir()
    content.rename(target)


def _extract(archive: Path, raw: IO[bytes], folder: Path, progress: Callable[[int, int], None] | None) -> None:
    free = shutil.disk_usage(folder).free * (1 - KEEP_FREE)
    total = archive.stat().st_size
    unpacked = 0
    links: set[str] = set()
    with gzip.GzipFile(fileobj=raw) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as members:
            for member in members:
                _check(archive, member, links)
                unpacked += member.size
                if unpacked > free:
                    raise UserError(
                        f"{archive}: more than the {free / 1e9:.1f} GB that are free would be needed to unpack it "
                        f"(at {member.name}). Make room or give another folder"
                    )
                try:
                    members.extract(member, folder, filter="data")
                except tarfile.FilterError as error:
                    raise _refused(archive, member, str(error)) from None
                except KeyError:
                    raise CorruptArchive(f"{archive} is damaged: {member.name} links to what is not in it") from None
                except OSError as error:
                    raise UserError(
                        f"{archive}: its member {member.name} cannot be unpacked: {error.strerror}. Nothing was unpacked"
                    ) from None
                if progress is not None:
                    progress(raw.tell(), total)
        while stream.read(1 << 20):  # to the end, where gzip's own checksum is compared
            pass
    if progress is not None:
        progress(total, total)


def _check(archive: Path, member: tarfile.TarInfo, links: set[str]) -> None:
    """What tarfile's filter lets pass: absolute names, which it makes relative, and members below a link."""
    name = posixpath.normpath(member.name)
    if name == ".." or name.startswith(("/", "../")):
        raise _refused(archive, member, "it would leave the folder")
    parents = name.split("/")
    if any("/".join(parents[:depth]) in links for depth in range(1, len(parents))):
        raise _refused(archive, member, "it lies below a link")
    if member.issym() or member.islnk():  # a hard link to a link is one as well
        links.add(name)


def _refused(archive: Path, member: tarfile.TarInfo, reason: str) -> UserError:
    return UserError(
        f"{archive}: refused to unpack its member {member.name}: {reason}. Nothing was unpacked. This is not the "
        "published archive: delete it and give another address with --url"
    )
