"""Parameters of every network as published, to the digit where the source gives digits and to the
thousand where it rounds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ibsd.students import STUDENTS, create_student
from ibsd.students.student import NetworkCard

EXACT: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("imdn", {}, (694_404, 703_059, 715_176)),
    ("rfdn", {}, (528_798, 535_293, 544_386)),
    ("rfdn-aim", {}, (417_212, 423_977, 433_448)),
    ("omnisr", {}, (784_604, 793_259, 805_376)),
    ("cdc", {}, (39_698_962, 39_698_962, 39_920_530)),
    ("esrt", {}, (677_783, 770_263, 751_767)),
    ("shufflemixer", {}, (393_939, 414_739, 410_579)),
    ("shufflemixer", {"width": 32, "kernel_size": 3}, (108_435, 113_715, 112_659)),
    ("span", {}, (481_324, 488_359, 498_208)),
    ("span", {"width": 48}, (410_700, 417_195, 426_288)),
]
"""At x2, x3 and x4. docs/students.md says which of them the papers state."""

PAPERS: list[tuple[str, dict[str, Any], dict[int, int]]] = [
    ("imdn", {}, {2: 694, 3: 703, 4: 715}),
    ("esrt", {}, {2: 677, 3: 770, 4: 751}),
    ("shufflemixer", {}, {2: 394, 3: 415, 4: 411}),
    ("shufflemixer", {"width": 32, "kernel_size": 3}, {2: 108, 3: 114, 4: 113}),
    ("span", {}, {2: 481, 4: 498}),
]
"""In thousands, rounded or cut off, as printed in the papers' tables."""


def parameters(name: str, scale: int, options: dict[str, Any]) -> int:
    with torch.device("meta"):
        return sum(
            parameter.numel() for parameter in create_student(name, scale, **options).parameters()
        )


def test_every_network_of_a_paper_is_counted():
    assert {name for name, *_ in EXACT} == {
        name for name, network in STUDENTS.items() if network.card.paper != NetworkCard().paper
    }


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "counts"), EXACT)
def test_counts(name: str, options: dict[str, Any], counts: tuple[int, ...]):
    assert tuple(parameters(name, scale, options) for scale in (2, 3, 4)) == counts


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "thousands"), PAPERS)
def test_the_papers_say_the_same(name: str, options: dict[str, Any], thousands: dict[int, int]):
    for scale, count in thousands.items():
        assert abs(parameters(name, scale, options) / 1000 - count) < 1
