"""The degradation matrix: matched blurs, the same pictures in every row, and cells that differ
where the degradation does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ibsd.cli.main import main
from ibsd.data.degraded_patches import find_photographs
from ibsd.data.samples import sample
from ibsd.evaluation.matrix import FAMILIES, degradation_matrix, degraded_pairs
from ibsd.images.rgb import bicubic, write_rgb
from ibsd.types import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("chelsea", "coffee"):
        write_rgb(folder / f"{name}.png", sample(name)[:160, :160])
    return folder


def test_rows_share_pictures_and_differ_in_lr(folder: Path) -> None:
    paths = find_photographs(folder)
    disc, motion = (
        degraded_pairs(paths, FAMILIES[name], 4, 96) for name in ("blur disc", "blur motion")
    )
    assert [name for name, _, _ in disc] == ["chelsea", "coffee"]
    for (_, lr, hr), (_, other_lr, other_hr) in zip(disc, motion, strict=True):
        assert (hr == other_hr).all() and lr.shape == (24, 24, 3) and (lr != other_lr).any()


def test_more_compression_scores_less(folder: Path) -> None:
    families = {name: FAMILIES[name] for name in ("jpeg 90", "jpeg 50")}
    seen: list[str] = []
    tables = degradation_matrix(
        {"same": lambda lr: bicubic(lr, 4)},
        find_photographs(folder),
        4,
        families,
        lpips=False,
        on_family=seen.append,
    )
    assert seen == ["jpeg 90", "jpeg 50"]
    scores = [table.means["same"]["basicsr-y"]["psnr_y"] for table in tables.values()]
    assert scores[0] > scores[1]
    assert all(table.means["same"] == table.means["bicubic"] for table in tables.values())


@pytest.mark.slow
def test_the_command_prints_every_family(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    write_rgb(photographs / "chelsea.png", sample("chelsea")[:96, :96].copy())
    assert (
        main(
            [
                "evaluate",
                "imdn-x4",
                "--matrix",
                str(photographs),
                "--no-lpips",
                "-o",
                str(tmp_path / "scores"),
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert all(name in said for name in FAMILIES)
    found = json.loads((tmp_path / "scores/matrix.json").read_text())
    assert set(found) == set(FAMILIES) and {"bicubic", "imdn-x4"} == set(found["halo"])


def test_a_small_photograph_is_named(tmp_path: Path) -> None:
    write_rgb(tmp_path / "tiny.png", sample("chelsea")[:30, :30])
    with pytest.raises(InputError, match="tiny"):
        degraded_pairs(find_photographs(tmp_path), FAMILIES["halo"], 4)
    assert torch.is_grad_enabled()
