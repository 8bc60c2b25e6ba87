"""Downloads of images from http and https URLs, with limits of size and time."""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

from bridgenet.downloads import fetch
from bridgenet.errors import UserError
from bridgenet.version import __version__

MAX_BYTES = 100_000_000
"""Largest size of a file [bytes]."""
MAX_SECONDS = 60.0
"""Longest time of a download [s]; a server may be silent for half of it."""


def is_address(text: str) -> bool:
    """Whether an input is a URL of any scheme."""
    return "://" in text


def refuse_address(text: object) -> None:
    """UserError for an address where a path is needed: as a path it would lose a slash and its meaning."""
    if is_address(str(text)):
        raise UserError(f"{text} is an address, expected a path here. Download it first and give the file")


def fetch_picture(url: str, *, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS) -> bytes:
    """Download an image. Redirections are followed from https to https, from http to both.

    Raises:
        UserError: wrong scheme, server or file not found, not an image by its headers, too large or too slow.
    """
    parts = fetch.split(url)
    if parts is None or not fetch.is_web(parts):
        raise UserError(f"{url} is no address of a picture: it must begin with https:// or http://")
    content = bytearray()
    failures: list[Exception] = []
    is_late = threading.Event()

    def work() -> None:
        try:
            for block in _blocks(url, parts, max_bytes, max_seconds / 2):
                content.extend(block)
                if is_late.is_set():
                    return
        except Exception as error:  # raised by the waiting thread
            failures.append(error)

    # In a thread: no timeout of a socket stops a server that sends its headers byte by byte.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(max_seconds)
    if thread.is_alive():
        is_late.set()
        raise UserError(f"{url} took more than {max_seconds:g} s; {len(content) / 1e6:.1f} MB came")
    if failures:
        raise failures[0]
    return bytes(content)


def _blocks(url: str, parts: urllib.parse.SplitResult, max_bytes: int, max_silence: float) -> Iterator[bytes]:
    size = 0
    try:
        request = urllib.request.Request(_encoded(parts), headers={"User-Agent": f"bridgenet/{__version__}"})
        with fetch.OPENER.open(request, timeout=max_silence) as response:
            length = fetch.length_of(response.headers) or 0
            _check_headers(url, response.headers, length, max_bytes)
            while block := response.read1(fetch.BLOCK):  # what is there, without waiting for the whole block
                size += len(block)
                yield block
                if size > max_bytes:
                    raise UserError(f"{url} is too large: more than {max_bytes / 1e6:.0f} MB")
            if size < length:
                raise UserError(f"{url}: the connection ended after {size} of {length} bytes")
    except urllib.error.HTTPError as error:
        error.close()
        raise UserError(f"{url}: the server answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError, fetch.Failed) as error:
        raise UserError(f"{url} cannot be fetched ({fetch.reason_of(error)})") from None


def name_of(url: str) -> str:
    """A name for the results: the last part of the path without its suffix, else the server's name."""
    parts = fetch.split(url)
    if parts is None:
        return "picture"
    last = urllib.parse.unquote(parts.path).replace("\\", "/").rstrip("/").rpartition("/")[2]
    stem = last.rpartition(".")[0] or last or parts.hostname or "picture"
    safe = "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in stem).strip(". ")
    return safe.encode()[:100].decode(errors="ignore") or "picture"


def _encoded(parts: urllib.parse.SplitResult) -> str:
    """The address as it goes over the wire: letters outside ASCII and spaces are written as servers expect them."""
    safe = "%/:=&?~#+!$,;'@()*[]"  # what may have been written so already
    path, query = (urllib.parse.quote(part, safe=safe) for part in (parts.path, parts.query))
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    return urllib.parse.urlunsplit((parts.scheme, host, path, query, ""))


def _check_headers(url: str, headers: http.client.HTTPMessage, length: int, max_bytes: int) -> None:
    kind = headers.get_content_type()
    if kind.startswith("video/"):
        raise UserError(f"{url} is a video: download it and give the file")
    if kind.startswith("text/") and "Content-Type" in headers:
        raise UserError(f"{url} is a page or text ({kind}), not a picture; give the address of the picture itself")
    if (packed := headers.get("Content-Encoding", "identity")) != "identity":
        raise UserError(f"{url} is sent packed ({packed}), which was not asked for: download it and give the file")
    if length > max_bytes:
        raise UserError(f"{url} is too large: {length / 1e6:.0f} MB, at most {max_bytes / 1e6:.0f} are fetched")
