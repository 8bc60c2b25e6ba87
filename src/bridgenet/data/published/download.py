"""Download, check and unpack the published archive of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bridgenet import data
from bridgenet.downloads.archives import CorruptArchive, unpack
from bridgenet.downloads.fetch import Progress, checksum_file, fetch
from bridgenet.errors import UserError

GZIP = b"\x1f\x8b"
"""First bytes of a .tar.gz."""


def archive_path(name: str, root: Path) -> Path:
    """The path of a downloaded archive, beside the folder of the data set."""
    return root / f"{data.info(name).folder}.tar.gz"


def download(
    name: str,
    root: Path,
    *,
    urls: Sequence[str] = (),
    keep_archive: bool = False,
    downloading: Progress | None = None,
    unpacking: Progress | None = None,
) -> tuple[Path, str]:
    """Download a data set below `root`, or unpack an archive that is already there. All or nothing.

    Args:
        name: the data set, ``"nyud"``.
        root: folder in which the folder of the data set is created.
        urls: further URLs of the archive, tried before the known ones.
        keep_archive: keep the archive after unpacking.
        downloading, unpacking: progress callbacks (bytes done, number of bytes).

    Returns:
        The data set's folder, and the archive's sha256; empty if the folder exists, which is then not changed.

    Raises:
        UserError: see :func:`bridgenet.downloads.fetch.fetch` and :func:`bridgenet.downloads.archives.unpack`. A damaged archive
            is deleted if it was downloaded in this call.
    """
    dataset = data.published(name)
    info = dataset.info
    folder = root / info.folder
    if folder.is_dir() and any(folder.iterdir()):
        return folder, ""
    archive = archive_path(name, root)
    is_ours = not archive.exists()
    digest = fetch(
        [*urls, *info.archives],
        archive,
        sha256=info.archive_sha256 or None,
        starts=(GZIP,),
        progress=downloading,
    )
    try:
        unpack(archive, folder, dataset.split_file.format(split="train"), progress=unpacking)
    except CorruptArchive as error:
        checksum_file(archive).unlink(missing_ok=True)  # of a damaged file
        if is_ours:
            archive.unlink()
            advice = "It was deleted: run the same command again, or give another address with --url"
        else:
            advice = "Delete it and run the same command again to download it"
        raise UserError(f"{error}. {advice}") from error
    if not keep_archive:
        archive.unlink()
        checksum_file(archive).unlink(missing_ok=True)
    return folder, digest
