"""Pages of a registration: one of the run, and one of each scene with both pictures, what is left
between them, how far parts still lie apart, and what cannot be used."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from ibsd.images import to_eight_bits
from ibsd.registration.crops import Crops
from ibsd.registration.light import Image
from ibsd.registration.masks import Reason
from ibsd.registration.scene import Registered
from ibsd.reporting import html
from ibsd.reporting.html import Pixels
from ibsd.reporting.plots import Drawing, svg_line, svg_text
from ibsd.types import counted

WIDTH_PX = 840
REST_GAIN = 8
"""Differences are brightened by this factor."""
ARROW_GAIN_PX = 60
"""Length on the page of a shift of one LR pixel."""
SURE_PX = 0.15
"""Standard deviation in LR pixels up to which a part's shift is drawn."""
COLOURS: dict[Reason, tuple[int, int, int]] = {
    Reason.OUTSIDE: (120, 120, 120),
    Reason.MOVED: (214, 64, 48),
    Reason.UNALIGNED: (226, 140, 40),
    Reason.BLURRED: (64, 110, 214),
    Reason.SATURATED: (236, 214, 60),
    Reason.UNSURE: (150, 80, 190),
}
SCENE_COLUMNS = (
    "scene",
    "set",
    "pairs",
    "ratio",
    "corners, LR px",
    "left before",
    "after",
    "left out",
    "remark",
)
COLUMNS_ABOUT = (
    "Ratio: HR pixels for one LR pixel. Corners: standard deviation of the corners of the part "
    "that is used. Left: root mean square of LR less HR in levels of 255, with HR smoothed as LR "
    "is, under the match by features alone and after the fine registration. Left out: share of the "
    "common part."
)


def run_page(name: str, result: dict[str, Any], version: str) -> str:
    """The page of a run as text; `result` is its record, `name` the folder's."""
    scenes: list[dict[str, Any]] = result["scenes"]
    good = [scene for scene in scenes if not scene["refused"]]
    lead = (
        f"{counted(result['pairs'], 'pair')} at x{result['scale']} from "
        f"{len(good)} of {counted(len(scenes), 'scene')}."
    )
    links = "".join(
        f'<li><a href="scenes/{_address(scene["name"])}.html">{escape(scene["name"])}</a></li>'
        for scene in good
    )
    sections = [
        html.paragraph(result["matched"].capitalize() + "."),
        html.section(
            "Scenes", html.table(SCENE_COLUMNS, map(scene_row, good)), about=COLUMNS_ABOUT
        ),
        html.section("Pages", f"<ul>{links}</ul>" if links else ""),
        html.section(
            "Refused",
            html.table(
                ("scene", "why"),
                [(scene["name"], scene["refused"]) for scene in scenes if scene["refused"]],
                words=True,
            ),
        ),
    ]
    return html.page(name, "ibsd register", lead, sections, f"ibsd {version}")


def _address(name: str) -> str:
    """A file's name inside a link, where # and % have another meaning."""
    return quote(name, errors="surrogateescape")


def scene_row(scene: dict[str, Any]) -> list[str]:
    """The cells of a registered scene."""
    return [
        scene["name"],
        scene["split"],
        str(len(scene["crops"])),
        f"{scene['ratio']:.3f}",
        f"{scene['corner_px']:.3f}",
        *(f"{level:.1f}" for level in scene["rest"]),
        f"{1 - scene['shares'].get(Reason.GOOD.words, 0.0):.0%}",
        scene["remark"],
    ]


