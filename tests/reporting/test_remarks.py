"""Remarks in Markdown become blocks, and come out in Markdown as they were."""

from __future__ import annotations

from ibsd.reporting.document import Bullets, Code, Document, Section, Table, Text
from ibsd.reporting.remarks import read_remarks

REMARKS = """<!-- left
out -->
before
goes on:
- one

## A & b

- first
  goes on
- second

![gone](b.svg)

### Part

| arm | dB |
| --- | --- |
| `a` \\| b | 1.0 |

```
## code *stays*

<tag>
```

after
"""


def test_blocks_of_remarks() -> None:
    before, [section] = read_remarks(REMARKS)
    assert before == [Text("before\ngoes on:"), Bullets(["one"])]
    part = [Table(["arm", "dB"], [["`a` | b", "1.0"]]), Code("## code *stays*\n\n<tag>")]
    bullets = Bullets(["first\n  goes on", "second"])
    assert section == Section("A & b", [bullets, Section("Part", [*part, Text("after")])])


def test_remarks_come_out_as_they_were() -> None:
    before, sections = read_remarks(REMARKS)
    text = Document("t", "", [Section("Before", before), *sections]).markdown("page")
    kept = REMARKS.partition("-->\n")[2].replace("![gone](b.svg)\n\n", "").replace(":\n-", ":\n\n-")
    assert text == f"# t\n\n## Before\n\n{kept}"
    assert read_remarks("") == ([], [])
