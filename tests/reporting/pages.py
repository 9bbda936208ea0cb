"""What tests of pages share: that a page stands alone, images of noise, made-up runs."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from ibsd.reporting.stored_run import StoredRun

VOID = {"meta", "img", "input", "br", "line", "circle", "polyline", "rect"}


class Outline(HTMLParser):
    """Whether tags are balanced, and what the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [
            value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def assert_stands_alone(text: str) -> None:
    assert all(load.startswith(("data:image/", "#")) for load in Outline(text).loads)
    assert not re.search(r"https?://|@import|url\(", text)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def run_folder(folder: Path, objective: str = "ibsd", **more: object) -> Path:
    config = {
        "student": {"name": "imdn", "scale": 4, "options": {}},
        "objective": {
            "name": objective,
            "options": {"lambda_mi": 1e-5} if objective == "ibsd" else {},
        },
        "training": {"num_steps": 1000, "schedule": {"kind": "cosine"}},
    }
    folder.mkdir()
    (folder / "run.json").write_text(
        json.dumps({"config": config, "versions": {"ibsd": "0"}, **more})
    )
    return folder


def stored_run(name: str, objective: str) -> StoredRun:
    config = {
        "student": {"name": "imdn", "scale": 4},
        "objective": {"name": objective},
        "training": {"num_steps": 9},
    }
    rows = [
        {"step": 1, "term/l1": 0.5, "bound/link1": 1.0, "nll/link1": -1.0},
        {"step": 2, "term/l1": 0.25},
    ]
    return StoredRun(name, {"config": config}, rows, [f"{name} said"])
