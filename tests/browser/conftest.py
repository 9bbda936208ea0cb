"""A real Chromium, Debian's; without it these tests are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.conftest import serve, server, weights  # noqa: F401  # fixtures

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
FORBIDDEN = "http://*/**", "https://*/**"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        gpu = ("--disable-gpu", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *gpu])
        yield browser
        browser.close()


class Watched:
    """A tab, and all that it complained of or asked for."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        tab.on(
            "console",
            lambda message: (
                self.complaints.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        )
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.addresses.append(request.url))

    def beyond(self, *own: str) -> list[str]:
        """Requests that went anywhere else."""
        return [
            address
            for address in self.addresses
            if not address.startswith((*own, "data:", "blob:"))
        ]


@pytest.fixture
def open_tab(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """`open_tab(address, viewport, color_scheme=...)`."""
    contexts = []

    def open_one(address: str, viewport: dict[str, int] | None = None, **options: Any) -> Watched:
        contexts.append(browser.new_context(viewport=viewport or DESKTOP, **options))
        watched = Watched(contexts[-1].new_page())
        watched.tab.set_default_timeout(90_000)
        watched.tab.goto(address)
        return watched

    yield open_one
    for context in contexts:
        context.close()
