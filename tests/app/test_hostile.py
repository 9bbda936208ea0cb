"""Good and hostile requests of every kind at once, in one server."""

from __future__ import annotations

import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from app.pages import Page, Served, png, waited
from images.nasty import JPEG, NASTY, bomb_png, saved

NUM_REQUESTS = 60

SCRIPT = (
    b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x0e\0\x02\0\0\0\x1b\0\0\0\x1a\0\0\0\0"
    b'<script>alert("x")</script>\0'
)
Request = Callable[[Page, int], int]


def sent(
    content: bytes, name: str = "a.png", expected: int = 201, kind: str = "image/png"
) -> Request:
    def request(page: Page, number: int) -> int:
        status, said = page.send(content, name, kind)
        assert status in (expected, 503), (name, status, said)
        assert status == 201 or len(said["error"].split()) > 3, said
        return status

    return request


def got(method: str, path: str, expected: int) -> Request:
    def request(page: Page, number: int) -> int:
        status, _, body = page.server.request(method, path)
        assert status == expected, (path, status)
        assert json.loads(body)["error"]
        return status

    return request


def broken_off(page: Page, number: int) -> int:
    """A connection that goes away in the middle of an upload."""
    with socket.create_connection(("127.0.0.1", page.server.port)) as connection:
        connection.sendall(page.upload_head(90_000) + bytes(50))
    return 0


def dawdling(page: Page, number: int) -> int:
    with socket.create_connection(("127.0.0.1", page.server.port)) as connection:
        connection.sendall(page.upload_head(90_000))
        connection.settimeout(30)
        status = int(connection.recv(100).split()[1])
    assert status in (408, 503)
    return status


def no_http(page: Page, number: int) -> int:
    with socket.create_connection(("127.0.0.1", page.server.port)) as connection:
        connection.settimeout(30)
        connection.sendall(random.Random(number).randbytes(300) + b"\r\n\r\n")
        try:
            return int((connection.recv(100) or b"x 0").split()[1])
        except ConnectionResetError:
            return 0


def many_headers(page: Page, number: int) -> int:
    with socket.create_connection(("127.0.0.1", page.server.port)) as connection:
        connection.settimeout(30)
        try:
            connection.sendall(b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 30_000)
            return int((connection.recv(100) or b"x 0").split()[1])
        except (ConnectionResetError, BrokenPipeError):
            return 0


@pytest.mark.slow
def test_requests_of_every_kind(serve: Callable[..., Served], tmp_path: Path) -> None:
    times = ("--lost-seconds", 1, "--silence-seconds", 2)
    sizes = ("--max-upload-mb", 2, "--max-megapixels", 1, "--max-photographs", 400)
    served = serve(tmp_path / "scratch", *times, *sizes)
    requests: list[Request] = []
    for number, nasty in enumerate(NASTY[::3]):
        path = tmp_path / f"{number}-{nasty.name}"
        nasty.make(path)
        content = path.read_bytes() if path.exists() else b""
        requests.append(
            sent(
                content,
                nasty.name,
                201 if 0 < len(content) <= 2_000_000 else 400 if not content else 413,
            )
        )
    traversals = (
        "../../../etc/passwd",
        "..%2f..%2fa.png",
        "/etc/shadow",
        "C:\\a.png",
        "a\r\nX: y.png",
        "<script>alert(1)</script>.png",
        5000 * "n" + ".png",
    )
    requests += [sent(png(12, 12), name) for name in traversals]
    requests += [
        sent(saved(Image.new("RGB", (20, 20)), "JPEG", exif=SCRIPT), "exif.jpg"),
        sent(bomb_png(50_000, 50_000), "bomb.png"),
    ]
    requests += [
        sent(png(1200, 1200), "too-many-pixels.png"),
        sent(bytes(2_100_000), "too-large.png", 413),
    ]
    kinds = (
        "text/html",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/json",
    )
    requests += [sent(JPEG, "a.jpg", 415, kind) for kind in kinds]
    requests += [
        got("GET", path, 404)
        for path in (
            "/jobs/x/result",
            "/jobs/../../etc/passwd/result",
            "/jobs/x/before/..%2f..%2finput",
            "/static/../site.py",
        )
    ]
    requests += [
        got("PUT", "/jobs", 405),
        got("DELETE", "/", 405),
        got("DELETE", "/jobs/nothing", 404),
        got("POST", "/jobs?session=stranger", 409),
    ]
    requests += [broken_off, dawdling, no_http, many_headers]
    while len(requests) < NUM_REQUESTS:
        requests.append(sent(png(16, 16, seed=len(requests)), f"good {len(requests)}.png"))
    random.Random(0).shuffle(requests)

    with served.page() as page:  # warm, so that memory before and after compare
        for number in range(10):
            page.reach(page.take(png(16, 16, seed=number)), "done")
    assert waited(lambda: not served.photographs())
    before = served.memory()

    statuses: Counter[int] = Counter()
    failures: list[BaseException] = []
    with served.page() as page:
        todo = iter(list(enumerate(requests)))

        def visitor() -> None:
            for number, request in todo:
                try:
                    statuses[request(page, number)] += 1
                except BaseException as error:
                    failures.append(error)

        threads = [threading.Thread(target=visitor) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures[0]
        ended = ("done", "failed")
        page.until(
            lambda: (
                len(page.state["jobs"]) == statuses[201]
                and all(job["state"] in ended for job in page.state["jobs"])
            ),
            120,
        )
        jobs = page.state["jobs"]
    assert sum(statuses.values()) == NUM_REQUESTS
    assert {201, 400, 404, 405, 408, 409, 413, 415} <= set(statuses), statuses
    for job in jobs:
        assert job["state"] == "done" or len(job["error"].split()) > 3, job
        assert str(tmp_path) not in json.dumps(job)
        assert "defect" not in job["error"], job
        assert "/" not in job["name"] and "\\" not in job["name"]
    good = [job for job in jobs if job["name"].startswith("good ")]
    assert len(good) > 15
    assert {job["state"] for job in good} == {"done"}
    assert waited(lambda: not served.photographs()), served.photographs()
    assert served.process.poll() is None
    assert served.request("GET", "/")[0] == 200
    assert served.memory() - before < 30_000_000
    code, said = served.end()
    assert (code, said) == (128 + 15, "")
    assert not list((tmp_path / "scratch").iterdir())
