"""Writes the table of contrasts of docs/results.md from the stored runs of all comparisons; with
`--check` only compares.

The table stands between the lines `<!-- contrasts -->` and `<!-- /contrasts -->`.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from ibsd.commands.compare import stored_results
from ibsd.reporting.contrasts import ScoredOn, table_of_all
from ibsd.reporting.document import table_markdown

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results.md"
BEGIN, END = "<!-- contrasts -->", "<!-- /contrasts -->"

OTHER_CAMERAS = {
    "specialised - start": ("ibsd-mean", "start"),
    "specialised - plain": ("ibsd-mean", "plain"),
    "specialised - plain, mean": ("ibsd-mean", "plain-mean"),
    "specialised - wavelet, mean": ("ibsd-mean", "wavelet-to-hr-mean"),
    "plain, mean - plain": ("plain-mean", "plain"),
    "IBSD - plain": ("ibsd", "plain"),
    "wavelet - plain": ("wavelet-to-hr", "plain"),
    "IBSD - wavelet": ("ibsd", "wavelet-to-hr"),
    "soft target - wavelet": ("soft-target", "wavelet-to-hr"),
    "IBSD - soft target": ("ibsd", "soft-target"),
    "IBSD - shuffled": ("ibsd", "shuffled"),
    "bound of views - shuffled": ("ibsd-views", "ibsd-shuffled"),
    "two-view bound - two views": ("view-bound", "two-views"),
    "two-view bound - shuffled": ("view-bound", "view-bound-shuffled"),
    "statistics - two views": ("statistics", "two-views"),
    "plain along the run - plain": ("average", "plain"),
    "pull to the start - plain": ("pull", "plain"),
    "dropout - plain": ("dropout", "plain"),
    "V-REx - plain": ("v-rex", "plain"),
    "longer - plain": ("longer", "plain"),
    "A/A": ("aa", "plain"),
}
"""In the order of docs/protocol.md."""
SAME_CAMERAS = dict(list(OTHER_CAMERAS.items())[:2])
WAY_BACK = {
    name: OTHER_CAMERAS[name]
    for name in (
        "specialised - start",
        "specialised - plain",
        "specialised - plain, mean",
        "specialised - wavelet, mean",
        "IBSD - plain",
        "IBSD - wavelet",
        "soft target - wavelet",
        "IBSD - soft target",
        "IBSD - shuffled",
    )
}
LEFT_OUT = dict(list(WAY_BACK.items())[:6])
DEGRADATIONS = {
    name: OTHER_CAMERAS[name]
    for name in (
        "specialised - start",
        "specialised - plain",
        "specialised - plain, mean",
        "IBSD - plain",
        "IBSD - wavelet",
        "IBSD - soft target",
        "IBSD - shuffled",
        "bound of views - shuffled",
        "two-view bound - two views",
        "two-view bound - shuffled",
        "longer - plain",
        "A/A",
    )
}
"""Of bed c."""
AT_CAMERAS = {
    name: DEGRADATIONS[name]
    for name in ("specialised - start", "IBSD - plain", "IBSD - shuffled", "A/A")
}
SECOND_STUDENT = LEFT_OUT | {"IBSD - soft target": OTHER_CAMERAS["IBSD - soft target"]}


def all_places() -> list[ScoredOn]:
    """The test sets in the order of the table."""
    return [
        ScoredOn("RealSR to DRealSR", "generalise-realsr", "drealsr", "mean", OTHER_CAMERAS),
        ScoredOn("RealSR to RealSR", "generalise-realsr", "from-realsr", "realsr", SAME_CAMERAS),
        ScoredOn("DRealSR to RealSR", "generalise-drealsr", "realsr", "mean", WAY_BACK),
        ScoredOn("one of five cameras left out", "generalise-cameras", "cameras", "mean", LEFT_OUT),
        ScoredOn(
            "RealSR to DRealSR, RFDN", "generalise-realsr-rfdn", "drealsr", "mean", SECOND_STUDENT
        ),
        ScoredOn(
            "mild degradations to others", "generalise-photographs", "unseen", "mean", DEGRADATIONS
        ),
        ScoredOn(
            "mild degradations to cameras", "generalise-photographs", "cameras", "mean", AT_CAMERAS
        ),
    ]


def main() -> int:
    os.chdir(ROOT)  # configs name their folders from here
    names = dict.fromkeys(place.comparison for place in all_places())
    results = {name: stored_results(f"configs/{name}.toml") for name in names}
    table = table_markdown(table_of_all(all_places(), results))
    table = table.replace("| --- " * 7 + "|", "|---" * 7 + "|")
    page = PAGE.read_text(encoding="utf-8")
    made = re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{table}\n{END}", page, flags=re.DOTALL)
    if "--check" in sys.argv:
        if made != page:
            print(
                "docs/results.md has other contrasts than the runs give: "
                "run python benchmarks/results_page.py",
                file=sys.stderr,
            )
        return int(made != page)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
