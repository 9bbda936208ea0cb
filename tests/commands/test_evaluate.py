"""Scores on a cluster are those of one machine. Ray is left out here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tiny
from cluster.fakes import without_ray
from ibsd.commands.evaluate import (
    load_students,
    score_matrix,
    score_on_cluster,
    score_pairs,
    scores_with_places,
    unscored,
)
from ibsd.data.pairs import Pair, find_pairs
from ibsd.data.samples import sample_pair
from ibsd.export.weights import save_student
from ibsd.images.rgb import write_rgb
from ibsd.types import InputError


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs, and two weight files."""
    folder = tmp_path_factory.mktemp("world")
    for name in ("chelsea", "coffee", "rocket"):
        for side, pixels, size in zip(("LR", "HR"), sample_pair(name, 2), (24, 48), strict=True):
            (folder / side).mkdir(exist_ok=True)
            write_rgb(folder / side / f"{name}.png", np.ascontiguousarray(pixels[:size, :size]))
    for seed in (0, 1):
        save_student(tiny.student(seed), folder / f"{seed}.safetensors")
    return folder


def files_and_pairs(world: Path) -> tuple[list[Path], tuple[Pair, ...]]:
    files = [world / "0.safetensors", world / "1.safetensors"]
    return files, find_pairs(world / "LR", world / "HR")


def test_a_cluster_gives_the_same_figures(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_ray(monkeypatch)
    files, pairs = files_and_pairs(world)
    seen: list[tuple[int, int]] = []
    many, failed = score_on_cluster(files, pairs, 2, False, "local", lambda *k: seen.append(k))
    students = load_students(files, "cpu")
    one = score_pairs(students, pairs, 2, False, lambda done, total: None, print)
    assert [replace(row, seconds=0.0) for row in many.rows] == [
        replace(row, seconds=0.0) for row in one.rows
    ]
    assert len(many.rows) == 9 and seen == [(1, 3), (2, 3), (3, 3)] and not failed


def test_a_photograph_that_is_met_exactly_leaves_the_matrix_json(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    means = {"bicubic": {"basicsr-y": {"psnr_y": float("inf")}}}
    made = {"clean": SimpleNamespace(means=means)}
    monkeypatch.setattr("ibsd.evaluation.matrix.degradation_matrix", lambda *_, **__: made)
    students = load_students([world / "0.safetensors"], "cpu")
    _, text = score_matrix(students, world / "HR", 2, False, lambda done, total: None)
    assert json.loads(text, parse_constant=pytest.fail)["clean"]["bicubic"]["basicsr-y"] == {
        "psnr_y": "inf"
    }


def test_pairs_that_cannot_be_scored_are_listed_and_the_others_are_scored(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_ray(monkeypatch, lambda pair: pair.name == "rocket")
    files, pairs = files_and_pairs(world)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    bad = [*pairs, Pair("broken", broken, pairs[0].hr), Pair("same", pairs[0].hr, pairs[0].hr)]
    table, failed = score_on_cluster(files, bad, 2, False, "local", lambda done, total: None)
    assert {row.image for row in table.rows} == {"chelsea", "coffee"}
    assert list(failed) == ["rocket", "broken", "same"]
    said = unscored(failed, len(bad))
    for words in ("3 of 5 pairs cannot", "rocket: ended 3 proc", "broken.png", "not 2 times"):
        assert words in said
    written = json.loads(scores_with_places(table, files, bad, failed))
    assert written["failed"] == failed and [pair[0] for pair in written["pairs"]] == [
        "chelsea",
        "coffee",
    ]
    with pytest.raises(InputError, match="2 of 2 pairs cannot be scored"):
        score_on_cluster(files, bad[3:], 2, False, "local", lambda done, total: None)
