"""Pieces of a page that needs nothing but itself: no network, no file beside it, readable on a
phone, in light and in dark.

Every function returns HTML; text that comes from outside is escaped here and nowhere else.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ibsd.reporting.plots import PLOT_STYLE, Drawing

Pixels = NDArray[np.uint8]
"""[H, W, 3]"""

STYLE = Path(__file__).with_name("page.css")
SCRIPT = Path(__file__).with_name("slider.js")

SCROLL = (
    '<div class="scroll" tabindex="0" role="group" '
    'aria-label="Scrolls where it is wider than the page">'
)
"""Begins what may be wider than the page: it scrolls by itself, by keyboard too."""

LEAST = 0.7
MOST = 1.35
"""Limits of a drawing's width, as shares of its own. A narrower place scrolls."""

MANY_COLUMNS = 9
"""A table of more is printed smaller."""

NAV_FROM = 5
"""Sections from which on a page begins with a list of them."""


def page(title: str, kicker: str, lead: str, sections: Iterable[str], footer: str = "") -> str:
    """The whole document: a small line, the title and a leading sentence above the sections. Empty
    sections are left out."""
    body = "\n".join(section for section in sections if section)
    style = "".join(file.read_text(encoding="utf-8") for file in (STYLE, PLOT_STYLE))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
<header>
<p class="kicker">{escape(kicker)}</p><h1>{escape(title)}</h1>
<p class="lead">{escape(lead)}</p>{contents(body)}
</header>
{body}
</main>
<footer>{escape(footer)}</footer>
<script>
{SCRIPT.read_text(encoding="utf-8")}</script>
</body>
</html>
"""


def contents(body: str) -> str:
    """Links to the sections of a long page."""
    titles = re.findall(r'<section id="([^"]+)"><h2>(.*?)</h2>', body)
    if len(titles) < NAV_FROM:
        return ""
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in titles)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def section(title: str, *parts: str, about: str = "") -> str:
    """A part of the page under a heading; "" when it would be empty."""
    if not any(parts):
        return ""
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "part"
    lead = paragraph(about, "about") if about else ""
    return f'<section id="{name}"><h2>{escape(title)}</h2>{lead}{"".join(parts)}</section>'


def part(title: str, *inside: str, about: str = "") -> str:
    """A part of a section; "" when it would be empty."""
    if not any(inside):
        return ""
    lead = paragraph(about, "about") if about else ""
    return f'<div class="part"><h3>{escape(title)}</h3>{lead}{"".join(inside)}</div>'


def paragraph(text: str, kind: Literal["", "about", "note", "alarm", "part-name"] = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def figure_grid(parts: Iterable[str]) -> str:
    """Figures side by side where there is room."""
    inside = "".join(parts)
    return f'<div class="grid">{inside}</div>' if inside else ""


def definitions(items: Iterable[tuple[str, str]]) -> str:
    """Names with their values."""
    pairs = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in items
    )
    return f'<dl class="definitions">{pairs}</dl>'


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    strong_column: int | None = None,
    title: str = "",
    words: bool = False,
) -> str:
    """A table whose first column names the row. Columns without a figure are set as text, all of
    them if `words`; `strong_column` stands out.

    "" without rows.
    """
    lines = list(rows)
    if not lines:
        return ""
    columns = range(len(header))
    kinds = ["words" if words else _kind([line[k] for line in lines]) for k in columns]
    if strong_column is not None:
        kinds[strong_column] = "strong"

    def cells(first: str, other: str, values: Sequence[str]) -> str:
        tags = [first, *[other] * (len(values) - 1)]
        marks = [f' class="{kind}"' if kind else "" for kind in kinds]
        return "".join(
            f"<{tag}{mark}>{escape(text)}</{tag[:2]}>"
            for tag, mark, text in zip(tags, marks, values, strict=True)
        )

    head = cells('th scope="col"', 'th scope="col"', header)
    row = 'th scope="row"'
    body = "".join(f"<tr>{cells(row, 'td', line)}</tr>" for line in lines)
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    many = ' class="many"' if len(header) > MANY_COLUMNS else ""
    inside = f"{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f"{SCROLL}<table{many}>{inside}</table></div>"


def _kind(column: Sequence[str]) -> str:
    """Of the cells of a column: "" for figures, `words`, or `text` where some are long."""
    if any(re.match(r"[-+]?[\d.]", cell) for cell in column):
        return ""
    return "text" if any(len(cell) > 40 for cell in column) else "words"


def folded(title: str, inside: str) -> str:
    """Content that is folded away until the reader opens it."""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def figure(image: Pixels, caption: str, alt: str = "", enlarged: bool = False) -> str:
    """An image [H, W, 3] with a caption; `enlarged` shows its pixels as squares."""
    kind = 'class="pixels" ' if enlarged else ""
    shown = _image(image, "png" if enlarged else "jpeg", f'{kind}alt="{escape(alt or caption)}"')
    return f"<figure>{shown}<figcaption>{escape(caption)}</figcaption></figure>"


def _image(image: Pixels, form: Literal["png", "jpeg"], marks: str) -> str:
    height, width = image.shape[:2]
    return f'<img src="{data_uri(image, form)}" width="{width}" height="{height}" {marks}>'


def slider(images: Mapping[str, Pixels], caption: str, left: str, right: str) -> str:
    """Images of one size by name, one over the other, two at a time. A divider between them is
    moved by pointer or arrow keys.

    It begins with `left` and `right`. Of three and more images any two can be chosen.
    """
    assert len({image.shape for image in images.values()}) == 1

    def shown(name: str, marks: str) -> str:
        named = f'data-name="{escape(name)}" alt="{escape(name)}"'
        return _image(images[name], "jpeg", f"{marks} {named}")

    others = "".join(shown(name, "hidden") for name in images if name not in (left, right))
    choices = _choice("left", images, left) + _choice("right", images, right) if others else ""
    return (
        '<figure class="wide">'
        + (f'<div class="choices">{choices}</div>' if choices else "")
        + f"""<div class="compare">{shown(right, 'class="after"')}{shown(left, 'class="before"')}"""
        + f'{others}<span class="label left">{escape(left)}</span>'
        + f'<span class="label right">{escape(right)}</span><span class="divider"></span>'
        + '<input type="range" min="0" max="100" step="0.5" value="50" '
        + f'aria-label="{escape(f"Divider between {left} and {right}")}"></div>'
        + f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _choice(side: str, names: Iterable[str], chosen: str) -> str:
    options = "".join(
        f"<option{' selected' if name == chosen else ''}>{escape(name)}</option>" for name in names
    )
    return f'<label>{side.capitalize()} <select data-side="{side}">{options}</select></label>'


def drawing(content: Drawing, alt: str, caption: str = "") -> str:
    """A drawing that keeps about its own size, so that its letters can be read: where there is less
    room it scrolls."""
    least, most = (round(factor * content.width) for factor in (LEAST, MOST))
    svg = content.inline(alt, f"max-width:{most}px;min-width:{least}px")
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="drawing">{SCROLL}{svg}</div>{below}</figure>'


def data_uri(image: Pixels, form: Literal["png", "jpeg"]) -> str:
    """uint8 [H, W, 3] inside the page: `png` to the bit, `jpeg` at quality 92 with full colours."""
    file = io.BytesIO()
    options = {"optimize": True} if form == "png" else {"quality": 92, "subsampling": 0}
    Image.fromarray(np.ascontiguousarray(image)).save(file, format=form.upper(), **options)
    return f"data:image/{form};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
