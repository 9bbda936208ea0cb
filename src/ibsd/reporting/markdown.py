"""The Markdown of our own pages as sections of an HTML page, so that both say the same: headings, paragraphs, lists, tables, code, pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from itertools import groupby

from ibsd.reporting import page


def sections(text: str, drawings: Mapping[str, str]) -> list[tuple[str, str]]:
    """[(title, HTML of the section)]: one for each heading of level 2; what stands before the first one is left out.

    Args:
        text: no more of Markdown than our pages use; HTML comments are left out, links become their text.
        drawings: {address of a picture: HTML that takes its place}; other pictures are left out.
    """
    found = re.split(r"^## (.+)$", re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL), flags=re.MULTILINE)[1:]
    titled = zip(found[::2], found[1::2], strict=True)
    return [(title, section) for title, inside in titled if (section := page.section(title, _parts(inside, drawings)))]


def _parts(text: str, drawings: Mapping[str, str]) -> str:
    first, *rest = re.split(r"^### (.+)$", text, flags=re.MULTILINE)
    below = (page.part(_bare(title), _blocks(inside, drawings)) for title, inside in zip(rest[::2], rest[1::2], strict=True))
    return _blocks(first, drawings) + "".join(below)


def _blocks(text: str, drawings: Mapping[str, str]) -> str:
    """Fenced code first, since blank lines do not end it; then blocks between blank lines."""
    pieces = re.split(r"^```\w*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    blocks = []
    for number, piece in enumerate(pieces):
        if number % 2:
            blocks.append(f'<div class="scroll" tabindex="0"><pre>{escape(piece.rstrip())}</pre></div>')
        else:
            blocks += [_block(block.strip("\n").split("\n"), drawings) for block in re.split(r"\n\s*\n", piece) if block.strip()]
    return "".join(blocks)


def _block(lines: list[str], drawings: Mapping[str, str]) -> str:
    """Lines of one kind at a time: a list or a table may follow a paragraph without a blank line."""
    html = []
    for kind, group in groupby(lines, _kind):
        same = list(group)
        if kind == "table":
            html.append(_table(same))
        elif kind == "item":
            items = re.split(r"^- ", "\n".join(same), flags=re.MULTILINE)[1:]
            html.append(f"<ul>{''.join(f'<li>{inline(item)}</li>' for item in items)}</ul>")
        elif kind == "picture":
            html += [drawings.get(address, "") for line in same for address in re.findall(r"!\[[^]]*\]\(([^)]*)\)", line)]
        else:
            html.append(f"<p>{inline(' '.join(same))}</p>")
    return "".join(html)


def _kind(line: str) -> str:
    kinds = {"|": "table", "- ": "item", "  ": "item", "![": "picture"}
    return next((kind for start, kind in kinds.items() if line.startswith(start)), "text")


def _table(lines: Iterable[str]) -> str:
    rows = [[_bare(cell.strip()) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines]
    header, body = rows[0], [row for row in rows[1:] if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]
    return page.table(header, [row + [""] * (len(header) - len(row)) for row in body])


def _bare(text: str) -> str:
    """Without marks, for where there is no room for any."""
    return re.sub(r"\*\*|`", "", text).replace("\\|", "|")


def inline(text: str) -> str:
    """Code, bold and slanted words; links become their text."""
    pieces = re.split(r"`([^`]+)`", text)
    html = []
    for number, piece in enumerate(pieces):
        if number % 2:
            html.append(f"<code>{escape(piece)}</code>")
            continue
        piece = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", escape(piece))
        piece = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", piece)
        html.append(re.sub(r"(?<!\w)\*(\S(?:.*?\S)?)\*(?!\w)", r"<em>\1</em>", piece))
    return "".join(html)
