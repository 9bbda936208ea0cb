"""The page of runs: what their folders hold, one or several beside each other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ibsd.commands.report_runs import centre, pictures_of, report_runs, spread
from ibsd.data.pairs import Pair
from ibsd.data.samples import UPSCALING_SAMPLE, write_sample_pairs
from ibsd.images.rgb import write_rgb
from ibsd.reporting.training import RunStory, charts, named_apart, read_run, runs_page
from ibsd.types import InputError
from reporting.test_pages import assert_stands_alone, noise


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


def told(folder: Path) -> str:
    text = report_runs([folder], folder / "report.html").read_text(encoding="utf-8")
    assert_stands_alone(text)
    return text


def test_a_run_that_has_just_begun(tmp_path: Path) -> None:
    text = told(run_folder(tmp_path / "a<b"))
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
    text = told(folder)
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


def story(name: str, objective: str) -> RunStory:
    config = {
        "student": {"name": "imdn", "scale": 4},
        "objective": {"name": objective},
        "training": {"num_steps": 9},
    }
    rows = [
        {"step": 1, "term/l1": 0.5, "bound/link1": 1.0, "nll/link1": -1.0},
        {"step": 2, "term/l1": 0.25},
    ]
    return RunStory(name, {"config": config}, rows, [f"{name} said"])


def test_several_runs_share_their_charts_and_show_where_they_differ() -> None:
    runs = named_apart([story("one", "plain"), story("two", "ibsd")])
    assert [run.name for run in runs] == ["plain", "ibsd"]
    [l1] = [chart for chart in charts(runs) if "<h3>L1" in chart]
    assert "plain from 0.5 to 0.25; ibsd from 0.5 to 0.25" in l1
    assert sum("Bound per link (" in chart for chart in charts(runs)) == 2
    text = runs_page(runs)
    assert_stands_alone(text)
    for words in (
        "Settings in which they differ",
        "no conclusion",
        "plain: one said",
        "ibsd: two said",
    ):
        assert words in text
    assert "<dt>student.name</dt>" in text, "folded away, as they share it"


def test_names_tell_runs_apart() -> None:
    assert [run.name for run in named_apart([story("one", "plain"), story("two", "plain")])] == [
        "one",
        "two",
    ]
    assert [run.name for run in named_apart([story("one", "plain"), story("one", "plain")])] == [
        "1 one",
        "2 one",
    ]


def test_what_is_no_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no run\.json"):
        read_run(tmp_path)
    for content in (
        "",
        "[]",
        "{}",
        '{"config": {"student": 1}}',
        '{"config": {"student": {"name": 1}, "objective": {"name": 2}}}',
    ):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(InputError, match=r"run\.json: is damaged"):
            read_run(tmp_path)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("config", "student", "scale"), "4"),
        (("config", "training"), 3),
        (("config", "training", "num_steps"), None),
        (("result",), "done"),
        (("result",), {"step": [], "reason": "finished"}),
        (("result",), {"step": 1, "reason": 5}),
        (("result",), {"step": 1, "reason": "finished", "seconds": "long"}),
        (("processes",), {}),
        (("versions",), []),
    ],
)
def test_a_damaged_run_is_one_sentence(
    where: tuple[str, ...], value: object, tmp_path: Path
) -> None:
    folder = run_folder(tmp_path / "run")
    facts = json.loads((folder / "run.json").read_text())
    table = facts
    for key in where[:-1]:
        table = table[key]
    table[where[-1]] = value
    (folder / "run.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=r"run\.json: is damaged"):
        read_run(folder)


def test_of_a_damaged_log_what_is_whole_is_shown(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    lines = [
        '{"step": 1, "term/l1": 0.5}',
        '{"step": "2"}',
        "[1]",
        "{",
        '{"step": 3, "term/l1": "much", "val/psnr_y": [], "b": true, "c": null}',
    ]
    (folder / "log.jsonl").write_text("\n".join(lines))
    assert read_run(folder).rows == [{"step": 1, "term/l1": 0.5}, {"step": 3, "c": None}]
    (folder / "log.jsonl").write_bytes(b"\xff{}")
    with pytest.raises(InputError, match=r"log\.jsonl: is damaged"):
        read_run(folder)


def test_pictures_come_from_val_and_from_the_package_where_it_is_gone(tmp_path: Path) -> None:
    pairs = write_sample_pairs(tmp_path / "pairs", 4)
    gone = {
        "student": {"name": "imdn", "scale": 4},
        "objective": {"name": "plain"},
        "data": {"pairs": str(tmp_path / "pairs")},
    }
    run = RunStory("run", {"config": gone}, [], [])
    found, what = pictures_of(run)
    assert [name for name, _, _ in found] == [pair.name for pair in pairs.val]
    assert "val" in what
    shutil.rmtree(tmp_path / "pairs")
    found, what = pictures_of(run)
    assert UPSCALING_SAMPLE in [name for name, _, _ in found]
    assert "ibsd's own" in what


def test_pictures_are_spread_over_the_set_and_their_middle_is_taken() -> None:
    pairs = [Pair(str(number), Path(), Path()) for number in range(100)]
    assert [pair.name for pair in spread(pairs, 4)] == ["0", "25", "50", "75"]
    assert spread(pairs[:2], 4) == pairs[:2]
    lr, hr = noise(30, 50), noise(60, 100)
    small, large = centre(lr, hr, 20)
    assert (small.shape, large.shape) == ((20, 20, 3), (40, 40, 3))
    assert (small == lr[5:25, 15:35]).all() and (large == hr[10:50, 30:70]).all()