def scene_page(
    name: str,
    registered: Registered,
    lr: Image,
    hr: Image,
    crops: Crops,
    crop_px: int,
    version: str,
) -> str:
    """The page of a scene as text."""
    left, top, right, bottom = registered.box
    lr_picture = _shown(lr[top:bottom, left:right])
    pictures = {"LR": lr_picture, "HR, registered": registered.shown(hr, lr_picture.shape[:2])}
    before, after = registered.rest_levels()
    lead = (
        f"{right - left}x{bottom - top} LR pixels in common, "
        f"{counted(len(crops.places), 'pair')} of {crop_px} pixels cut from them."
    )
    figures = [
        ("ratio", f"{registered.ratio:.3f} for x{registered.scale}"),
        ("corners", f"known to {registered.corner_px:.3f} LR px"),
        ("left before, after", f"{before:.2f}, {after:.2f} levels"),
        ("matches", str(registered.num_matches)),
    ]
    shares = [(words, f"{share:.1%}") for words, share in registered.shares().items()]
    dropped = ", ".join(f"{why}: {number}" for why, number in crops.dropped.items())
    rests = (("before", registered.before.size), ("after", registered.after.size))
    caption = "Pull the line, or use the arrow keys: nothing but sharpness should change."
    sections = [
        html.definitions(figures),
        html.paragraph(registered.remark()) if registered.remark() else "",
        html.section("Both pictures", html.slider(pictures, caption, *pictures)),
        html.section(
            "What is left",
            html.figure_grid(
                html.figure(_rest_picture(rest), f"{when}, {REST_GAIN} times as bright")
                for when, rest in rests
            ),
            about="LR less HR with HR smoothed as LR is. Only what moved should be seen after.",
        ),
        html.section(
            "How far parts still lie apart",
            html.drawing(_arrows(registered), "Residual shift of each part that shows detail"),
        ),
        html.section(
            "What cannot be used",
            html.figure(_reasons_picture(lr_picture, registered.reasons), _legend()),
            html.table(("part", "share"), shares),
            html.paragraph(f"Crops left out. {dropped}.") if dropped else "",
        ),
    ]
    return html.page(name, "ibsd register", lead, sections, f"ibsd {version}")


def _shown(image: Image) -> Pixels:
    """At most `WIDTH_PX` wide, 8 bits; smaller ones are enlarged up to four times."""
    import cv2

    height, width = image.shape[:2]
    factor = min(WIDTH_PX / width, 4.0)
    size = (round(width * factor), round(height * factor))
    levels = np.ascontiguousarray(to_eight_bits(image))
    kind = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(levels, size, interpolation=kind), np.uint8)


def _rest_picture(rest: NDArray[np.float32]) -> Pixels:
    levels = np.clip(rest * 255 * REST_GAIN, 0, 255).astype(np.uint8)
    return _shown(levels[..., None].repeat(3, 2))


def _reasons_picture(picture: Pixels, reasons: NDArray[np.uint8]) -> Pixels:
    import cv2

    height, width = picture.shape[:2]
    shown = cv2.resize(reasons, (width, height), interpolation=cv2.INTER_NEAREST)
    result = picture.copy()
    for reason, colour in COLOURS.items():
        place = shown == reason
        result[place] = (0.4 * picture[place] + 0.6 * np.array(colour)).astype(np.uint8)
    return result


def _legend() -> str:
    names = ("grey", "red", "orange", "blue", "yellow", "violet")
    kinds = zip(names, COLOURS, strict=True)
    return ", ".join(f"{colour}: {reason.words}" for colour, reason in kinds)


def _arrows(registered: Registered) -> Drawing:
    """A line for each part from where it lies towards where it wants to be."""
    fit = registered.fit
    left, top, right, bottom = registered.box
    factor = WIDTH_PX / (right - left)
    height = round((bottom - top) * factor)
    lines: list[str] = []
    for index in np.flatnonzero(fit.tiles.spreads * fit.step < SURE_PX):
        x, y = fit.tiles.centres[index] * fit.step * factor
        across, down = fit.tiles.shifts[index] * fit.step * ARROW_GAIN_PX
        lines.append(svg_line((x, x + across), (y, y + down), "curve"))
    body = f'<g class="series-0">{"".join(lines)}</g>'
    scale = f"1 LR pixel is {ARROW_GAIN_PX} pixels long here"
    return Drawing(WIDTH_PX, height + 24, body + svg_text(0, height + 18, scale, kind="small soft"))
