"""The page of `ibsd serve` as a person uses it, in Chromium."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.pages import Served, png, waited
from browser.conftest import DESKTOP, PHONE, Watched
from images.oracles import camera_notes, srgb_profile

pytestmark = pytest.mark.slow

OpenTab = Callable[..., Watched]


@pytest.fixture
def watched(server: Served, open_tab: OpenTab) -> Watched:
    opened = open_tab(server.url)
    opened.tab.wait_for_selector(".scales span")
    return opened


def photograph(width: int = 120, height: int = 80) -> bytes:
    memory = io.BytesIO()
    picture = Image.open(io.BytesIO(png(height, width)))
    picture.save(
        memory, "JPEG", quality=95, icc_profile=srgb_profile(), exif=camera_notes().tobytes()
    )
    return memory.getvalue()


def choose(watched: Watched, *files: tuple[str, bytes]) -> None:
    kinds = {"jpg": "image/jpeg", "png": "image/png", "gif": "image/gif"}
    watched.tab.set_input_files(
        "#files",
        [
            {"name": name, "mimeType": kinds.get(name[-3:], ""), "buffer": content}
            for name, content in files
        ],
    )


def pixels(screenshot: bytes) -> np.ndarray:
    return np.asarray(
        Image.open(io.BytesIO(screenshot)).convert("RGB").crop((80, 80, 200, 200)), dtype=float
    )


def states(watched: Watched) -> list[str]:
    return watched.tab.eval_on_selector_all(
        ".job", "cards => cards.map((card) => card.className.replace('job ', ''))"
    )


def test_from_upload_to_download(watched: Watched, server: Served, tmp_path: Path) -> None:
    tab = watched.tab
    tab.evaluate(
        """() => {
            window.seen = [];
            const look = () => {
                const card = document.querySelector(".job");
                const text = card &&
                    card.className + ": " + card.querySelector(".state").textContent;
                if (text && window.seen.at(-1) !== text) window.seen.push(text);
            };
            const all = { subtree: true, childList: true, characterData: true, attributes: true };
            new MutationObserver(look).observe(document.getElementById("jobs"), all);
        }"""
    )
    tab.click("text=3×")
    choose(watched, ("Sommer.jpg", photograph(700, 560)))
    tab.wait_for_selector(".job.done")
    seen = "\n".join(tab.evaluate("window.seen"))
    for part in ("job sending", "700 × 560 → 2100 × 1680", "tile", "job done"):
        assert part in seen, seen
    assert tab.text_content("#news") == "Sommer.jpg is done"

    tab.click(".open")
    before = tab.locator(".compare .before")
    tab.wait_for_function("() => document.querySelector('.compare .before').naturalWidth > 0")
    assert "50%" in before.evaluate("image => getComputedStyle(image).clipPath")
    tab.locator(".compare input").focus()
    for _ in range(20):
        tab.keyboard.press("ArrowRight")
    moved = before.evaluate("image => getComputedStyle(image).clipPath")
    assert "40%" in moved, moved
    place = tab.locator(".compare").bounding_box()
    tab.mouse.click(place["x"] + 0.2 * place["width"], place["y"] + 30)
    assert before.evaluate("image => getComputedStyle(image).clipPath") != moved

    tab.click(".loupe-on")
    tab.locator(".compare").hover()
    tab.wait_for_timeout(500)
    there = pixels(tab.locator(".loupe").screenshot())
    assert there.std() > 20, "the loupe is blank"
    tab.locator(".loupe").focus()
    for _ in range(5):
        tab.keyboard.press("ArrowDown")
    assert abs(pixels(tab.locator(".loupe").screenshot()) - there).mean() > 5

    with tab.expect_download() as download:
        tab.click(".download")
    assert download.value.suggested_filename == "Sommer_tiny-x3.jpg"
    download.value.save_as(tmp_path / "result.jpg")
    with Image.open(tmp_path / "result.jpg") as result:
        result.load()
        assert result.size == (2100, 1680)
        assert result.info["icc_profile"] == srgb_profile()
        assert result.getexif()[271] == camera_notes()[271]
    assert watched.complaints == []
    assert watched.beyond(server.url) == []
    tab.click(".remove")
    assert waited(lambda: not server.photographs())


def test_cancel_and_bad_and_too_large(watched: Watched, server: Served) -> None:
    tab = watched.tab
    tab.uncheck("#part")
    choose(
        watched,
        ("long.png", png(2200, 2200)),
        ("<b>bad</b>.jpg", b"no picture"),
        ("huge.png", bytes(6_100_000)),
    )
    tab.wait_for_function("() => document.querySelectorAll('.job.failed').length === 2")
    text = tab.text_content("#jobs")
    assert "<b>bad</b>.jpg" in text
    assert "The file is not an image that can be read" in text
    assert "The file has 6.1 MB, and this server takes 6.0 MB: make it smaller." in text
    tab.wait_for_function(
        "() => /tile [1-9]/.test(document.querySelector('.job.working .state')?.textContent)"
    )
    tab.click(".job.working .cancel")
    tab.wait_for_selector(".job.cancelled")
    assert states(watched) == ["cancelled", "failed", "failed"]
    tab.evaluate(
        "document.querySelector('#weights').append(new Option('gone', 'gone', true, true))"
    )
    tab.click(".job.cancelled .again")
    tab.evaluate("document.querySelector('#weights').lastChild.remove()")
    choose(watched, ("after.png", png(20, 20)))
    tab.wait_for_selector(".job.done")
    assert "These weights are not offered here" in tab.inner_text("#trouble")
    for _ in range(4):
        tab.locator(".remove").first.click()
    tab.wait_for_function("() => !document.querySelector('.job')")
    assert waited(lambda: not server.photographs())
    complaints = [line for line in watched.complaints if "500" in line or "defect" in line]
    assert complaints == []


def test_a_part_first_by_keyboard_on_a_phone_in_the_dark(server: Served, open_tab: OpenTab) -> None:
    watched = open_tab(server.url, PHONE, color_scheme="dark")
    tab = watched.tab
    tab.wait_for_selector(".scales span")
    choose(watched, ("large.png", png(2000, 1000)))
    tab.wait_for_selector(".job.asking")
    assert "This is a part; all of it takes about" in tab.text_content(".job .state")
    after = tab.locator(".trial .after")
    tab.wait_for_function("() => document.querySelector('.trial .after').naturalWidth > 200")
    first = after.get_attribute("src")
    assert_fits(tab)
    assert_accessible(tab)
    tab.locator(".map").focus()
    for _ in range(20):
        tab.keyboard.press("ArrowUp")
    assert tab.eval_on_selector(".box", "box => box.style.top") == "0%"
    tab.keyboard.press("Enter")
    tab.wait_for_function(
        f"() => document.querySelector('.trial .after').src.slice(-40) !== {first[-40:]!r}"
    )
    tab.wait_for_selector(".job.asking")
    tab.locator(".whole").focus()
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".job.working")
    assert not tab.is_visible(".trial")
    assert tab.evaluate("document.activeElement.className") == "cancel"
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".job.cancelled")
    assert tab.evaluate("document.activeElement.className") == "again"
    tab.uncheck("#part")
    tab.keyboard.press("Tab")
    tab.locator(".again").focus()
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".job.working")
    assert watched.complaints == []


def test_ten_in_a_row(watched: Watched) -> None:
    choose(watched, *((f"{number}.png", png(30, 40, number)) for number in range(10)))
    watched.tab.wait_for_function("() => document.querySelectorAll('.job.done').length === 10")
    assert len(watched.tab.query_selector_all(".job")) == 10
    names = watched.tab.eval_on_selector_all(
        ".job .download", "links => links.map((link) => link.download)"
    )
    assert sorted(names) == [f"{number}_tiny-x3.png" for number in range(10)]
    watched.tab.reload()
    watched.tab.wait_for_function("() => document.querySelectorAll('.job.done').length === 10")
    assert watched.complaints == []


def test_dropped_files_are_taken(watched: Watched) -> None:
    watched.tab.evaluate(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png"
            })); document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable:
            true, dataTransfer: transfer }));
        }""",
        list(png(20, 20)),
    )
    watched.tab.wait_for_selector(".job.done")
    assert watched.tab.text_content(".job .name") == "dropped.png"


