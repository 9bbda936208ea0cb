"""Two hundred requests of mixed good and hostile input, and who is let in at all."""

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
from ibsd.app.routes import plain_name, result_ending
from images.nasty import JPEG, NASTY, bomb_png, saved

OWN = {"host": "127.0.0.1:8000"}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 200),
        ("/", {"Host": "localhost:{port}"}, 200),
        ("/", {"Host": "[::1]:{port}"}, 200),
        ("/", {"Host": "rebound.example:{port}"}, 403),
        ("/", {"Host": "127.0.0.1.rebound.example"}, 403),
        ("/", {"Host": "localhost.rebound.example:{port}"}, 403),
        ("/", {"Host": "192.168.0.1:{port}"}, 403),
        ("/", {"Host": "rebound.example", "X-Forwarded-Host": "localhost"}, 403),
        ("/", {"Origin": "http://127.0.0.1:{port}"}, 200),
        ("/", {"Origin": "http://other.example"}, 403),
        ("/", {"Origin": "null"}, 403),
        ("/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ("/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ("/page.js", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        (
            "/events?session=" + 32 * "a",
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
            403,
        ),
        ("/events?session=short", {}, 400),
        ("/../../etc/passwd", {}, 404),
        ("/%2e%2e/%2e%2e/etc/passwd", {}, 404),
    ],
)
def test_who_is_let_in(server: Served, path: str, headers: dict[str, str], status: int) -> None:
    found, said, _ = server.request(
        "GET",
        path,
        headers={name: value.format(port=server.port) for name, value in headers.items()},
    )
    assert found == status
    assert said["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in said["content-security-policy"]
    assert "access-control-allow-origin" not in said


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.png", "a.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\win.ini.jpg", "win.ini.jpg"),
        ("..", "photograph"),
        ("", "photograph"),
        ("a\r\nSet-Cookie: x=1.png", "aSet-Cookie: x=1.png"),
        ("nul\0l.png", "null.png"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
        ("Zoe\u0308.jpg", "Zo\u00eb.jpg"),
        (300 * "a" + ".jpeg", 114 * "a" + ".jpeg"),
        (300 * "a", 120 * "a"),
    ],
)
def test_names_are_only_shown(name: str, plain: str) -> None:
    assert plain_name(name) == plain


@pytest.mark.parametrize(
    ("name", "wanted", "ending"),
    [
        ("a.JPG", "", ".jpg"),
        ("a.jpeg", "", ".jpg"),
        ("a.tif", "", ".tiff"),
        ("a.heic", "", ".jpg"),
        ("a.exe", "", ".png"),
        ("a", "", ".png"),
        ("a.png", "webp", ".webp"),
    ],
)
def test_what_a_result_is_called(name: str, wanted: str, ending: str) -> None:
    assert result_ending(name, wanted) == ending


SCRIPT = b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x0e\0\x02\0\0\0\x1b\0\0\0\x1a\0\0\0\0<script>alert("x")</script>\0'
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
        head = f"POST {page.address('a.png')} HTTP/1.1\r\nHost: 127.0.0.1:{page.server.port}\r\nContent-Length: 90000\r\n\r\n"
        connection.sendall(head.encode() + bytes(50))
    return 0


def dawdling(page: Page, number: int) -> int:
    with socket.create_connection(("127.0.0.1", page.server.port)) as connection:
        head = f"POST {page.address('a.png')} HTTP/1.1\r\nHost: 127.0.0.1:{page.server.port}\r\nContent-Length: 90000\r\n\r\n"
        connection.sendall(head.encode())
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
def test_two_hundred_requests_of_every_kind(serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve(tmp_path / "scratch", "--lost-seconds", 1, "--silence-seconds", 2, "--max-upload-mb", 2, "--max-megapixels", 1,
        "--max-photographs", 400,
    )  # fmt: skip
    requests: list[Request] = []
    for number, nasty in enumerate(NASTY):
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
    while len(requests) < 200:
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
                len(page.told["jobs"]) == statuses[201]
                and all(job["state"] in ended for job in page.told["jobs"])
            ),
            120,
        )
        jobs = page.told["jobs"]
    assert sum(statuses.values()) == 200
    assert {201, 400, 404, 405, 408, 409, 413, 415} <= set(statuses), statuses
    for job in jobs:
        assert job["state"] == "done" or len(job["error"].split()) > 3, job
        assert str(tmp_path) not in json.dumps(job)
        assert "defect" not in job["error"], job
        assert "/" not in job["name"] and "\\" not in job["name"]
    good = [job for job in jobs if job["name"].startswith("good ")]
    assert len(good) > 100
    assert {job["state"] for job in good} == {"done"}
    assert waited(lambda: not served.photographs()), served.photographs()
    assert served.process.poll() is None
    assert served.request("GET", "/")[0] == 200
    assert served.memory() - before < 30_000_000
    code, said = served.end()
    assert (code, said) == (128 + 15, "")
    assert not list((tmp_path / "scratch").iterdir())
