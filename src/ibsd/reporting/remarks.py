"""Remarks that somebody wrote in Markdown for the page of a comparison, as blocks of a document."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ibsd.reporting.document import Block, Bullets, Code, Section, Table, Text

_HEADING = re.compile(r"(#{1,6}) (.+)")


def read_remarks(text: str) -> tuple[list[Block], list[Section]]:
    """Blocks before the first heading of level 1 or 2, and a section for each such heading.

    Paragraphs, lists, tables, code and deeper headings are understood. HTML comments and pictures
    are left out.
    """
    before: list[Block] = []
    sections: list[Section] = []
    whole = target = before
    for part in _parts(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)):
        if heading := _HEADING.fullmatch(part):
            target = list[Block]()
            if len(heading[1]) < 3:
                whole = target
                sections.append(Section(heading[2], target))
            else:
                whole.append(Section(heading[2], target))
        elif not part.startswith("!["):
            target.append(_block(part))
    return before, sections


def _parts(text: str) -> Iterator[str]:
    """Headings, code, lists, and what blank lines separate."""
    lines: list[str] = []
    for line in text.splitlines():
        in_code = bool(lines) and lines[0].startswith("```")
        begins = line.startswith("```") or _HEADING.fullmatch(line)
        begins_list = line.startswith("- ") and bool(lines) and not lines[0].startswith("- ")
        if in_code and line.startswith("```"):
            yield "\n".join([*lines, line])
            lines = []
        elif in_code:
            lines.append(line)
        else:
            if lines and (
                begins or begins_list or not line.strip() or _HEADING.fullmatch(lines[0])
            ):
                yield "\n".join(lines)
                lines = []
            if line.strip():
                lines.append(line)
    if lines:
        yield "\n".join(lines)


def _block(part: str) -> Block:
    if part.startswith("```"):
        return Code("\n".join(line for line in part.splitlines() if not line.startswith("```")))
    if part.startswith("|"):
        header, *rows = [_cells(line) for line in part.splitlines()]
        return Table(header, rows[1:])
    if part.startswith("- "):
        return Bullets(part.removeprefix("- ").split("\n- "))
    return Text(part)


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
    return [cell.strip().replace("\\|", "|") for cell in cells]
