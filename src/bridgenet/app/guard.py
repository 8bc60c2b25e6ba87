"""What the page answers: requests for its own names alone, so that no other web site reaches it through a browser."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from bridgenet.system.terminal import one_line, tell

POLICY = (
    b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws: wss: data: blob:; "
    b"frame-ancestors 'self'"
)
"""Content security policy: the browser loads nothing from other servers."""
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::", "")
"""Addresses to listen on that mean all networks of the machine."""


def own_names(host: str) -> tuple[str, ...]:
    """The names that the page on `host` answers for; `*` is any address of numbers, which no other site can pretend to be."""
    if host in EVERYWHERE:
        return (*THIS_MACHINE, socket.gethostname().lower(), socket.getfqdn().lower(), "*")
    return (*THIS_MACHINE, host.lower())


def is_own(header: str, names: Collection[str]) -> bool:
    """Whether the header `Host` of a request has one of the names, with any port."""
    try:
        name = (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return "*" in names


class Guard:
    """ASGI middleware: refuses requests for other names, sends :data:`POLICY`, and answers errors without their traceback."""

    def __init__(self, app: Any, names: Collection[str]) -> None:
        self.app = app
        self.names = names

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        has_begun = False

        async def with_policy(message: Any) -> None:
            nonlocal has_begun
            has_begun = True
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"content-security-policy", POLICY)]
            await send(message)

        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not is_own(hosts[0], self.names):
            await _refuse(scope["type"], with_policy, 403, "This page answers only for its own names; see --host.")
            return
        try:
            await self.app(scope, receive, with_policy)
        except Exception as error:  # of Gradio, for requests that its pages do not send
            tell(one_line(f"! {scope['path'][:100]}: the request was refused ({type(error).__name__})"))
            if not has_begun:
                await _refuse(scope["type"], with_policy, 400, "The request was refused.")


async def _refuse(kind: str, send: Any, status: int, text: str) -> None:
    if kind == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