def test_first_paint(server: Served, open_tab: OpenTab) -> None:
    tab = open_tab(server.url).tab
    paints = []
    for _ in range(5):
        tab.reload()
        tab.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length")
        paints.append(
            tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        )
    assert min(paints) < 500, paints


@pytest.fixture(scope="module")
def shipped(serve: Callable[..., Served], tmp_path_factory: pytest.TempPathFactory) -> Served:
    return serve(tmp_path_factory.mktemp("shipped"), "--weights", "imdn-safe-x4")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everything_fits_and_has_a_name_and_the_look_moves_by_keyboard(
    shipped: Served, open_tab: OpenTab, viewport: dict[str, int]
) -> None:
    watched = open_tab(shipped.url, viewport)
    watched.tab.wait_for_selector(".scales span")
    choose(
        watched,
        ("a-very-long-name-that-goes-on-and-on-and-does-not-want-to-end-anywhere.png", png(40, 60)),
        ("bad.png", b"no"),
    )
    watched.tab.wait_for_selector(".job.done")
    watched.tab.click(".job.done .open")
    watched.tab.wait_for_selector(".job.failed")
    assert_fits(watched.tab)
    assert_accessible(watched.tab)
    watched.tab.click("text=2×")
    assert not watched.tab.is_visible("#look")
    watched.tab.click("text=4×")
    inside = "label => label.scrollWidth <= label.clientWidth"
    assert watched.tab.eval_on_selector("#looks", inside)
    watched.tab.locator("#look").focus()
    for _ in range(4):
        watched.tab.keyboard.press("ArrowRight")
    assert watched.tab.get_attribute("#look", "aria-valuetext") == "40% crisp"
    watched.tab.click(".job.done .again")
    watched.tab.wait_for_selector(".job.done >> nth=1")
    names = watched.tab.eval_on_selector_all(
        ".job.done .download", "links => links.map((link) => link.download)"
    )
    assert [name.rpartition("_")[2] for name in names] == ["imdn-safe-x4.png", "look0.4.png"]
    assert "imdn-safe-x4, 40% crisp" in watched.tab.text_content(".job.done >> nth=1")


