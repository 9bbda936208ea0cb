"""The server: its socket, its private folder, and its end."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from ibsd.app.access import AccessControl
from ibsd.app.limits import ServerLimits
from ibsd.app.offered_weights import OfferedWeights
from ibsd.app.routes import create_application
from ibsd.images.errors import reason_of
from ibsd.types import InputError

PREFIX = "ibsd-serve-"
MAX_CONNECTIONS = 200


def serve(
    weights: Mapping[str, OfferedWeights],
    limits: ServerLimits,
    host: str,
    port: int,
    names: Iterable[str],
    on_ready: Callable[[str], None],
) -> None:
    """Serve the page until SIGINT or SIGTERM. Then nothing is left of any photograph.

    Args:
        weights: to choose from, by key.
        host, port: where to listen; port 0 takes a free one.
        names: the server's host names, besides localhost and numeric addresses.
        on_ready: called with the address once the server answers.

    Errors: InputError if it cannot listen.
    """
    with open_listener(host, port) as listener, private_folder() as home:
        application = create_application(home, weights, limits)
        address, bound_port = listener.getsockname()[:2]
        is_local = address in ("127.0.0.1", "::1")
        config = uvicorn.Config(
            AccessControl(application, names, any_address=not is_local),
            http=impatient_protocol(limits.silence_seconds),
            ws="none",
            lifespan="on",
            log_level="error",
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
        url = f"http://{f'[{host}]' if ':' in host else host}:{bound_port}/"
        server = Server(config, lambda: on_ready(url))
        asyncio.run(server.serve(sockets=[listener]))


class Server(uvicorn.Server):
    """Calls `on_ready` once it answers. Logs nothing at its end about the connections that it
    closes: open pages and uploads are no errors."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


def impatient_protocol(silence_seconds: float) -> type[H11Protocol]:
    """Uvicorn's protocol, but a connection is closed if the headers of a request are not complete
    in time. Uvicorn would wait for ever."""

    class ImpatientProtocol(H11Protocol):
        header_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.start_timer()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self.start_timer()

        def start_timer(self) -> None:
            if self.header_timer:
                self.header_timer.cancel()
            self.header_timer = self.loop.call_later(silence_seconds, self.close_if_silent)

        def close_if_silent(self) -> None:
            # Uvicorn declares no None, but there is no cycle before the first request.
            cycle: RequestResponseCycle | None = getattr(self, "cycle")  # noqa: B009
            if cycle is None or cycle.response_complete:
                self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            if self.header_timer:
                self.header_timer.cancel()
            super().connection_lost(exc)

    return ImpatientProtocol


@contextmanager
def open_listener(host: str, port: int) -> Generator[socket.socket]:
    """A bound socket. InputError if the host or the port cannot be used."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, number, _, address = addresses[0]
        listener = socket.socket(family, kind, number)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"--host is {host}, which is no address of this machine ({reason_of(error)}): "
            "leave it out for 127.0.0.1"
        ) from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise InputError(
                f"cannot listen on {host} port {port} ({error.strerror}): "
                "choose another --port, or 0 for a free one"
            ) from None
        yield listener


@contextmanager
def private_folder() -> Generator[Path]:
    """A folder that other users cannot read; it is removed at the end. The folders of servers that
    were killed are removed first."""
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name,
        open(Path(name) / ".new", "w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(lock.name, Path(name) / ".lock")  # held before another server can see it
        remove_abandoned(Path(name).parent)
        yield Path(name)


def remove_abandoned(folder: Path) -> None:
    """Remove the folders of servers that no longer run: nobody holds their lock."""
    for lock in folder.glob(f"{PREFIX}*/.lock"):
        # An OSError means another user's folder, or one that another server is removing.
        with suppress(OSError), open(lock) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
