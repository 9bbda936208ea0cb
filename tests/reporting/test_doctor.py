"""The page of a checked folder counts its problems and lists the pairs that have one."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from ibsd.data.pairs import Pair
from ibsd.doctor.alignment import Misalignment
from ibsd.doctor.checkup import Checkup
from ibsd.doctor.pair_checkup import Finding, PairCheckup
from ibsd.reporting.doctor import doctor_page, folder_summary, pair_row, problem_counts, worst_first
from reporting.pages import assert_stands_alone

NONE = Misalignment(0.0, 0.0, 0.0)


def pair(name: str, *findings: Finding, shift: float | None = None) -> PairCheckup:
    moved = None if shift is None else Misalignment(shift, 0.0, 0.0)
    return PairCheckup(
        Pair(name, Path(f"lr/{name}"), Path(f"hr/{name}")), "train", list(findings), moved
    )


def checkup(*pairs: PairCheckup) -> Checkup:
    return Checkup("published layout", 3, (3,), list(pairs), [], NONE)


def test_problems_are_counted_and_those_that_drop_come_first() -> None:
    remark, leak = Finding("colour", "is redder", False), Finding("leak", "is in test too", True)
    found = checkup(pair("a<b", remark), pair("good", shift=0.2), pair("bad", leak, remark))
    assert problem_counts(found) == ["colour: 2 pairs", "leak: 1 pair"]
    assert [health.pair.name for health in worst_first(found)] == ["bad", "a<b"]
    text = doctor_page("<mine>", found, "1")
    assert_stands_alone(text)
    for words in (
        "&lt;mine&gt;",
        "a&lt;b",
        "leak: is in test too; colour: is redder",
        "2 files to",
    ):
        assert words in text


def test_a_sound_folder_has_nothing_to_leave_out() -> None:
    text = doctor_page("pairs", checkup(pair("good", shift=0.2)), "1")
    assert "1 pair at x3; nothing to leave out." in text
    assert "No problem in these pairs." in text


def test_shifts_are_summed_up_where_they_were_measured() -> None:
    items = dict(folder_summary(checkup(pair("one", shift=0.2), pair("two", shift=0.4))))
    assert items["pairs"] == "train 2"
    flat = pair("flat", Finding("flat", "contrast 0.0", True), shift=-6.0)
    with_flat = checkup(pair("one", shift=0.2), pair("two", shift=0.4), flat)
    assert dict(folder_summary(with_flat)) == items | {"pairs": "train 3"}
    assert pair_row(flat)[2:5] == ["", "", ""]
    assert items["shift beyond it, LR px"] == "median 0.300, largest 0.400"
    assert "PSNR-Y ceiling" not in items
    assert list(dict(folder_summary(checkup(pair("one"))))) == ["layout", "scale", "pairs"]


def test_suspect_pairs_are_shown(tmp_path: Path) -> None:
    bad = pair("bad.png", Finding("shift", "lies 3 px down", True))
    files = [tmp_path / "lr.png", tmp_path / "hr.png"]
    for file, side in zip(files, (8, 24), strict=True):
        Image.new("RGB", (side, side)).save(file)
    bad.pair = Pair("bad.png", *files)
    text = doctor_page("pairs", checkup(bad, pair("good", shift=0.2)), "1")
    assert text.count("<img") == 2
    assert 'alt="HR of bad.png"' in text
    assert_stands_alone(text)
    files[1].write_bytes(b"")
    assert doctor_page("pairs", checkup(bad), "1").count("<img") == 1


def test_a_pair_counts_once_and_one_problem_of_all_is_said_once() -> None:
    pairs = [pair(f"{k}.png", *[Finding("damaged", f"{k}.png is cut", True)] * 2) for k in range(9)]
    assert problem_counts(checkup(*pairs)) == ["damaged: 9 pairs"]
    assert checkup(*pairs).one_reason == "0.png is cut"
    assert not checkup(*pairs, pair("good", shift=0.2)).one_reason
