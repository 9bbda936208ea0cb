"""Access: only requests to this server's own address, from its own page.

A page of another site that runs in the same browser can send requests to 127.0.0.1. It is told
apart by headers that browsers set and scripts cannot change: Host, Origin and Sec-Fetch-Site. Host
guards against DNS rebinding, where a name of the other site resolves to this machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RESPONSE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

OTHER_SITE = "pages of other sites may not use this server: open its own page"


class AccessControl:
    """An ASGI application in front of another one.

    Args:
        names: the server's host names, besides localhost and numeric addresses.
        any_address: accept every numeric address as the server's own, for one that other machines
            reach; otherwise loopback only.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = (), any_address: bool = False) -> None:
        self.app = app
        self.names = {name.lower() for name in names} | {"localhost"}
        self.any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in RESPONSE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self.refusal(scope["method"], scope["path"], Headers(scope=scope))
        if refusal:
            await PlainTextResponse(refusal + "\n", 403)(scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)

    def refusal(self, method: str, path: str, headers: Headers) -> str | None:
        """Why a request is refused, in a sentence; None if it is let in."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.is_ours(hosts[0]):
            return (
                "this server answers only under its own address: "
                "open the one that ibsd serve printed, or name this one with --name"
            )
        origins = headers.getlist("origin")
        if origins and origins not in ([f"http://{hosts[0]}"], [f"https://{hosts[0]}"]):
            return OTHER_SITE
        # A link on another site may open the page itself.
        is_link = method == "GET" and path == "/" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not is_link:
            return OTHER_SITE
        return None

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names this server."""
        before_colon, _, port = host.rpartition(":")
        name = before_colon if port.isdecimal() and not host.endswith("]") else host
        if name.lower() in self.names:
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return self.any_address or address.is_loopback
