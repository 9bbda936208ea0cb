"""Scores are written with the metric's decimals, whatever protocol it is named under."""

from __future__ import annotations

from ibsd.reporting.format import (
    difference_text,
    interval_text,
    is_better,
    metric_title,
    score_text,
)
from ibsd.types import counted


def test_decimals_follow_the_metric() -> None:
    assert score_text("psnr_y", 30.126) == score_text("basicsr-y.psnr_y", 30.126) == "30.13"
    assert difference_text("ibsd-cdc.lpips", -0.01234) == "-0.0123"
    assert difference_text("psnr_y", 0.1234, psnr=3) == "+0.123"
    assert interval_text("psnr_y", (-0.1, 0.2)) == "-0.10 to +0.20"
    assert interval_text("psnr_y", None) == "no interval"


def test_less_lpips_is_better() -> None:
    assert is_better("ibsd-cdc.lpips", -0.1)
    assert is_better("psnr_y", 0.1)
    assert not is_better("lpips", 0.1)
    assert metric_title("basicsr-y.psnr_y") == "PSNR-Y, dB"


def test_counts_have_their_plural() -> None:
    assert [counted(number, "pair") for number in (0, 1, 2000)] == [
        "0 pairs",
        "1 pair",
        "2,000 pairs",
    ]
