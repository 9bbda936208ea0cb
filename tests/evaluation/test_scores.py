"""The table of scores: bicubic beside every method, means, order, and what it writes."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ibsd.data.pairs import Pair
from ibsd.evaluation import ScoreRow, ScoreTable, evaluate
from ibsd.images.rgb import bicubic, to_tensor, write_rgb
from ibsd.metrics import PROTOCOLS, protocols, score
from ibsd.types import InputError

LoadedPair = tuple[str, np.ndarray, np.ndarray]


def loaded_pair(name: str, height: int, width: int, scale: int = 2) -> LoadedPair:
    """LR is the mean of HR's scale x scale blocks, HR smooth with a little noise."""
    noise = np.random.default_rng(height * width).normal(0, 4, (height, width, 3))
    y, x = np.mgrid[:height, :width]
    hr = (128 + 90 * np.sin(0.2 * x + 0.1 * y)[..., None] + noise).clip(0, 255).astype(np.uint8)
    lr = (
        hr.reshape(height // scale, scale, width // scale, scale, 3)
        .mean((1, 3))
        .round()
        .astype(np.uint8)
    )
    return name, lr, hr


PAIRS = [loaded_pair("b", 40, 32), loaded_pair("a", 36, 48)]


def nearest(lr: Tensor) -> Tensor:
    return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)


@pytest.fixture(scope="module")
def table() -> ScoreTable:
    return evaluate({"nearest": nearest, "cubic again": lambda lr: bicubic(lr, 2)}, PAIRS, 2)


def test_every_method_on_every_image_with_bicubic_first(table: ScoreTable) -> None:
    assert [(row.image, row.method) for row in table.rows] == [
        (name, method) for name in "ba" for method in ("bicubic", "nearest", "cubic again")
    ]
    assert table.columns == tuple(
        (protocol, metric) for protocol, metrics in PROTOCOLS.items() for metric in metrics
    )
    for bicubic_row, again in zip(table.rows[0::3], table.rows[2::3], strict=True):
        assert bicubic_row.scores == again.scores


def test_rows_hold_the_scores_of_the_pictures_on_disk(tmp_path: Path) -> None:
    pairs = []
    for name, lr, hr in PAIRS:
        pair = Pair(name, tmp_path / f"{name}_LR.png", tmp_path / f"{name}_HR.png")
        write_rgb(pair.lr, lr)
        write_rgb(pair.hr, hr)
        pairs.append(pair)
    found = evaluate({}, pairs, 2)
    expected = [score(bicubic(to_tensor(lr), 2), to_tensor(hr), 2) for _, lr, hr in PAIRS]
    assert [row.scores for row in found.rows] == expected


def test_means_count_images_alike_and_patches_where_the_authors_do() -> None:
    def row(value: float, patches: int) -> ScoreRow:
        return ScoreRow(
            "x",
            "bicubic",
            {"basicsr-y": {"psnr_y": value}, "realsr-testm": {"psnr_y": value}},
            0.5,
            patches,
        )

    table = ScoreTable(4, (row(20, 1), row(30, 4)))
    assert table.means == {
        "bicubic": {"basicsr-y": {"psnr_y": 25.0}, "realsr-testm": {"psnr_y": 28.0}}
    }
    assert table.seconds == {"bicubic": 1.0}


def test_csv(table: ScoreTable) -> None:
    lines = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert len(lines) == len(table.rows)
    for line, row in zip(lines, table.rows, strict=True):
        assert (line["image"], line["method"]) == (row.image, row.method)
        for protocol, metric in table.columns:
            assert float(line[f"{protocol}.{metric}"]) == row.scores[protocol][metric]


def test_json(table: ScoreTable) -> None:
    read = json.loads(table.to_json())
    assert (read["scale"], read["images"]) == (2, 2)
    assert read["means"] == table.means
    assert [(row["image"], row["method"], row["scores"]) for row in read["rows"]] == [
        (row.image, row.method, row.scores) for row in table.rows
    ]


def test_a_perfect_method_is_infinite_and_still_json() -> None:
    name, lr, hr = PAIRS[0]
    table = evaluate({"oracle": lambda _: to_tensor(hr)}, [(name, lr, hr)], 2, lpips=False)
    assert table.means["oracle"]["basicsr-y"] == {"psnr_y": math.inf, "ssim_y": 1.0}
    assert json.loads(table.to_json())["means"]["oracle"]["basicsr-y"]["psnr_y"] == "inf"


def test_progress_and_no_gradients() -> None:
    seen: list[tuple[int, str]] = []
    layer = torch.nn.Conv2d(3, 3, 1)

    def method(lr: Tensor) -> Tensor:
        sr = nearest(layer(lr))
        assert not sr.requires_grad
        return sr

    evaluate(
        {"net": method},
        PAIRS,
        2,
        lpips=False,
        on_image=lambda done, name: seen.append((done, name)),
    )
    assert seen == [(1, "b"), (2, "a")]


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="no pairs"):
        evaluate({"nearest": nearest}, [], 2)
    with pytest.raises(InputError, match="another name"):
        evaluate({"bicubic": nearest}, PAIRS, 2)
    with pytest.raises(
        InputError, match="pair b: HR is 40 x 32 px and LR 20 x 16, which is not x4"
    ):
        evaluate({"nearest": nearest}, PAIRS, 4)
    with pytest.raises(
        InputError, match=r"method same gives \[1, 3, 20, 16\] for b, where HR is \[1, 3, 40, 32\]"
    ):
        evaluate({"same": lambda lr: lr}, PAIRS, 2)
    with pytest.raises(InputError, match="pair tiny: LPIPS needs"):
        evaluate({"nearest": nearest}, [loaded_pair("tiny", 20, 20)], 2)


def test_rows_know_how_many_patches_the_authors_would_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "_PATCH_PX", 24)
    monkeypatch.setattr(protocols, "_STRIDE_PX", 16)
    # 40 x 32 px: rows start at 0, 16 and 16, columns at 0 and 8; in 36 x 48: at 0 and 12, and at 0,
    # 16 and 24
    assert [row.patches for row in evaluate({}, PAIRS, 2, lpips=False).rows] == [6, 6]
