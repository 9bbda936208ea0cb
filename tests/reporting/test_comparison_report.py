"""The page of a comparison: all that its Markdown says, and results that come back from their
JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from comparison.made_up import by_name, design, record
from ibsd.commands.compare import stored_results
from ibsd.comparison.results import Results, results_from_table
from ibsd.comparison.summary import summarise
from ibsd.reporting.comparison_report import comparison_report
from ibsd.reporting.markdown import sections
from reporting.test_pages import assert_stands_alone

ROOT = Path(__file__).parents[2]


def made_up() -> Results:
    runs = [
        record(arm, seed, scores=(30.0 + seed, 31.0))
        for arm in ("plain", "ibsd")
        for seed in (0, 1, 2)
    ]
    return summarise(design(ibsd="treatment"), by_name(*runs))


def test_results_come_back_from_their_json() -> None:
    results = made_up()
    results = replace(
        results, mean_scores=(*results.mean_scores, replace(results.mean_scores[0], mean=math.inf))
    )
    assert repr(results_from_table(json.loads(results.to_json()))) == repr(results)


def test_results_of_another_kind_are_refused() -> None:
    table = json.loads(made_up().to_json())
    table["mean_scores"][0]["arm"] = [1]
    with pytest.raises(TypeError):
        results_from_table(table)


@pytest.mark.parametrize("name", ["compare-cameras-pretrained", "compare-methods"])
def test_committed_comparisons_have_a_page(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    results = stored_results(f"configs/{name}.toml")
    assert repr(results_from_table(json.loads(results.to_json()))) == repr(results)
    text = comparison_report(results, "## Remarks\n\nSaid **so**.", "<p>scenes</p>")
    assert_stands_alone(text)
    for words in (
        results.design.title.split("&")[0].split("'")[0],
        "Primary figure",
        "<strong>so</strong>",
        "Cost",
        "t interval",
        "noise floor",
        "<p>scenes</p>",
    ):
        assert words in text
    for arm in {
        level.arm for level in results.mean_scores
    }:  # an arm that is named and not yet run has no row
        assert f'<th scope="row">{arm}</th>' in text


def test_markdown_of_our_pages() -> None:
    text = """# Title

<!-- left
out -->
before

## A & b

One `x < y` and **bold**,
two *slanted* words, 3 * 4 * 5, [a link](page.md).
- first
  goes on
- second

![picture](a.svg)
![gone](b.svg)

### Part

| arm | dB |
| --- | --- |
| `a` \\| b | 1.0 |

```
code *stays*

<tag>
```

## Empty
"""
    [(title, html)] = sections(text, {"a.svg": "<b>drawn</b>"})
    assert title == "A & b"
    assert html == (
        '<section id="a-b"><h2>A &amp; b</h2>'
        "<p>One <code>x &lt; y</code> and <strong>bold</strong>,\ntwo <em>slanted</em> words, 3 * 4 * 5, a link.</p>\n"
        "<ul>\n<li>first\ngoes on</li>\n<li>second</li>\n</ul>\n<b>drawn</b>"
        '<div class="part"><h3>Part</h3><div class="scroll" tabindex="0" role="group" aria-label="Scrolls where it is wider than the page">'
        '<table><thead><tr><th scope="col" class="words">arm</th><th scope="col">dB</th></tr></thead>'
        '<tbody><tr><th scope="row" class="words">a | b</th><td>1.0</td></tr></tbody></table></div>'
        '<div class="scroll" tabindex="0" role="group" aria-label="Scrolls where it is wider than the page">'
        "<pre>code *stays*\n\n&lt;tag&gt;</pre></div></div></section>"
    )


def test_marks_within_words_and_html_are_text() -> None:
    [(_, html)] = sections("## A\n\nnum_steps_left and <b>*x*</b>", {})
    assert (
        html
        == '<section id="a"><h2>A</h2><p>num_steps_left and &lt;b&gt;<em>x</em>&lt;/b&gt;</p>\n</section>'
    )
