"""Who may come in: requests for this server by its own name, from its own page.

A page of another site that runs in the same browser can send requests to 127.0.0.1. It is told
apart by the headers that a browser sets and no script can change: Host (against DNS rebinding,
where the other site's name leads here), Origin and Sec-Fetch-Site.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ANSWER_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Doorkeeper:
    """An ASGI application in front of another one.

    Args:
        names: what the server is called in addresses, besides localhost and numbers.
        any_number: whether every numeric address may be the server's (where it listens beyond this
            machine); else loopback only.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = (), any_number: bool = False) -> None:
        self.app, self.names, self.any_number = (
            app,
            {name.lower() for name in names} | {"localhost"},
            any_number,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ANSWER_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self.refusal(scope["method"], scope["path"], Headers(scope=scope))
        if refusal:
            await PlainTextResponse(refusal + "\n", 403)(scope, receive, send_guarded)
        else:
            await self.app(scope, receive, send_guarded)

    def refusal(self, method: str, path: str, headers: Headers) -> str | None:
        """Why a request is refused, in a sentence."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.is_ours(hosts[0]):
            return "this server answers only under its own address: open the one that ibsd serve printed, or name this one with --name"
        origins = headers.getlist("origin")
        if origins and origins not in ([f"http://{hosts[0]}"], [f"https://{hosts[0]}"]):
            return "pages of other sites may not use this server: open its own page"
        opened = method == "GET" and path == "/" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not opened:
            return "pages of other sites may not use this server: open its own page"
        return None

    def is_ours(self, host: str) -> bool:
        name = (
            host.rpartition(":")[0]
            if host.rpartition(":")[2].isdecimal() and not host.endswith("]")
            else host
        )
        if name.lower() in self.names:
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return self.any_number or address.is_loopback
