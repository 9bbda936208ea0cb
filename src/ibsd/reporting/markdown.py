"""The Markdown of our own pages as sections of an HTML page, so that both say the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from ibsd.reporting import html

_READER = MarkdownIt("commonmark", {"html": False}).enable("table")
for _kind in ("link_open", "link_close"):
    _READER.add_render_rule(_kind, lambda renderer, tokens, index, options, env: "")


def sections(text: str, drawings: Mapping[str, str]) -> list[tuple[str, str]]:
    """[(title, HTML of the section)]: one for each heading of level 2; what stands before the first
    one is left out.

    Args:
        text: HTML comments are left out, other HTML is shown as it is written, links become their
            text.
        drawings: {address of a picture: HTML that takes its place}; other pictures are left out.
    """
    nodes = SyntaxTreeNode(_READER.parse(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))).children
    titled = ((title, _parts(inside, drawings)) for title, inside in _below(nodes, "h2")[1])
    return [
        (title, section) for title, inside in titled if (section := html.section(title, inside))
    ]


def _parts(nodes: Sequence[SyntaxTreeNode], drawings: Mapping[str, str]) -> str:
    first, rest = _below(nodes, "h3")
    return _html(first, drawings) + "".join(
        html.part(title, _html(inside, drawings)) for title, inside in rest
    )


def _below(
    nodes: Sequence[SyntaxTreeNode], tag: str
) -> tuple[Sequence[SyntaxTreeNode], list[tuple[str, Sequence[SyntaxTreeNode]]]]:
    """What stands before the first heading of a kind, and each one's words with what stands below
    it."""
    at = [number for number, node in enumerate(nodes) if node.type == "heading" and node.tag == tag]
    ends = [*at[1:], len(nodes)]
    return nodes[: at[0] if at else None], [
        (_words(nodes[start]), nodes[start + 1 : end]) for start, end in zip(at, ends, strict=False)
    ]


def _html(nodes: Sequence[SyntaxTreeNode], drawings: Mapping[str, str]) -> str:
    return "".join(_block(node, drawings) for node in nodes)


def _block(node: SyntaxTreeNode, drawings: Mapping[str, str]) -> str:
    if node.type == "table":
        header, *rows = [
            [_words(cell) for cell in row.children]
            for part in node.children
            for row in part.children
        ]
        return html.table(header, rows)
    if node.type == "fence":
        return f"{html.SCROLL}<pre>{escape(node.content.rstrip())}</pre></div>"
    if node.type == "paragraph" and (
        pictures := [each for each in node.walk() if each.type == "image"]
    ):
        return "".join(drawings.get(str(picture.attrs["src"]), "") for picture in pictures)
    return _READER.renderer.render(node.to_tokens(), _READER.options, {})


def _words(node: SyntaxTreeNode) -> str:
    """Without marks, for where there is no room for any."""
    return "".join(each.content for each in node.walk() if each.type in ("text", "code_inline"))
