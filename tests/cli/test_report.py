"""`ibsd report` on what the other commands really leave, and `report.html` at their ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from comparison.made_up import by_name, design, record
from ibsd.comparison.summary import summarise
from ibsd.evaluation.scores import ScoreRow, ScoreTable
from reporting.pages import assert_stands_alone

from .conftest import Call, assert_one_sentence


@pytest.mark.slow
def test_from_trainings_to_one_page(ibsd: Call, config: Path, pairs: Path) -> None:
    for objective in ("plain", "ibsd"):
        options = ["objective.name=plain", "objective.options={}"] if objective == "plain" else []
        assert ibsd("train", config, f"run.folder={objective}", *options).code == 0
    own = Path("ibsd/report.html").read_text(encoding="utf-8")
    assert_stands_alone(own)
    for words in (
        "Before and after",
        "Images of val",
        "training pictures from",
        "multiply-adds",
        "Bound against log-likelihood",
    ):
        assert words in own
    assert (
        ibsd(
            "evaluate",
            "plain/last.safetensors",
            "ibsd/last.safetensors",
            pairs,
            "--split",
            "all",
            "--no-lpips",
            "-o",
            "scores",
        ).code
        == 0
    )
    said = ibsd("report", "plain", "ibsd", "scores", "-o", "both.html")
    assert (said.code, said.out) == (0, "report: both.html\n"), said.err
    both = Path("both.html").read_text(encoding="utf-8")
    assert_stands_alone(both)
    for words in (
        "plain and ibsd",
        "One seed each: no conclusion",
        "ibsd/last less plain/last",
        "bootstrap",
        "Settings in which they differ",
    ):
        assert words in both
    assert both.count("<select") == 2
    assert_one_sentence(
        ibsd("report", "plain", "ibsd", "-o", "both.html"), "both.html exists already"
    )
    assert json.loads(ibsd("report", "plain", "--no-pictures", "--json").out) == {
        "report": "plain/report.html"
    }
    assert "Before and after" not in Path("plain/report.html").read_text(encoding="utf-8")


def test_scores_show_their_images_while_these_are_there(
    ibsd: Call, weights: Path, pairs: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(pairs, tmp_path / "mine")
    assert ibsd("evaluate", weights, folder, "--no-lpips", "-o", "scores").code == 0
    assert ibsd("report", "scores").code == 0
    text = Path("scores/report.html").read_text(encoding="utf-8")
    assert_stands_alone(text)
    assert "Some of the scored images" in text
    assert "Look closer" in text
    assert "of every image" in text
    for options in (("--force", "--no-pictures"), ("--force",)):
        assert ibsd("report", "scores", *options).code == 0
        assert "<img" not in Path("scores/report.html").read_text(encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)


def test_a_comparison_and_a_matrix(ibsd: Call) -> None:
    results = summarise(
        design(ibsd="treatment"),
        by_name(*(record(arm, seed) for arm in ("plain", "ibsd") for seed in (0, 1, 2))),
    )
    matrix = {
        "noise": {
            method: {"basicsr-y": {"psnr_y": level}}
            for method, level in (("bicubic", 20.0), ("net", 21.25))
        }
    }
    for folder, name, text in (
        ("comparison", "results.json", results.to_json()),
        ("matrix", "matrix.json", json.dumps(matrix)),
    ):
        Path(folder).mkdir()
        Path(folder, name).write_text(text)
    assert ibsd("report", "comparison", "matrix", "-o", "all.html").code == 0
    text = Path("all.html").read_text(encoding="utf-8")
    assert_stands_alone(text)
    for words in ("Primary figure", "North to south", "noise", "+1.25"):
        assert words in text
    assert ibsd("report", "matrix").code == 0
    assert "+1.25" in Path("matrix/report.html").read_text(encoding="utf-8")
    assert_one_sentence(ibsd("report", "matrix"), "matrix/report.html exists already")
    assert_one_sentence(ibsd("report", "comparison", "comparison", "-o", "x.html"), "fills a page")
    assert not Path("x.html").exists()


def test_scores_of_specialise_are_a_table_for_each_set_of_images(ibsd: Call) -> None:
    rows = [
        ScoreRow("a", method, {"basicsr-y": {"psnr_y": psnr}}, 0.1, 1)
        for method, psnr in (("bicubic", 20.0), ("start", 21.0), ("specialised", 22.0))
    ]
    table = json.loads(ScoreTable(2, tuple(rows)).to_json())
    Path("mine").mkdir()
    Path("mine", "scores.json").write_text(json.dumps({"yours": table, "elsewhere": table}))
    assert ibsd("report", "mine").code == 0
    text = Path("mine/report.html").read_text(encoding="utf-8")
    assert "<h3>yours</h3>" in text and "<h3>elsewhere</h3>" in text and "22.00" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", "{"),
        ("results.json", "{}"),
        ("scores.json", "[]"),
        ("scores.json", "{}"),
        ("matrix.json", '{"a": 1}'),
    ],
)
def test_damaged_files_are_one_sentence(name: str, content: str, ibsd: Call) -> None:
    Path("folder").mkdir()
    Path("folder", name).write_text(content)
    assert_one_sentence(ibsd("report", "folder"), name, "damaged")
    assert not Path("folder/report.html").exists()


def test_what_cannot_be_reported_on_is_one_sentence(ibsd: Call) -> None:
    Path("empty").mkdir()
    assert_one_sentence(ibsd("report"), "name folders")
    assert_one_sentence(ibsd("report", "gone"), "is no folder")
    assert_one_sentence(ibsd("report", "empty"), "holds no run.json")
    assert_one_sentence(ibsd("report", "empty", "empty"), "-o FILE.html")