def assert_fits(tab: Any) -> None:
    """Nothing is wider than the window."""
    assert tab.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


def assert_accessible(tab: Any) -> None:
    """One first heading, a language, names for all that can be used, texts for all pictures, and
    buttons that a finger hits."""
    assert tab.evaluate("document.documentElement.lang") == "en"
    assert tab.locator("h1").count() == 1
    nameless = tab.evaluate(
        """() => [
            ...document.querySelectorAll(
                "button, a[href], input, select, [role=img], summary"
            )
        ].filter(
            (part) =>
                part.offsetParent &&
                !(part.getAttribute("aria-label") || part.textContent.trim() ||
                    part.labels?.length || part.title)
        ).map((part) => part.outerHTML)"""
    )
    assert nameless == []
    without_text = tab.evaluate(
        """[...document.images].filter(
            (image) => image.offsetParent && image.getAttribute("alt") === null
        ).length"""
    )
    assert without_text == 0
    small = tab.evaluate(
        """[...document.querySelectorAll("button")].filter(
            (button) => button.offsetParent && button.offsetHeight < 40
        ).length"""
    )
    assert small == 0
    assert contrast(tab, ".lead") >= 4.5


def contrast(tab: Any, selector: str) -> float:
    """Of a text to the page's ground, by WCAG's formula."""
    colours = tab.evaluate(
        """selector => [
            getComputedStyle(document.querySelector(selector)).color,
            getComputedStyle(document.body).backgroundColor
        ]""",
        selector,
    )
    levels = []
    for colour in colours:
        parts = (
            np.array([float(part) for part in colour.partition("(")[2].rstrip(")").split(",")[:3]])
            / 255
        )
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        levels.append(float(linear @ (0.2126, 0.7152, 0.0722)))
    return (max(levels) + 0.05) / (min(levels) + 0.05)


def test_a_folder_that_is_dropped_gives_its_photographs(watched: Watched) -> None:
    """Chromium gives a folder as an entry whose children are read some at a time."""
    watched.tab.evaluate(
        """(bytes) => {
            const file = (name) => ({ isFile: true, name, file: (resolve) =>
                resolve(new File([new Uint8Array(bytes)], name, { type: "image/png" })) });
            const folder = (name, ...parts) => ({ isDirectory: true, name, createReader: () =>
                ({ readEntries: (resolve) => resolve(parts.shift() ?? []) }) });
            const dropped = [
                folder("holiday", [file("a.png"), file("notes.txt")],
                    [file(".hidden.png"), folder("deep", [file("b.png")])]),
                folder("nothing"),
            ];
            const event = new Event("drop", { cancelable: true });
            event.dataTransfer = {
                items: dropped.map((entry) => ({ webkitGetAsEntry: () => entry })),
                files: dropped.map((entry) => new File([], entry.name)),
            };
            document.dispatchEvent(event);
        }""",
        list(png(8, 8)),
    )
    watched.tab.wait_for_selector(".job.done >> nth=1")
    watched.tab.wait_for_selector(".job.failed")
    assert sorted(states(watched)) == ["done", "done", "failed"]
    text = watched.tab.inner_text("#jobs")
    assert "a.png" in text
    assert "b.png" in text
    assert "The folder holds no photographs." in text
    assert "notes" not in text
