"""`ibsd students`: every network with its costs, as a table and as JSON."""

from __future__ import annotations

import json

import pytest

from ibsd.students import STUDENTS

from .conftest import Call, assert_one_sentence


@pytest.mark.slow
def test_every_network_is_listed_with_its_costs(ibsd: Call) -> None:
    said = ibsd("students", "--no-measure")
    assert said.code == 0
    for word in (
        *STUDENTS,
        "715,176",
        "40.9 G",
        "39,920,530",
        "4 of 64 channels",
        "github.com/Zheng222/IMDN",
        "1280x720",
    ):
        assert word in said.out
    assert "ms" not in said.out


@pytest.mark.slow
def test_json_holds_what_was_measured_here(ibsd: Call) -> None:
    said = ibsd("students", "span", "--scale", "2", "--side", "16", "--repeats", "1", "--json")
    assert said.code == 0
    found = json.loads(said.out)
    assert (found["scale"], found["side"], found["output"]) == (2, 16, [720, 1280])
    [span] = found["students"]
    assert span["name"] == "span" and not span["pools_globally"]
    assert span["milliseconds"] > 0 and span["memory_bytes"] >= 0
    assert "exactly" in span["tiling"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["imnd"], ["'imnd'", "imdn"]),
        (["--scale", "5"], ["--scale is 5"]),
        (["--side", "0"], ["--side is 0", "at least 1"]),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], words: list[str], ibsd: Call) -> None:
    assert_one_sentence(ibsd("students", *arguments), *words)
