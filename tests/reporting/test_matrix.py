"""Matrices colour what is gained and lost, and the drawing says what the table says."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from comparison.made_up import by_name, design, record
from ibsd.comparison.summary import summarise
from ibsd.evaluation.scores import BICUBIC
from ibsd.reporting.matrix import (
    Matrix,
    camera_matrix,
    degradation_matrices,
    matrix_drawing,
    matrix_table,
)
from reporting.pages import assert_stands_alone


def test_strength_follows_what_is_better() -> None:
    cells = [[0.5, -1.0], [None, 0.0]]
    assert Matrix("m", ["a", "b"], ["x", "y"], cells).strength(0.5) == 0.5
    assert Matrix("m", ["a", "b"], ["x", "y"], cells, lower_is_better=True).strength(-1.0) == 1.0
    assert Matrix("m", ["a"], ["x"], [[0.0]]).strength(0.0) == 0.0
    table = matrix_table(
        Matrix("m & m", ["a", "b"], ["x", "y"], cells, levels={"base": (20.0, None)})
    )
    assert '<td class="gain" style="--strength: 0.50">+0.50</td>' in table
    assert '<td class="loss" style="--strength: 1.00">-1.00</td>' in table
    assert '<th scope="row">base</th><td>20.00</td><td></td>' in table
    assert_stands_alone(table)


def test_the_drawing_says_what_the_table_says() -> None:
    matrix = Matrix(
        "m & m", ["a", "b"], ["x", "y"], [[0.5, -1.0], [None, 0.0]], levels={"base": (20.0, None)}
    )
    texts = [
        text.text
        for text in ElementTree.fromstring(matrix_drawing(matrix).standalone()).iter(
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
    exact = {**means, "clean": {BICUBIC: scores(float("inf"), 0.0), "net": scores(50, 0.1)}}
    assert degradation_matrices(exact)[0].cells[-1] == [None]
