"""What is said of gains and losses, on scores that can be checked by hand."""

from __future__ import annotations

from collections.abc import Sequence

from ibsd.evaluation.scores import BICUBIC, ScoreRow, ScoreTable
from ibsd.reporting.specialise import SPECIALISED, START, gain_rows, losses, specialise_page


def table(start: Sequence[float], specialised: Sequence[float]) -> ScoreTable:
    """PSNR-Y over bicubic's 30 dB, image by image."""
    rows = [
        ScoreRow(str(number), method, {"basicsr-y": {"psnr_y": 30.0 + gain}}, 0.1, 1)
        for number, gains in enumerate(zip(start, specialised, strict=True))
        for method, gain in ((BICUBIC, 0.0), (START, gains[0]), (SPECIALISED, gains[1]))
    ]
    return ScoreTable(4, tuple(rows))


def test_means_the_worst_tenth_and_the_share_below_bicubic() -> None:
    gains = [*range(1, 19), -1.0, -3.0]  # of 20, a tenth is two
    assert gain_rows(table(gains, [gain + 1 for gain in gains])) == [
        ["PSNR-Y, dB", "30.00", "38.35 (+8.35)", "39.35 (+9.35)"],
        ["worst tenth over bicubic, dB", "", "-2.00", "-1.00"],
        ["images below bicubic", "", "10%", "5%"],
    ]


def test_a_loss_is_said_from_a_twentieth_of_a_decibel_on() -> None:
    tables = {"here": table([1.0], [0.96]), "there": table([1.0, 2.0], [0.9, 1.98])}
    [sentence] = losses(tables)
    assert sentence.startswith("on there the specialised weights lose 0.06 dB")
    page = specialise_page(tables, "", [("steps", "1,200")], {"ibsd": "0"})
    assert sentence in page and "there, 2 images" in page and "1,200" in page
