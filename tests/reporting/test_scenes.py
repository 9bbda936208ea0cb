"""Scenes are shown where methods differ most, and matrices colour what is gained and lost."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from comparison.made_up import by_name, design, record
from ibsd.comparison.summary import summarise
from ibsd.evaluation.scores import BICUBIC
from ibsd.reporting.matrix import (
    Matrix,
    camera_matrix,
    degradation_matrices,
    matrix_svg,
    matrix_table,
)
from ibsd.reporting.pictures import Box
from ibsd.reporting.scenes import Scene, crops, scenes_section, telling_parts
from reporting.test_pages import assert_stands_alone


def scene(name: str, difference: int, at: tuple[int, int] = (0, 0), methods: int = 2) -> Scene:
    """Grey, but for one part where the last method is lighter by so many levels."""
    grey = np.full((144, 192, 3), 100, np.uint8)
    lighter = grey.copy()
    lighter[at[0] : at[0] + 36, at[1] : at[1] + 48] += np.uint8(difference)
    versions = (
        {BICUBIC: np.zeros_like(grey)}
        | {f"m{k}": grey for k in range(methods - 1)}
        | {"last": lighter}
    )
    return Scene(name, grey[::4, ::4].copy(), versions, grey, dict.fromkeys(versions, 30.0))


def test_parts_lie_where_trained_methods_differ_whatever_bicubic_does() -> None:
    found = telling_parts(
        [scene("dull", 10), scene("telling", 90, (100, 140))], count=2, height=36, width=48
    )
    assert [each.name for each, _ in found] == ["telling", "dull"]
    assert found[0][1] == Box(100, 140, 36, 48)
    assert found[0][1].top % 4 == found[0][1].left % 4 == 0


def test_one_method_is_held_against_bicubic() -> None:
    one = scene("one", 50, methods=1)
    assert len(one.compared) == 2
    assert len(telling_parts([one], count=3)) == 3


def test_small_pictures_are_shown_whole() -> None:
    small = Scene("s", np.zeros((8, 8, 3), np.uint8), {BICUBIC: np.zeros((16, 16, 3), np.uint8), "a": np.ones((16, 16, 3), np.uint8)},
                  np.zeros((16, 16, 3), np.uint8), {BICUBIC: 1.0, "a": 2.0})  # fmt: skip
    assert telling_parts([small], 3) == [(small, Box(0, 0, 16, 16))]
    text = scenes_section([small])
    assert_stands_alone(text)
    assert scenes_section([]) == ""


def test_a_part_is_shown_in_every_version() -> None:
    text = crops(scene("s<b", 50), Box(0, 0, 36, 48), named=True)
    assert re.findall(r"<figcaption>(.*?)</figcaption>", text) == [
        "LR",
        BICUBIC,
        "m0",
        "last",
        "HR",
    ]
    assert text.count(' alt="') == 5
    assert "s&lt;b" in text


def test_strength_follows_what_is_better() -> None:
    cells = [[0.5, -1.0], [None, 0.0]]
    assert Matrix("m", ["a", "b"], ["x", "y"], cells).strength(0.5) == 0.5
    assert Matrix("m", ["a", "b"], ["x", "y"], cells, lower_is_better=True).strength(-1.0) == 1.0
    assert Matrix("m", ["a"], ["x"], [[0.0]]).strength(0.0) == 0.0
    table = matrix_table(
        Matrix("m & m", ["a", "b"], ["x", "y"], cells, levels={"base": (20.0, None)})
    )
    assert (
        '<td class="gain" style="--strength: 0.50">+0.50</td><td class="loss" style="--strength: 1.00">-1.00</td>'
        in table
    )
    assert '<th scope="row">base</th><td>20.00</td><td></td>' in table
    assert_stands_alone(table)


def test_the_drawing_says_what_the_table_says() -> None:
    matrix = Matrix(
        "m & m", ["a", "b"], ["x", "y"], [[0.5, -1.0], [None, 0.0]], levels={"base": (20.0, None)}
    )
    texts = [
        text.text
        for text in ElementTree.fromstring(matrix_svg(matrix)).iter(
            "{http://www.w3.org/2000/svg}text"
        )
    ]
    assert texts == ["m & m", "x", "y", "base", "20.00", "a", "+0.50", "-1.00", "b", "+0.00"]


def test_the_camera_matrix_is_gain_over_bicubic() -> None:
    runs = [record("plain", seed, scores=(30.0, 31.0)) for seed in (0, 1)] + [
        record("ibsd", 0, scores=(32.0, 33.0))
    ]
    matrix = camera_matrix(summarise(design(ibsd="treatment"), by_name(*runs)))
    assert (list(matrix.rows), list(matrix.columns)) == (["plain", "ibsd"], ["new (unseen)"])
    assert [row[0] for row in matrix.cells] == pytest.approx([1.5, 3.5])
    assert list(matrix.levels[BICUBIC]) == [29.0]


def test_an_arm_that_equals_the_baseline_gains_as_much_whatever_its_seeds() -> None:
    runs = [record("plain", seed, scores=(30.0 + seed, 31.0 + seed)) for seed in (0, 1)] + [
        record("watch", 0, scores=(30.0, 31.0))
    ]
    matrix = camera_matrix(summarise(design(watch="treatment"), by_name(*runs)))
    assert [row[0] for row in matrix.cells] == pytest.approx([2.0, 2.0])


def test_matrices_of_degradations() -> None:
    def scores(psnr: float, lpips: float) -> dict[str, dict[str, float]]:
        return {"basicsr-y": {"psnr_y": psnr}, "ibsd-cdc": {"lpips": lpips}}

    means = {
        "noise": {BICUBIC: scores(20, 0.5), "net": scores(21, 0.4)},
        "blur": {BICUBIC: scores(25, 0.3), "net": scores(24, 0.35)},
    }
    psnr, lpips = degradation_matrices(means)
    assert [list(row) for row in psnr.cells] == [[1.0], [-1.0]]
    assert [row[0] for row in lpips.cells] == pytest.approx([-0.1, 0.05])
    assert lpips.strength(-0.1) > 0 > lpips.strength(0.05)
    without = {
        family: {method: {"basicsr-y": each["basicsr-y"]} for method, each in methods.items()}
        for family, methods in means.items()
    }
    assert len(degradation_matrices(without)) == 1
