"""Running the server: its socket, its private folder, and its end."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ibsd.app.access import Doorkeeper
from ibsd.app.limits import Limits
from ibsd.app.routes import create_site
from ibsd.app.weights import Choice
from ibsd.types import InputError

PREFIX = "ibsd-serve-"
MOST_CONNECTIONS = 200


def serve(
    choices: Mapping[str, Choice],
    limits: Limits,
    host: str,
    port: int,
    names: Iterable[str],
    on_ready: Callable[[str], None],
) -> None:
    """Answers until SIGINT or SIGTERM; then nothing is left of any photograph.

    Args:
        host, port: where to listen; port 0 takes a free one.
        names: what the server is called in addresses, besides localhost and numbers.
        on_ready: takes the address once it answers.

    Errors: InputError where it cannot listen.
    """
    with listening(host, port) as listener, private_folder() as home:
        site = create_site(home, choices, limits)
        local = listener.getsockname()[0] in ("127.0.0.1", "::1")
        config = uvicorn.Config(
            Doorkeeper(site, names, any_number=not local),
            http=protocol(limits.silence_seconds),
            ws="none",
            lifespan="on",
            log_level="error",
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
        shown = f"[{host}]" if ":" in host else host
        server = Server(config, lambda: on_ready(f"http://{shown}:{listener.getsockname()[1]}/"))
        asyncio.run(server.serve(sockets=[listener]))


class Server(uvicorn.Server):
    """Says when it answers, and nothing of what its end breaks off: open pages listen for ever, and
    uploads may be on their way."""

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


def protocol(silence_seconds: float) -> type[H11Protocol]:
    """Uvicorn's, which waits for ever for the end of a request's headers, with an end to its
    patience."""

    class Impatient(H11Protocol):
        patience: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.be_patient()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self.be_patient()

        def be_patient(self) -> None:
            if self.patience:
                self.patience.cancel()
            self.patience = self.loop.call_later(silence_seconds, self.lose_patience)

        def lose_patience(self) -> None:
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            if self.patience:
                self.patience.cancel()
            super().connection_lost(exc)

    return Impatient


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket. InputError where it cannot be had."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[
            0
        ]
        listener = socket.socket(family, kind, number)
    except OSError as error:
        raise InputError(
            f"--host is {host}, which is no address of this machine ({error.strerror}): leave it out for 127.0.0.1"
        ) from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise InputError(
                f"cannot listen on {host} port {port} ({error.strerror}): choose another --port, or 0 for a free one"
            ) from None
        yield listener


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that nobody else may look into, gone at the end; those of servers that were killed
    are removed at the start of the next."""
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name,
        open(Path(name) / ".lock", "w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_abandoned(Path(name).parent)
        yield Path(name)


def remove_abandoned(folder: Path) -> None:
    """Folders of ours whose lock nobody holds."""
    for lock in folder.glob(f"{PREFIX}*/.lock"):
        with (
            suppress(OSError),
            open(lock) as file,
        ):  # someone else's, or being removed by another server
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
