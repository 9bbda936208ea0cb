"""The page of `ibsd export --format web` as a visitor uses it, in Chromium, from a static server
that sends no headers of its own."""

from __future__ import annotations

import http.server
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ibsd
from browser.conftest import PHONE, Watched
from browser.test_serve_page import assert_accessible, assert_fits, choose, contrast
from ibsd.data.samples import sample
from ibsd.export.web import shipped_site
from ibsd.inference.parity import psnr_db
from ibsd.weights import weights_file

pytestmark = pytest.mark.slow

OpenTab = Callable[..., Watched]
WEIGHTS = "imdn-small-x4"
SOFTWARE = "async () => (await navigator.gpu?.requestAdapter())?.info?.isFallbackAdapter ?? true"
READY = "() => document.querySelector('#state').textContent.startsWith('Ready')"


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a server of the folder, and the paths that were asked for."""
    paths: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            paths.append(self.path)

    handler = partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", paths
        server.shutdown()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the page, deep in a host."""
    folder = tmp_path_factory.mktemp("host")
    assert shipped_site(WEIGHTS, folder / "deep down/site", force=False)
    with serving(folder) as (address, _):
        yield f"{address}deep%20down/site/"


def as_png(pixels: np.ndarray) -> bytes:
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "PNG")
    return memory.getvalue()


def downloaded(tab: Any, name: str, weights: str = WEIGHTS) -> np.ndarray:
    with tab.expect_download() as download:
        tab.click(f"[aria-label='Download {name}']")
    assert download.value.suggested_filename == f"{Path(name).stem}_{weights}.png"
    with Image.open(download.value.path()) as result:
        return np.asarray(result).astype(np.float64) / 255


def upscaled(pixels: np.ndarray) -> np.ndarray:
    """By torch, tile by tile."""
    student = ibsd.load_student(weights_file(WEIGHTS)).eval()
    return np.asarray(ibsd.upscale(pixels, student)).astype(np.float64) / 255


def test_it_gives_the_pixels_of_ibsd_upscale(address: str, open_tab: OpenTab) -> None:
    wide = sample("coffee")[180:204, 100:370]  # two tiles, which are blended
    clear = np.dstack((sample("chelsea")[60:90, 100:140], np.full((30, 40), 255, np.uint8)))
    clear[5:15, 8:20, 3] = 0
    clear[18:24, 20:36, 3] = 128
    grey = sample("dogs")[100:124, 100:107, 1]  # narrower than what the network gets
    watched = open_tab(address)
    tab = watched.tab
    tab.wait_for_function(READY)
    assert tab.evaluate("crossOriginIsolated"), "the service worker adds the headers"
    tall = np.ascontiguousarray(wide.transpose(1, 0, 2))
    pictures = {"wide.png": wide, "tall.png": tall, "clear.png": clear, "grey.png": grey}
    choose(
        watched,
        *((name, as_png(pixels)) for name, pixels in pictures.items()),
        ("<b>no</b>.png", b"no picture"),
    )
    tab.wait_for_function("() => document.querySelectorAll('.job.done').length === 4")
    tab.wait_for_selector(".job.failed")
    assert "<b>no</b>.png" in tab.text_content("#jobs")
    assert tab.workers[0].evaluate(SOFTWARE), "which is not taken"
    assert "threads" in tab.text_content("#state")
    assert not any("gpu" in address for address in watched.addresses)
    for name, pixels in pictures.items():
        sr, expected = downloaded(tab, name), upscaled(pixels)
        assert sr.shape == expected.shape, name
        if name == "clear.png":
            assert psnr_db(sr[..., 3], expected[..., 3]) > 50
            sr, expected = sr[..., :3] * sr[..., 3:], expected[..., :3] * expected[..., 3:]
        assert psnr_db(sr, expected) > 50, name
    choose(watched, ("grey.png", as_png(grey)))
    tab.wait_for_function("() => document.querySelectorAll('.job.done').length === 5")
    with tab.expect_download() as download:
        tab.click("#all button")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(
            [f"{Path(name).stem}_{WEIGHTS}.png" for name in pictures] + [f"grey_{WEIGHTS}-2.png"]
        )
        with Image.open(io.BytesIO(archive.read(f"grey_{WEIGHTS}-2.png"))) as again:
            assert np.array_equal(np.asarray(again) / 255, sr)
    assert watched.complaints == []
    assert watched.beyond(address) == []


def test_on_a_phone_in_the_dark_by_keyboard_and_offline(address: str, open_tab: OpenTab) -> None:
    watched = open_tab(address, PHONE, color_scheme="dark")
    tab = watched.tab
    tab.wait_for_function(READY)
    tab.context.set_offline(True)
    tab.reload()
    tab.wait_for_function(READY)
    tall = Image.fromarray(sample("table")[:40, :24])
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    tall.rotate(90, expand=True).save(turned, "JPEG", quality=97, exif=exif)
    choose(watched, ("turned.jpg", turned.getvalue()), ("long.png", as_png(sample("brushes"))))
    tab.wait_for_selector(".job.working .name:text('long.png')")
    assert tab.evaluate("document.activeElement.className") == "cancel"
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".job.cancelled")
    result = downloaded(tab, "turned.jpg")
    assert psnr_db(result, upscaled(np.asarray(tall))) > 30  # through a JPEG
    moving = io.BytesIO()
    white, black = (Image.new("L", (40, 40), grey) for grey in (255, 0))
    white.save(moving, "WEBP", save_all=True, append_images=[black], duration=20, loop=1)
    choose(watched, ("moving.webp", moving.getvalue()))  # ends black
    tab.wait_for_selector("[aria-label='Compare moving.webp']:visible")
    assert "first picture" in tab.locator(".job .what .state").last.text_content()
    assert "first picture" not in tab.locator(".job .what .state").first.text_content()
    thumb = Image.open(io.BytesIO(tab.locator(".thumb img").last.screenshot()))
    assert np.median(np.asarray(thumb)) > 250, "as the result, the first frame"
    tab.locator("[aria-label='Compare turned.jpg']").focus()
    tab.keyboard.press("Enter")
    tab.locator(".compare input").focus()
    tab.keyboard.press("End")
    assert "0%" in tab.eval_on_selector(".before", "image => getComputedStyle(image).clipPath")
    tab.locator(".size-on").focus()
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.className") == "frame whole"
    tab.locator("summary").focus()
    tab.keyboard.press("Enter")
    assert "MIT" in tab.text_content("#facts")
    assert_fits(tab)
    assert_accessible(tab)
    for text in (".lead", "#state", ".name", "dt"):
        assert contrast(tab, text) >= 4.5, text
    assert watched.complaints == []
    tab.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), "
        "{ textContent: 'window.ran = true' }))"
    )
    assert tab.evaluate("window.ran") is None
