"""Laws of access: only the server's own address, and only its own page."""

from __future__ import annotations

import pytest

from app.pages import Served


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
    answer, fields, _ = server.request(
        "GET",
        path,
        headers={name: value.format(port=server.port) for name, value in headers.items()},
    )
    assert answer == status
    assert fields["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in fields["content-security-policy"]
    assert "access-control-allow-origin" not in fields
