"""A document says the same in Markdown and in HTML."""

from __future__ import annotations

from ibsd.reporting.document import (
    Bullets,
    Code,
    Document,
    Plot,
    Section,
    Table,
    Text,
    marked,
    plain,
    section_html,
)
from ibsd.reporting.plots import Drawing, Panel, Series
from reporting.pages import assert_stands_alone

SCROLL = (
    '<div class="scroll" tabindex="0" role="group" '
    'aria-label="Scrolls where it is wider than the page">'
)


def document() -> Document:
    text = "One `x < y` and **bold**,\ntwo *slanted* words, 3 * 4 * 5, [a link](page.md)."
    curves = Plot("-curve", "A curve", [Panel("L1", [Series("a", [(0, 1.0)])], "steps", "")])
    part = Section("Part `a`", [Table(["arm", "dB"], [["a | b", "1.0"]]), Code("x *stays* <tag>")])
    blocks = [Text(text), Bullets(["first", "second"]), Plot("", "Two", Drawing(9, 9, "")), curves]
    return Document("Title", "made", [Section("A & b", [*blocks, part]), Section("Empty", [])])


def test_markdown() -> None:
    assert (
        document().markdown("page")
        == """# Title

<!-- made -->

## A & b

One `x < y` and **bold**,
two *slanted* words, 3 * 4 * 5, [a link](page.md).

- first
- second

![Two](page.svg)

![A curve](page-curve.svg)

### Part `a`

| arm | dB |
| --- | --- |
| a \\| b | 1.0 |

```
x *stays* <tag>
```
"""
    )
    assert list(document().plots("page")) == ["page.svg", "page-curve.svg"]


def test_html() -> None:
    text, empty = map(section_html, document().sections)
    assert empty == ""
    assert_stands_alone(text)
    assert text.startswith(
        '<section id="a-b"><h2>A &amp; b</h2>'
        "<p>One <code>x &lt; y</code> and <strong>bold</strong>,\n"
        "two <em>slanted</em> words, 3 * 4 * 5, a link.</p>"
        "<ul><li>first</li><li>second</li></ul>"
    )
    assert text.endswith(
        f'<div class="part"><h3>Part a</h3>{SCROLL}<table><thead><tr>'
        '<th scope="col" class="words">arm</th><th scope="col">dB</th></tr></thead><tbody><tr>'
        '<th scope="row" class="words">a | b</th><td>1.0</td></tr></tbody></table></div>'
        f"{SCROLL}<pre>x *stays* &lt;tag&gt;</pre></div></div></section>"
    )


def test_marks_within_words_and_html_are_text() -> None:
    assert marked("num_steps_left and <b>*x*</b>") == (
        "num_steps_left and &lt;b&gt;<em>x</em>&lt;/b&gt;"
    )
    assert marked("**Whose `it` is.** *a*") == (
        "<strong>Whose <code>it</code> is.</strong> <em>a</em>"
    )
    assert plain("`a`, **b** and [c](d.md)") == "a, b and c"


def test_narrow_tables_have_the_same_cells() -> None:
    header = ["name", *(f"arm{k}" for k in range(8))]
    tables = Table(header, [["x", *map(str, range(8))]]).narrow(most=4)
    assert [len(table.header) for table in tables] == [4, 4, 3]
    assert all(table.header[0] == "name" and table.rows[0][0] == "x" for table in tables)
    assert [cell for table in tables for cell in table.rows[0][1:]] == list("01234567")
    assert Table(["a"], []).narrow() == []
    assert Table(["a"], [["b"]]).narrow() == [Table(["a"], [["b"]])]
