"""A report as sections of plain blocks, and its two renderings: Markdown and HTML.

Both are made from the same blocks, so that they say the same. Text may hold `code`, **bold** and
*slanted* words. Markdown keeps the marks, HTML turns them into elements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

from ibsd.reporting import html
from ibsd.reporting.matrix import Matrix, matrix_drawing, matrix_table
from ibsd.reporting.plots import Drawing, Panel, chart, panels_drawing

MOST_COLUMNS = 7
"""A table with more columns is hard to read."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: Literal["", "about", "note"] = ""


@dataclass(frozen=True)
class Bullets:
    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Table:
    """Header and rows of plain text; the first column names the row."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def narrow(self, fixed: int = 1, most: int = MOST_COLUMNS) -> list[Table]:
        """The same cells in tables of at most `most` columns, each beginning with the first `fixed`
        ones. None without rows."""
        if not self.rows:
            return []
        step = most - fixed
        starts = range(fixed, max(len(self.header), fixed + 1), step)
        return [
            Table(
                [*self.header[:fixed], *self.header[start : start + step]],
                [[*row[:fixed], *row[start : start + step]] for row in self.rows],
            )
            for start in starts
        ]


@dataclass(frozen=True)
class Plot:
    """A picture: a file beside the Markdown page, and drawn inside the HTML page. Panels become
    charts of their own there, a matrix a table that can be read aloud."""

    suffix: str
    """Of the file's name, such as "-plane"."""
    alt: str
    content: Drawing | Matrix | Sequence[Panel]

    def drawing(self) -> Drawing | None:
        """None where there is nothing to draw."""
        if isinstance(self.content, Drawing):
            return self.content
        if isinstance(self.content, Matrix):
            return matrix_drawing(self.content)
        return panels_drawing(self.content)

    def html(self) -> str:
        if isinstance(self.content, Drawing):
            return html.drawing(self.content, self.alt)
        if isinstance(self.content, Matrix):
            return matrix_table(self.content)
        return html.figure_grid(chart(panel) for panel in self.content)


@dataclass(frozen=True)
class Section:
    """Blocks under a heading; a section inside a section is a part of it."""

    title: str
    blocks: Sequence[Block] = field(default_factory=list["Block"])

    def all_blocks(self) -> Iterator[Block]:
        """The blocks, those of parts among them."""
        for block in self.blocks:
            yield from block.all_blocks() if isinstance(block, Section) else [block]


Block = Text | Bullets | Code | Table | Plot | Section


@dataclass(frozen=True)
class Document:
    title: str
    comment: str
    """Stands in the Markdown file only."""
    sections: Sequence[Section]

    def plots(self, stem: str) -> dict[str, str]:
        """{file name: SVG} of the plots that the Markdown page refers to."""
        return {
            f"{stem}{plot.suffix}.svg": drawing.standalone()
            for section in self.sections
            for plot in section.all_blocks()
            if isinstance(plot, Plot) and (drawing := plot.drawing())
        }

    def markdown(self, stem: str) -> str:
        """The page's text; `stem` is its file's name without `.md`."""
        head = [f"# {self.title}", *([f"<!-- {self.comment} -->"] if self.comment else [])]
        body = [_markdown(section, stem, 2) for section in self.sections]
        return "\n\n".join(part for part in (*head, *body) if part) + "\n"


def _markdown(block: Block, stem: str, depth: int) -> str:
    """A block without the line end of its last line; "" for a section without content."""
    match block:
        case Text(text=text):
            return text
        case Bullets(items=items):
            return "\n".join(f"- {item}" for item in items)
        case Code(text=text):
            return f"```\n{text}\n```"
        case Table():
            return table_markdown(block)
        case Plot():
            return f"![{block.alt}]({stem}{block.suffix}.svg)" if block.drawing() else ""
        case Section(title=title, blocks=blocks):
            inside = [_markdown(part, stem, depth + 1) for part in blocks]
            content = "\n\n".join(part for part in inside if part)
            return f"{'#' * depth} {title}\n\n{content}" if content else ""


def table_markdown(table: Table) -> str:
    """The lines of a table; "" without rows."""
    if not table.rows:
        return ""
    lines = [table.header, ["---"] * len(table.header), *table.rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def section_html(section: Section) -> str:
    """The section as HTML; "" where nothing is in it."""
    return html.section(plain(section.title), *map(_block_html, section.blocks))


def _block_html(block: Block) -> str:
    match block:
        case Text(text=text, kind=kind):
            return f'<p class="{kind}">{marked(text)}</p>' if kind else f"<p>{marked(text)}</p>"
        case Bullets(items=items):
            lines = "".join(f"<li>{marked(item)}</li>" for item in items)
            return f"<ul>{lines}</ul>" if lines else ""
        case Code(text=text):
            return f"{html.SCROLL}<pre>{escape(text)}</pre></div>"
        case Table(header=header, rows=rows):
            return html.table(
                [plain(cell) for cell in header], [[plain(cell) for cell in row] for row in rows]
            )
        case Plot():
            return block.html()
        case Section(title=title, blocks=blocks):
            return html.part(plain(title), *map(_block_html, blocks))


_MARKS = (
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*", re.DOTALL), r"<strong>\1</strong>"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])(.+?)(?<=\S)\*(?![\w*])", re.DOTALL), r"<em>\1</em>"),
)


def marked(text: str) -> str:
    """HTML of text with marks: code, bold, slanted. Links become their text."""
    codes = re.findall(r"`([^`]+)`", text)
    marks = escape(re.sub(r"`[^`]+`", "\0", text), quote=False)
    for pattern, replacement in _MARKS:
        marks = pattern.sub(replacement, marks)
    first, *others = marks.split("\0")
    inside = (f"<code>{escape(code, quote=False)}</code>" for code in codes)
    return first + "".join(code + other for code, other in zip(inside, others, strict=True))


def plain(text: str) -> str:
    """The text without marks of code, bold and links, for where there is no room for any."""
    return re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text.replace("`", "").replace("**", ""))
