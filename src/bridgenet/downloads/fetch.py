"""Downloads of files: several URLs per file, interrupted downloads are resumed, checksums are written beside the files.

During a download the folder holds `.NAME.part` (the bytes so far) and `.NAME.part.json` (their URL, and the server's
identifier of the file's version). Bytes are only appended to those of the same version.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import IO, Any

from bridgenet.errors import UserError
from bridgenet.system.files import lock, write_atomically
from bridgenet.version import __version__

TIMEOUT = 30.0
"""How long a server may be silent [s]."""
PAUSES = (1.0, 3.0, 10.0)
"""Pauses before a lost connection is tried again [s]; they start over when new bytes arrive."""
BLOCK = 1 << 16
BUSY = (408, 425, 429, 500, 502, 503, 504)
"""HTTP codes of servers that may succeed later."""

Progress = Callable[[int, "int | None"], None]


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    sha256: str | None = None,
    starts: Sequence[bytes] = (b"",),
    progress: Progress | None = None,
) -> str:
    """Check `target` if it exists, else download it from the first URL that has it.

    An interrupted download, also of an earlier process, is resumed. The checksum is written to `NAME.sha256` beside the
    file in the format of sha256sum, and is checked if the file exists.

    Args:
        urls: URLs (http, https) of the same file, in the order to try them.
        target: path of the file; its folder is created.
        sha256: expected checksum, if it is known.
        starts: possible first bytes of the file; a download that begins otherwise is refused.
        progress: called with (downloaded bytes, all bytes or None if the server does not report them).

    Returns:
        The file's sha256, 64 hexadecimal digits.

    Raises:
        UserError: no URL has the file, with the reason for each; it does not fit on the disk; another process
            downloads it; or the existing file has another checksum.
    """
    for url in urls:
        if not is_web(split(url)):
            raise UserError(f"--url {url}: expected an address that begins with https:// or http://")
    if target.exists():
        return _verify(target, sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    with _Partial.open(target) as partial:
        for url in urls:
            try:
                _download(url, partial, progress)
                return partial.finish(target, sha256, starts)
            except Failed as failure:
                failures.append(f"         {url}: {failure}")
        can_resume = partial.size and partial.origin.get("validator")
        kept = f" {partial.size / 1e6:.1f} MB are kept and will be resumed." if can_resume else ""
    tried = "\n".join(failures) or "         no address is known"
    raise UserError(
        f"{target.name} could not be downloaded:\n{tried}\n"
        f"       Give another address with --url, or download it by hand, put it at {target} and run the same command "
        f"again.{kept}"
    )


def partial_size(target: Path) -> int:
    """The number of bytes of an unfinished download of `target`."""
    path = _part(target)
    return path.stat().st_size if path.exists() else 0


def checksum_file(target: Path) -> Path:
    """The file with the checksum of `target`."""
    return target.with_name(f"{target.name}.sha256")


class Failed(Exception):
    """The reason why a URL does not give the file."""


class _Cut(Exception):
    """The connection ended, or the server was busy: the URL can be tried again."""


class _Partial:
    """The unfinished file and what is known of its origin: `url`, `validator` (the server's name of this version), `total` [bytes]."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.file = file
        self.record = path.with_name(path.name + ".json")
        self.size = file.seek(0, os.SEEK_END)
        self.origin: dict[str, Any] = {}
        try:
            self.origin = dict(json.loads(self.record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            self.size = 0  # the origin of the bytes is unknown

    @classmethod
    @contextmanager
    def open(cls, target: Path) -> Iterator[_Partial]:
        """The part of `target`, locked against other processes; an empty one is cleared away afterwards."""
        path = _part(target)
        with path.open("ab", buffering=0) as file:
            if not lock(file):  # two processes that add to one part would mix their bytes
                raise UserError(f"{target} is being downloaded by another process. Wait for it, or stop it")
            partial = cls(path, file)
            try:
                yield partial
            finally:
                file.close()
                if partial.size == 0 or not path.exists():
                    partial.record.unlink(missing_ok=True)
                    path.unlink(missing_ok=True)

    def start(self, **origin: Any) -> None:
        """Throw away what is there; what comes next is of `origin`. Without one the next request is for the whole file."""
        self.file.truncate(0)
        self.size = 0
        self.origin = origin
        write_atomically(self.record, json.dumps(origin))

    def append(self, block: bytes) -> None:
        """Append bytes, without a buffer: a killed process loses none."""
        view = memoryview(block)
        while view:
            written = self.file.write(view)
            view = view[written:]
            self.size += written

    def finish(self, target: Path, expected: str | None, starts: Sequence[bytes]) -> str:
        """Check the whole file and move it to `target`, its checksum beside it."""
        with self.path.open("rb") as file:
            start = file.read(16)
        if not start or not start.startswith(tuple(starts)):
            self.start()
            raise Failed(
                f"what it gives is no such file (it begins with {start!r})" if start else "what it gives is empty"
            )
        os.fsync(self.file.fileno())
        digest = _sha256(self.path)
        if expected and digest != expected:
            self.start()
            raise Failed(f"found sha256 {digest}, expected {expected}; what was downloaded is thrown away")
        write_atomically(checksum_file(target), f"{digest}  {target.name}\n")
        self.file.close()
        self.path.replace(target)
        return digest


def _download(url: str, partial: _Partial, progress: Progress | None) -> None:
    """Download the rest of the file, or raise Failed."""
    pauses, furthest, reached = iter(PAUSES), 0, False
    while True:
        try:
            with _request(url, partial) as response:
                reached = True
                return _receive(url, response, partial, progress)
        except _Cut as cut:
            reason = cut
        if not reached:  # no server: try the next URL without a pause
            raise Failed(f"no connection ({reason})")
        if partial.size > furthest:
            furthest, pauses = partial.size, iter(PAUSES)
        pause = next(pauses, None)
        if pause is None:
            raise Failed(reason)
        time.sleep(pause)


def _request(url: str, partial: _Partial) -> Any:
    """The server's answer: the rest of the part if it is a part of the same version, else the whole file, or an error's code."""
    headers = {"User-Agent": f"bridgenet/{__version__}"}
    origin = partial.origin
    if partial.size and origin.get("url") == url and origin["validator"]:
        headers |= {"Range": f"bytes={partial.size}-", "If-Range": origin["validator"]}
    try:
        return OPENER.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        return error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Cut(reason_of(error)) from None


def _receive(url: str, response: Any, partial: _Partial, progress: Progress | None) -> None:
    """Write an answer to the part; _Cut if it ends early, Failed if it is not the file."""
    said = f"HTTP {response.status} {response.reason}"
    headers, known = response.headers, partial.origin.get("total")
    if response.status == 416:  # asked for what lies behind the end: the part is complete, or of something else
        if known in (None, partial.size) and _continues(headers, partial, rf"bytes \*/({partial.size})"):
            return
        partial.start()
        raise _Cut(said)
    if response.status in BUSY:
        raise _Cut(said)
    if response.status not in (200, 206):
        raise Failed(said)
    if headers.get_content_type() == "text/html":
        raise Failed("this is a web page, not the file; open it in a browser and copy the link of the file itself")
    if response.status == 200:
        total = length_of(headers)
        partial.start(url=url, validator=_validator(headers), total=total)
    else:
        found = _continues(headers, partial, rf"bytes {partial.size}-\d+/({known or '[0-9]+'}|\*)")
        if not found:
            partial.start()
            raise _Cut("the server answered with another part or version of the file")
        total = known if found[1] == "*" else int(found[1])
    _check_space(partial, total)
    while True:
        if progress is not None:
            progress(partial.size, total)
        try:
            block = response.read(BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise _Cut(reason_of(error)) from None
        if not block:
            break
        partial.append(block)
    if total not in (None, partial.size):
        raise _Cut(f"the connection ended after {partial.size} of {total} bytes")


def _continues(headers: Message, partial: _Partial, place: str) -> re.Match[str] | None:
    """Match `place` in the Content-Range of a response; None if the response has another version than the part."""
    is_same = partial.origin and _validator(headers) in (None, partial.origin["validator"])
    return re.fullmatch(place, headers.get("Content-Range", "")) if is_same else None


def _validator(headers: Message) -> str | None:
    """What names this version of the file in an If-Range: a strong ETag, else the date of its last change."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")


def length_of(headers: Message) -> int | None:
    """The Content-Length of a response [bytes]; None without a valid one."""
    length = headers.get("Content-Length", "")
    return int(length) if re.fullmatch("[0-9]{1,18}", length) else None


def _check_space(partial: _Partial, total: int | None) -> None:
    free, missing = shutil.disk_usage(partial.path.parent).free, (total or 0) - partial.size
    if missing > free:
        raise UserError(
            f"{partial.path.parent}: {free / 1e9:.1f} GB are free, {missing / 1e9:.1f} GB are still to be downloaded. "
            "Make room or give another folder"
        )


def _verify(target: Path, expected: str | None) -> str:
    """The checksum of a file that is there, written beside it if none was; UserError if it is another than expected."""
    record = checksum_file(target)
    recorded = next(iter(record.read_text(encoding="utf-8").split()), None) if record.exists() else None
    digest = _sha256(target)
    for known, source in ((expected, "the published file"), (recorded, record)):
        if known and digest != known:
            by_hand = f"; if you put it there yourself, delete {record}" if recorded else ""
            raise UserError(
                f"{target}: found sha256 {digest}, expected {known} ({source}). It is damaged or another file: delete "
                f"it and run the same command again{by_hand}"
            )
    if not recorded:
        write_atomically(record, f"{digest}  {target.name}\n")
    return digest


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def reason_of(error: BaseException) -> str:
    """What went wrong with a connection, in the system's words."""
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or str(reason) or type(error).__name__


def split(url: str) -> urllib.parse.SplitResult | None:
    """The parts of an address; None where it cannot be taken apart, e.g. for a bracket that is not closed."""
    try:
        return urllib.parse.urlsplit(url)
    except ValueError:
        return None


def is_web(parts: urllib.parse.SplitResult | None) -> bool:
    """Whether an address is one of http or https, with a server's name."""
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https alone, and from https only to https."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme != "https" and scheme != req.type:
            raise Failed(f"the server sends on to {newurl}, which is refused (only https, or http from http)")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


OPENER = urllib.request.build_opener(_Redirects)
"""Opens addresses; a redirection to anything but http and https raises :class:`Failed`."""
