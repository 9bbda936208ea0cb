"""Scores of `ibsd evaluate` stand beside bicubic and the first network, with their intervals."""

from __future__ import annotations

import json
import re

from ibsd.evaluation.scores import ScoreRow, ScoreTable
from ibsd.reporting.scores import score_table
from reporting.pages import assert_stands_alone


def table(**psnr: tuple[float, ...]) -> str:
    """The page's table of methods with these PSNR-Y by image; LPIPS is a hundredth of it."""
    rows = [
        ScoreRow(
            f"image{k}",
            method,
            {"basicsr-y": {"psnr_y": values[k]}, "ibsd-cdc": {"lpips": values[k] / 100}},
            0.1,
            1,
        )
        for k in range(len(psnr["bicubic"]))
        for method, values in psnr.items()
    ]
    return score_table(json.loads(ScoreTable(4, tuple(rows)).to_json()))


def cells(text: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_the_second_network_is_held_against_the_first() -> None:
    text = table(bicubic=(20.0, 22.0, 24.0), one=(21.0, 23.0, 25.0), two=(22.0, 24.0, 26.0))
    assert_stands_alone(text)
    header, psnr, lpips = cells(text.partition("<details>")[0])
    assert header == ["", "bicubic", "one", "two", "two less one"]
    assert psnr[1:] == ["22.00", "23.00", "24.00", "+1.00 (+1.00 to +1.00)"]
    assert lpips[-1] == "+0.0100 (+0.0100 to +0.0100)"
    assert "Means over 3 images" in text
    assert cells(text.partition("<details>")[2]) == [
        ["image", "bicubic", "one", "two"],
        ["image0", "20.00", "21.00", "22.00"],
        ["image1", "22.00", "23.00", "24.00"],
        ["image2", "24.00", "25.00", "26.00"],
    ]
    assert "better" not in text.replace("less is better", ""), "one seed shows nothing"


def test_one_network_has_no_difference() -> None:
    header, psnr, *_ = cells(table(bicubic=(20.0, 22.0), one=(21.0, 23.0)))
    assert header == ["", "bicubic", "one"]
    assert psnr[1:] == ["21.00", "22.00"]


def test_a_perfect_image_has_no_difference() -> None:
    text = table(bicubic=(20.0, 22.0), one=(float("inf"), 23.0), two=(21.0, 24.0))
    assert cells(text)[1][-1] == ""


def test_six_images_allow_a_verdict_and_five_do_not() -> None:
    def last(number: int) -> list[str]:
        text = table(bicubic=(20.0,) * number, one=(21.0,) * number, two=(22.0,) * number)
        return [row[-1] for row in cells(text.partition("<details>")[0])[1:]]

    assert last(5) == ["+1.00 (+1.00 to +1.00)", "+0.0100 (+0.0100 to +0.0100)"]
    assert last(6) == [
        "+1.00 (+1.00 to +1.00, ahead here)",
        "+0.0100 (+0.0100 to +0.0100, behind here)",
    ]


def test_an_interval_around_zero_is_no_verdict() -> None:
    text = table(bicubic=(20.0, 22.0), one=(21.0, 23.0), two=(20.0, 24.0))
    assert cells(text)[1][-1] == "+0.00 (-1.00 to +1.00)"
