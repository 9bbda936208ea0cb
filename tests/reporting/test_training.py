"""The page of runs: everything in their folders, one or several beside each other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from ibsd.commands.report import report_runs
from ibsd.images.rgb import write_rgb
from ibsd.reporting.stored_run import with_distinct_names
from ibsd.reporting.training import WIDEST_PX, charts, narrowed, training_page
from reporting.pages import assert_stands_alone, noise, run_folder, stored_run


def page_of(folder: Path) -> str:
    text = report_runs([folder], folder / "report.html").read_text(encoding="utf-8")
    assert_stands_alone(text)
    return text


def test_a_run_that_has_just_begun(tmp_path: Path) -> None:
    text = page_of(run_folder(tmp_path / "a<b"))
    assert "0 of 1,000 steps" in text
    assert "a&lt;b" in text


def test_curves_alarms_and_pictures(tmp_path: Path) -> None:
    folder = run_folder(
        tmp_path / "run",
        result={"step": 300, "reason": "stopped by SIGTERM", "skipped": 2, "seconds": 90.0},
        processes=2,
    )
    rows = [
        {
            "step": step,
            "term/l1": 1 / step,
            "bound/link1": step,
            "nll/link1": -2.0,
            "bound/link2": None,
            "alarms": 1.0,
            "new/figure": 1,
        }
        for step in (100, 200)
    ]
    rows.append({"step": 300, "val/psnr_y": 30.0, "val/seen_psnr_y": 31.0, "term/l1": None})
    (folder / "log.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows) + '{"step": 4'
    )
    (folder / "messages.log").write_text("step 100: lower lambda_mi\nstep 100: lower lambda_mi\n")
    (folder / "validation").mkdir()
    write_rgb(folder / "validation" / "step-00000300.png", noise(10, 20))
    text = page_of(folder)
    for words in (
        "Bound per link",
        "L1",
        "new/figure",
        "30.00 dB at step 300",
        "stopped by SIGTERM",
        "Step 300: LR",
        "training.schedule.kind",
        "Bound against log-likelihood",
        "training pictures from 31 to 31",
        "1.5 min",
        "processes",
    ):
        assert words in text
    assert text.count("lower lambda_mi") == 1


def test_several_runs_share_their_charts_and_show_where_they_differ() -> None:
    runs = with_distinct_names([stored_run("one", "plain"), stored_run("two", "ibsd")])
    assert [run.name for run in runs] == ["plain", "ibsd"]
    [l1] = [chart for chart in charts(runs) if "<h3>L1" in chart]
    assert "plain from 0.5 to 0.25; ibsd from 0.5 to 0.25" in l1
    assert sum("Bound per link (" in chart for chart in charts(runs)) == 2
    text = training_page(runs)
    assert_stands_alone(text)
    for words in (
        "Settings in which they differ",
        "no conclusion",
        "plain: one said",
        "ibsd: two said",
    ):
        assert words in text
    assert "<dt>student.name</dt>" in text, "folded away, as they share it"


def test_wide_pictures_shrink() -> None:
    assert narrowed(noise(10, WIDEST_PX + 200)).shape == (9, WIDEST_PX, 3)
    assert narrowed(noise(10, 20)).shape == (10, 20, 3)


def test_runs_of_other_lengths_are_not_compared_in_silence() -> None:
    one, two = stored_run("one", "plain"), stored_run("two", "ibsd")
    assert "differ in steps" not in training_page([one, two])
    result = {"step": 400, "reason": "finished"}
    longer = replace(two, record={**two.record, "result": result})
    text = training_page([one, replace(longer, name="longer")])
    assert f"The runs differ in steps (one {one.step:,}, longer 400)" in text
