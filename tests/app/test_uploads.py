"""Laws of uploads: names are only shown, and a result has a suffix that is offered."""

from __future__ import annotations

import pytest

from ibsd.app.uploads import plain_name, result_suffix


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
    assert result_suffix(name, wanted) == ending
