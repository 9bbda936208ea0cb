"""A line and a bar on one terminal."""

from __future__ import annotations

import io
import re
import sys

import pytest

from ibsd.cli.terminal import log, progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_remark_has_a_line_of_its_own_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with progress_bar("scenes") as on_scene:
        on_scene(1, 3)
        log("scene 1: 12 pairs")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\r", terminal.getvalue())
    assert "scene 1: 12 pairs" in re.split(r"[\r\n]+", shown)
