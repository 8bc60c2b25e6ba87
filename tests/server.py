"""A web server on this machine that serves one file at every path, with the faults of real ones."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Site:
    """What the server does; may be changed while it runs.

    Attributes:
        content: the file.
        ranges: whether it gives parts.
        names_version: whether it sends an ETag (and minds If-Range).
        minds_version: whether it looks at If-Range at all.
        cut_after: bytes of a body after which each of the next answers is cut.
        silent: how long it says nothing before an answer is cut [s].
        codes: HTTP codes that the next answers have instead of the file.
        claimed_length: a Content-Length that is not true.
        tells_length: whether there is a Content-Length.
        redirect: where it sends on to.
        content_type: of the file.
        asked: headers of the requests so far, with the path.
    """

    content: bytes = b""
    ranges: bool = True
    names_version: bool = True
    minds_version: bool = True
    cut_after: list[int] = field(default_factory=list)
    silent: float = 0.0
    codes: list[int] = field(default_factory=list)
    claimed_length: int | None = None
    tells_length: bool = True
    redirect: str = ""
    content_type: str = "application/octet-stream"
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Run the server; `site.url` is its address."""
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        site = self.site
        site.asked.append({**self.headers, "path": self.path})
        if site.redirect and self.path != "/moved":
            self.send_response(302)
            self.send_header("Location", site.redirect)
            self.end_headers()
            return
        if site.codes:
            self.send_error(site.codes.pop(0))
            return
        etag = f'"{hashlib.sha256(site.content).hexdigest()[:16]}"'
        first = self._first_byte(etag)
        if first is not None and first >= len(site.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(site.content)}")
            self.end_headers()
            return
        body = site.content[first or 0 :]
        self.send_response(200 if first is None else 206)
        if first is not None:
            total = site.claimed_length or len(site.content)
            self.send_header("Content-Range", f"bytes {first}-{len(site.content) - 1}/{total}")
        if site.names_version:
            self.send_header("ETag", etag)
        self.send_header("Content-Type", site.content_type)
        if site.tells_length:
            self.send_header("Content-Length", str(site.claimed_length or len(body)))
        self.end_headers()
        if site.cut_after:
            self.wfile.write(body[: site.cut_after.pop(0)])
            time.sleep(site.silent)
        else:
            self.wfile.write(body)

    def _first_byte(self, etag: str) -> int | None:
        """Where the part that is asked for begins; None for the whole file."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not found or not self.site.ranges:
            return None
        if self.site.minds_version and self.headers.get("If-Range") != etag:
            return None
        return int(found[1])
