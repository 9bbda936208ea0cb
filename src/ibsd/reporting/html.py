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
from PIL import Image

STYLE = Path(__file__).with_name("page.css")
SCRIPT = Path(__file__).with_name("slider.js")

SCROLL = '<div class="scroll" tabindex="0" role="group" aria-label="Scrolls where it is wider than the page">'
"""Begins what may be wider than the page: it scrolls by itself, by keyboard too."""

LEAST, MOST = 0.7, 1.35
"""Of a drawing's own width: below the first it scrolls, or its letters are too small."""

MANY_COLUMNS = 9
"""A table of more is printed smaller."""

NAV_FROM = 5
"""Sections from which on a page begins with a list of them."""

THEMED = {
    "#1d2939": "--ink", "#344054": "--ink", "#475467": "--soft", "#667085": "--soft", "#98a2b3": "--soft", "#d0d5dd": "--line", "#e4e7ec": "--line",
    "#eaecf0": "--line", "#1a7f37": "--good", "#b42318": "--bad",
}  # fmt: skip
"""Colours of drawings that also stand alone -> those of the page, which follow light and dark."""


def page(title: str, kicker: str, lead: str, sections: Iterable[str], footer: str = "") -> str:
    """The whole document: a small line, the title and a leading sentence above the sections; empty
    ones are left out."""
    body = "\n".join(section for section in sections if section)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
        f'<header><p class="kicker">{escape(kicker)}</p><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{contents(body)}</header>\n'
        f"{body}\n</main>\n<footer>{escape(footer)}</footer>\n<script>\n{SCRIPT.read_text(encoding='utf-8')}</script>\n</body>\n</html>\n"
    )


def contents(body: str) -> str:
    """Links to the sections of a long page."""
    found = re.findall(r'<section id="([^"]+)"><h2>(.*?)</h2>', body)
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in found)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>' if len(found) >= NAV_FROM else ""


def section(title: str, *parts: str, about: str = "") -> str:
    """A part of the page under a heading; "" when it would be empty."""
    if not any(parts):
        return ""
    said = f'<p class="about">{escape(about)}</p>' if about else ""
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "part"
    return f'<section id="{name}"><h2>{escape(title)}</h2>{said}{"".join(parts)}</section>'


def part(title: str, *inside: str, about: str = "") -> str:
    """A part of a section; "" when it would be empty."""
    said = f'<p class="about">{escape(about)}</p>' if about else ""
    return (
        f'<div class="part"><h3>{escape(title)}</h3>{said}{"".join(inside)}</div>'
        if any(inside)
        else ""
    )


def paragraph(text: str, kind: Literal["", "about", "note", "alarm", "part-name"] = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def grid(parts: Iterable[str]) -> str:
    """Figures side by side where there is room."""
    inside = "".join(parts)
    return f'<div class="grid">{inside}</div>' if inside else ""


def facts(items: Iterable[tuple[str, str]]) -> str:
    """Names with their values."""
    return (
        '<dl class="facts">'
        + "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in items
        )
        + "</dl>"
    )


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
    kinds = [
        "words" if words else _kind([line[column] for line in lines])
        for column in range(len(header))
    ]
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
    said = f"<caption>{escape(title)}</caption>" if title else ""
    many = ' class="many"' if len(header) > MANY_COLUMNS else ""
    return f"{SCROLL}<table{many}>{said}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _kind(column: Sequence[str]) -> str:
    """Of the cells of a column: "" for figures, `words`, or `text` where some are long."""
    if any(re.match(r"[-+]?[\d.]", cell) for cell in column):
        return ""
    return "text" if any(len(cell) > 40 for cell in column) else "words"


def details(title: str, inside: str) -> str:
    """What is folded away until asked for."""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def picture(image: np.ndarray, caption: str, alt: str = "", enlarged: bool = False) -> str:
    """An image [H, W, 3] with a caption; `enlarged` shows its pixels as squares."""
    kind = ' class="pixels"' if enlarged else ""
    source = data_uri(image, "png" if enlarged else "jpeg")
    size = f'width="{image.shape[1]}" height="{image.shape[0]}"'
    return f'<figure><img{kind} src="{source}" {size} alt="{escape(alt or caption)}"><figcaption>{escape(caption)}</figcaption></figure>'


def slider(images: Mapping[str, np.ndarray], caption: str, left: str, right: str) -> str:
    """Images of one size by name, one over the other, two at a time, with a divider that is drawn
    or moved with the arrow keys.

    It begins with `left` and `right`; of three and more images any two can be chosen.
    """
    shape = images[left].shape
    assert all(image.shape == shape for image in images.values()), [
        image.shape for image in images.values()
    ]

    def shown(name: str, kind: str) -> str:
        source = f'src="{data_uri(images[name], "jpeg")}" width="{shape[1]}" height="{shape[0]}"'
        return f'<img {kind} {source} data-name="{escape(name)}" alt="{escape(name)}">'

    def choice(side: str, chosen: str) -> str:
        options = "".join(
            f"<option{' selected' if name == chosen else ''}>{escape(name)}</option>"
            for name in images
        )
        return f'<label>{side.capitalize()} <select data-side="{side}">{options}</select></label>'

    pair = shown(right, 'class="after"') + shown(left, 'class="before"')
    others = "".join(shown(name, "hidden") for name in images if name not in (left, right))
    said = escape(f"Divider between {left} and {right}")
    choices = (
        f'<div class="choices">{choice("left", left)}{choice("right", right)}</div>'
        if others
        else ""
    )
    return (
        f'<figure class="wide">{choices}<div class="compare">{pair}{others}'
        f'<span class="label left">{escape(left)}</span><span class="label right">{escape(right)}</span><span class="divider"></span>'
        f'<input type="range" min="0" max="100" step="0.5" value="50" aria-label="{said}">'
        f"</div><figcaption>{escape(caption)}</figcaption></figure>"
    )


def drawing(svg: str, alt: str, caption: str = "") -> str:
    """A drawing that also stands alone as a file, in the page's colours; "" for ""."""
    if not svg:
        return ""
    width = int(svg.split('width="', 1)[1].split('"')[0])
    inside = svg.replace(
        ' xmlns="http://www.w3.org/2000/svg"', f' role="img" aria-label="{escape(alt)}"', 1
    )
    inside = inside.replace(
        'style="',
        f'style="max-width:{round(MOST * width)}px;min-width:{round(LEAST * width)}px;',
        1,
    )
    inside = inside.replace('<rect width="100%" height="100%" fill="white"/>', "", 1)
    inside = re.sub(
        r'(fill|stroke)(="|:)(#[0-9a-f]{6})',
        lambda found: found[1] + found[2] + _themed(found[3]),
        inside,
    )
    said = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="drawing">{SCROLL}{inside}</div>{said}</figure>'


def _themed(colour: str) -> str:
    return f"var({THEMED[colour]})" if colour in THEMED else colour


def data_uri(image: np.ndarray, form: Literal["png", "jpeg"]) -> str:
    """uint8 [H, W, 3] inside the page: `png` to the bit, `jpeg` at quality 92 with full colours."""
    file = io.BytesIO()
    options = {"optimize": True} if form == "png" else {"quality": 92, "subsampling": 0}
    Image.fromarray(np.ascontiguousarray(image)).save(file, format=form.upper(), **options)
    return f"data:image/{form};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
