"""Benchmark sets in the trees that people keep them in: found by name, matched, cropped to fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ibsd.cli.main import main
from ibsd.data.layouts import find_data, holds_lr_and_hr
from ibsd.data.pairs import load_pair
from ibsd.export.weights import save_student
from ibsd.images.rgb import write_rgb
from ibsd.students import create_student
from ibsd.types import InputError

SIZES = {"baby": (50, 49), "bird": (36, 48)}
"""(height, width) of HR: one divides by 3 and 4, the other does not."""


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rgb(path, pixels)


def make(root: Path, hr_name: str, lr_name: str, crop_px: int = 1) -> Path:
    """Set5 of two images; names take {n} for the image, {i} for its number, {k} for the scale."""
    for i, (name, (height, width)) in enumerate(SIZES.items(), start=1):
        hr = np.random.default_rng(i).integers(0, 256, (height, width, 3), np.uint8)
        hr = hr[: height // crop_px * crop_px, : width // crop_px * crop_px]
        for k in (2, 3, 4):
            whole = hr[: height // k * k, : width // k * k]
            kept = whole if "{k}" in hr_name else hr
            write(root / hr_name.format(n=name, i=i, k=k), kept)
            write(root / lr_name.format(n=name, i=i, k=k), whole[::k, ::k])
    return root


TREES = {
    "EDSR": ("HR/{n}.png", "LR_bicubic/X{k}/{n}x{k}.png"),
    "lower case": ("hr/{n}.png", "lr_bicubic/x{k}/{n}x{k}.png"),
    "BasicSR": ("GTmod{k}/{n}.png", "LRbicx{k}/{n}.png"),
    "EDT": ("HR/x{k}/{n}.png", "LR/x{k}/{n}.png"),
    "SimpleIR": ("HR/x{k}/{n}.png", "LRBI/x{k}/{n}.png"),
    "RCAN": ("HR/Set5/x{k}/{n}_HR_x{k}.png", "LR/LRBI/Set5/x{k}/{n}_LRBI_x{k}.png"),
    "SelfExSR": (
        "image_SRF_{k}/img_{i:03}_SRF_{k}_HR.png",
        "image_SRF_{k}/img_{i:03}_SRF_{k}_LR.png",
    ),
    "SelfExSR, sorted": ("image_SRF_{k}/HR/img_{i:03}.png", "image_SRF_{k}/LR/img_{i:03}.png"),
}


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_tree_gives_the_same_pairs(tree: tuple[str, str], scale: int, tmp_path: Path) -> None:
    root = make(tmp_path / "Set5", *tree)
    if together := tree[1].startswith("image") and "LR/" not in tree[1]:  # others' results
        write(
            root / f"image_SRF_{scale}/img_001_SRF_{scale}_bicubic.png", np.zeros((8, 8, 3), "u1")
        )
    layout = find_data(root, scale)
    assert layout.sentence() == f"Set5 x{scale}: test 2 pairs"
    assert not holds_lr_and_hr(root)
    for pair, (height, width) in zip(layout.sets.test, SIZES.values(), strict=True):
        lr, hr = load_pair(pair)
        assert hr.shape[:2] == (height // scale * scale, width // scale * scale)
        assert np.array_equal(lr, hr[::scale, ::scale])
    if together:
        assert find_data(root / f"image_SRF_{scale}", scale) == layout
    if tree != TREES["RCAN"]:  # its folder holds many sets already
        assert find_data(tmp_path, scale) == layout, "from the folder above it"


def test_one_hr_cropped_to_twelve_serves_every_scale(tmp_path: Path) -> None:
    root = make(tmp_path / "Set5", "GTmod12/{n}.png", "LRbicx{k}/{n}.png", crop_px=12)
    write(root / "original/baby.png", np.zeros((50, 49, 3), np.uint8))
    for scale in (2, 3, 4):
        assert [pair.hr.parent.name for pair in find_data(root, scale).sets.test] == ["GTmod12"] * 2


def test_what_is_unclear_or_missing_is_said(tmp_path: Path) -> None:
    make(tmp_path / "Set5", *TREES["EDSR"])
    (tmp_path / "Set5/LR_bicubic/X3").rename(tmp_path / "away")
    with pytest.raises(InputError, match="holds LR at scale 2 and 4, not 3: take a network"):
        find_data(tmp_path / "Set5", 3)
    make(tmp_path / "Set14", *TREES["EDSR"])
    with pytest.raises(InputError, match=r"holds 2 sets, Set14, Set5: name one .*LR_bicubic/X4"):
        find_data(tmp_path, 4)
    (tmp_path / "Set5/HR/bird.png").unlink()
    with pytest.raises(InputError, match=r"1 image .* without a partner.*\n.*birdx4.png"):
        find_data(tmp_path / "Set5", 4)


def test_div2k_has_pairs_to_train_on_and_to_choose_by(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        make(
            tmp_path,
            f"DIV2K_{split}_HR/{split}{{i}}.png",
            f"DIV2K_{split}_LR_bicubic/X{{k}}/{split}{{i}}x{{k}}.png",
        )
    assert find_data(tmp_path, 4).sentence() == "DIV2K bicubic x4: train 2, val 2 pairs"


def test_evaluate_says_how_many_images_it_cropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make(tmp_path / "Set5", *TREES["EDSR"])
    weights = save_student(create_student("imdn", scale=3, width=8), tmp_path / "w.safetensors")
    assert main(["evaluate", str(weights), str(root), "--no-lpips"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "Set5 x3: test 2 pairs"
    assert said[1] == "1 of 2 HR images cropped below and to the right to 3 times LR (modcrop)"
