"""Pieces of a page that needs nothing but itself: no network, no file beside it, readable on a phone, in light and in dark.

Every function returns HTML; text that comes from outside is escaped here and nowhere else.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

STYLE = Path(__file__).with_name("page.css")
SCRIPT = Path(__file__).with_name("slider.js")


def page(title: str, kicker: str, lead: str, sections: Iterable[str], footer: str = "") -> str:
    """The whole document: a small line, the title and a leading sentence above the sections; empty ones are left out."""
    body = "\n".join(section for section in sections if section)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
        f'<header><p class="kicker">{escape(kicker)}</p><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p></header>\n'
        f"{body}\n</main>\n<footer>{escape(footer)}</footer>\n<script>\n{SCRIPT.read_text(encoding='utf-8')}</script>\n</body>\n</html>\n"
    )


def section(title: str, *parts: str, about: str = "") -> str:
    """A part of the page under a heading; "" when it would be empty."""
    if not any(parts):
        return ""
    said = f'<p class="about">{escape(about)}</p>' if about else ""
    return f"<section><h2>{escape(title)}</h2>{said}{''.join(parts)}</section>"


def paragraph(text: str, kind: Literal["", "note", "alarm"] = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def grid(parts: Iterable[str]) -> str:
    """Figures side by side where there is room."""
    inside = "".join(parts)
    return f'<div class="grid">{inside}</div>' if inside else ""


def facts(items: Iterable[tuple[str, str]]) -> str:
    """Names with their values."""
    return '<dl class="facts">' + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in items) + "</dl>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], strong_column: int | None = None) -> str:
    """A table whose first column names the row; the others are figures. `strong_column` stands out."""

    def cells(tag: str, values: Sequence[str]) -> str:
        kinds = [' class="strong"' if column == strong_column else "" for column in range(len(values))]
        return "".join(f"<{tag}{kind}>{escape(value)}</{tag}>" for kind, value in zip(kinds, values, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{cells("th", header)}</tr></thead><tbody>{body}</tbody></table></div>'


def details(title: str, inside: str) -> str:
    """What is folded away until asked for."""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def picture(image: np.ndarray, caption: str, alt: str = "", enlarged: bool = False) -> str:
    """An image [H, W, 3] with a caption; `enlarged` shows its pixels as squares."""
    kind = ' class="pixels"' if enlarged else ""
    source = data_uri(image, "png" if enlarged else "jpeg")
    size = f'width="{image.shape[1]}" height="{image.shape[0]}"'
    return f'<figure><img{kind} src="{source}" {size} alt="{escape(alt or caption)}"><figcaption>{escape(caption)}</figcaption></figure>'


def slider(before: np.ndarray, after: np.ndarray, labels: tuple[str, str], caption: str) -> str:
    """Two images of one size, one over the other, with a divider that is drawn or moved with the arrow keys."""
    assert before.shape == after.shape, f"{before.shape} {after.shape}"
    size = f'width="{before.shape[1]}" height="{before.shape[0]}"'
    said = f"Divider between {labels[0]} and {labels[1]}"
    return (
        '<figure class="wide"><div class="compare">'
        f'<img src="{data_uri(after, "jpeg")}" {size} alt="{escape(labels[1])}">'
        f'<img class="before" src="{data_uri(before, "jpeg")}" {size} alt="{escape(labels[0])}">'
        f'<span class="label left">{escape(labels[0])}</span><span class="label right">{escape(labels[1])}</span>'
        '<span class="divider"></span>'
        f'<input type="range" min="0" max="100" step="0.5" value="50" aria-label="{escape(said)}">'
        f"</div><figcaption>{escape(caption)}</figcaption></figure>"
    )


def data_uri(image: np.ndarray, form: Literal["png", "jpeg"]) -> str:
    """uint8 [H, W, 3] inside the page: `png` to the bit, `jpeg` at quality 92 with full colours."""
    file = io.BytesIO()
    options = {"optimize": True} if form == "png" else {"quality": 92, "subsampling": 0}
    Image.fromarray(np.ascontiguousarray(image)).save(file, format=form.upper(), **options)
    return f"data:image/{form};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
