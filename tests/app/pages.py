"""`ibsd serve` as a real process, and a page of it that speaks plain HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from PIL import Image

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def run_apart(work: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run` in a thread of its own: a browser's test may leave its loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


class Served:
    """A server's process.

    Args:
        scratch: an empty folder that it takes for the system's temporary one, so that what it
            leaves behind shows.
    """

    def __init__(self, scratch: Path, *arguments: object) -> None:
        self.scratch = scratch
        scratch.mkdir(exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "ibsd",
            "serve",
            "--port",
            "0",
            "--json",
            *map(str, arguments),
        ]
        environment = ENVIRONMENT | {"TMPDIR": str(scratch)}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        self.url: str = json.loads(line)["url"]
        self.port = int(self.url.rstrip("/").rpartition(":")[2])

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """(status, headers in lower case, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return (
                answer.status,
                {name.lower(): value for name, value in answer.getheaders()},
                answer.read(),
            )
        finally:
            connection.close()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """(exit code, what it said on stderr)."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said

    def memory(self) -> int:
        """Resident bytes of the server itself."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(number) for number in children.split()]

    def photographs(self) -> list[Path]:
        """Files that it holds now."""
        return [
            Path(folder) / name
            for folder, _, names in os.walk(self.scratch)
            for name in names
            if name != ".lock"
        ]

    @contextmanager
    def page(self, session: str | None = None) -> Iterator[Page]:
        page = Page(self, session or secrets.token_hex(16))
        try:
            yield page
        finally:
            page.close()


class Page:
    """What a browser does: listens to the news, and sends photographs."""

    def __init__(self, server: Served, session: str) -> None:
        self.server, self.session = server, session
        self.state: dict[str, Any] = {}
        self.arrived = threading.Condition()
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.connection.request("GET", f"/events?session={self.session}")
        self.stream = self.connection.getresponse()
        assert self.stream.status == 200
        threading.Thread(target=self._listen, daemon=True).start()
        self.until(lambda: bool(self.state.get("weights")))

    def _listen(self) -> None:
        try:
            while line := self.stream.readline():
                if line.startswith(b"data: "):
                    with self.arrived:
                        self.state = json.loads(line[6:])
                        self.arrived.notify_all()
        except (OSError, ValueError, AttributeError):
            pass

    def until(self, so: Callable[[], object], seconds: float = 90) -> None:
        with self.arrived:
            assert self.arrived.wait_for(so, seconds), self.state

    def close(self) -> None:
        if self.connection.sock:
            self.connection.sock.shutdown(2)
        self.connection.close()

    def address(self, name: str, weights: str = "0", **options: str) -> str:
        return "/jobs?" + urlencode(
            {"session": self.session, "name": name, "weights": weights} | options
        )

    def upload_head(self, num_bytes: int) -> bytes:
        """The head of a request that announces so many bytes of a PNG."""
        lines = (
            f"POST {self.address('a.png')} HTTP/1.1",
            f"Host: 127.0.0.1:{self.server.port}",
            "Content-Type: image/png",
            f"Content-Length: {num_bytes}",
        )
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode()

    def send(
        self, content: Any, name: str = "a.png", kind: str = "image/png", **options: str
    ) -> tuple[int, dict[str, Any]]:
        """(status, what the server says)."""
        status, _, body = self.server.request(
            "POST", self.address(name, **options), content, {"Content-Type": kind}
        )
        return status, json.loads(body)

    def take(self, content: Any, name: str = "a.png", **options: str) -> str:
        """The key of a photograph that the server takes."""
        status, said = self.send(content, name, **options)
        assert status == 201, said
        return said["key"]

    def job(self, key: str) -> dict[str, Any]:
        return next((job for job in self.state.get("jobs", []) if job["key"] == key), {})

    def reach(self, key: str, *states: str) -> dict[str, Any]:
        """The job, once it is in one of these states."""
        self.until(lambda: self.job(key).get("state") in states)
        return self.job(key)


def png(height: int, width: int, seed: int = 0, **options: Any) -> bytes:
    memory = BytesIO()
    coarse = np.random.default_rng(seed).integers(
        0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8
    )
    Image.fromarray(coarse.repeat(8, 0).repeat(8, 1)[:height, :width]).save(
        memory, "PNG", compress_level=1, **options
    )
    return memory.getvalue()


def waited(so: Callable[[], object], seconds: float = 30) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + seconds
    while not so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
