"""Folders of pairs: what matches, what is refused, and that every refusal names the file."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibsd.data.pairs import (
    Pair,
    PairSets,
    check_disjoint,
    check_pairs,
    digest_pairs,
    find_layout,
    find_pairs,
    fingerprint,
    load_pair,
    without_suffixes,
)
from ibsd.types import InputError


def write(path: Path, height: int = 16, width: int = 12, seed: int = 0, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    image = Image.fromarray(noise)
    (image if mode == "RGBA" else image.convert("RGB").convert(mode)).save(path)
    return path


def write_pair(
    folder: Path, name: str, seed: int = 0, scale: int = 2, split: str = "train"
) -> Pair:
    lr = write(folder / f"{split}_LR" / name, seed=seed)
    return Pair(
        Path(name).stem,
        lr,
        write(folder / f"{split}_HR" / name, 16 * scale, 12 * scale, seed + 1000),
    )


def touch(folder: Path, *names: str) -> Path:
    """Matching looks at names only, so that empty files do."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def matched(tmp_path: Path, lr: list[str], hr: list[str]) -> list[tuple[str, str, str]]:
    pairs = find_pairs(touch(tmp_path / "lr", *lr), touch(tmp_path / "hr", *hr))
    return [(pair.name, pair.lr.name, pair.hr.name) for pair in pairs]


@pytest.mark.parametrize(
    ("stem", "key"),
    [
        ("a_LR", "a"), ("a_hr", "a"), ("a-HR", "a"), ("a.LR", "a"), ("Canon_001_LR4", "Canon_001"), ("Canon_001_HR", "Canon_001"),
        ("a_LR_x4", "a"), ("a_LRx4", "a"), ("a_x4_LR", "a"), ("0801x4", "0801"), ("babyx4", "baby"), ("a_x4", "a"), ("a-x3", "a"),
        ("a.X2", "a"), ("DSC_1_x1", "DSC_1"), ("x4", "x4"), ("_LR", "_LR"), ("Zephr", "Zephr"), ("a_x12", "a_x12"), ("a_LR_1", "a_LR_1"),
    ],
)  # fmt: skip
def test_suffixes_that_are_cut(stem: str, key: str) -> None:
    assert without_suffixes(stem) == key


def test_names_match_with_and_without_suffixes_and_in_any_format(tmp_path: Path) -> None:
    found = matched(
        tmp_path,
        ["b_LR4.png", "a.PNG", "c-x4.jpg", "notes.txt", ".hidden.png"],
        ["a.jpg", "b_HR.png", "c.tif", "Thumbs.db"],
    )
    assert found == [
        ("a", "a.PNG", "a.jpg"),
        ("b", "b_LR4.png", "b_HR.png"),
        ("c", "c-x4.jpg", "c.tif"),
    ]


def test_equal_stems_go_before_cut_ones(tmp_path: Path) -> None:
    names = ["photo_x4.png", "photo.png", "photo_x2.png"]
    assert matched(tmp_path, names, names) == [
        (Path(name).stem, name, name) for name in ("photo.png", "photo_x2.png", "photo_x4.png")
    ]


@pytest.mark.parametrize(
    ("lr", "hr"),
    [
        (["a_x2.png", "a_x4.png"], ["a.png"]),
        (["a.png"], ["a.png", "a.jpg"]),
        (
            ["a.png", "a_LR.png"],
            ["a.png", "a_HR.png"],
        ),  # the second pair would be called "a" as well
    ],
)
def test_ambiguous_names_are_refused_and_listed(
    tmp_path: Path, lr: list[str], hr: list[str]
) -> None:
    with pytest.raises(InputError, match="several ways") as caught:
        matched(tmp_path, lr, hr)
    assert lr[-1] in str(caught.value) and hr[-1] in str(caught.value)


def test_unmatched_names_are_listed_twenty_at_most(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"24 images .* without a partner") as caught:
        matched(
            tmp_path,
            ["both.png", *(f"only{i:02}.png" for i in range(23))],
            ["both.png", "alone.png"],
        )
    lines = str(caught.value).splitlines()
    assert (
        len(lines) == 22
        and lines[1].endswith("alone.png")
        and lines[-1].strip() == "and 4 more"
        and "both" not in str(caught.value)
    )


def test_folders_that_cannot_be_paired(tmp_path: Path) -> None:
    good, file, empty = (
        touch(tmp_path / "good", "a.png"),
        touch(tmp_path, "file.png") / "file.png",
        touch(tmp_path / "empty", "a.txt"),
    )
    for lr, hr, reason in [
        (tmp_path / "gone", good, "gone does not exist"),
        (good, file, "file.png is a file"),
        (empty, good, "empty holds no images"),
        (good, tmp_path / "good" / ".", "are the same"),
    ]:
        with pytest.raises(InputError, match=reason) as caught:
            find_pairs(lr, hr)
        assert "\n" not in str(caught.value)


def test_published_layout(tmp_path: Path) -> None:
    for split, count in (("train", 2), ("test", 1)):
        for side in ("LR", "HR"):
            touch(
                tmp_path / f"{split}_{side}", *(f"Canon_{split}{i}_LR4.png" for i in range(count))
            )
    sets = find_layout(tmp_path)
    assert [len(sets.train), len(sets.val), len(sets.test)] == [
        2,
        0,
        1,
    ] and sets.all() == sets.train + sets.test
    touch(tmp_path / "val_LR", "a.png")
    with pytest.raises(InputError, match="val_LR is there, but val_HR"):
        find_layout(tmp_path)


def test_a_folder_without_layout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no train_LR"):
        find_layout(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        find_layout(tmp_path / "gone")


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_what_becomes_rgb_without_loss_is_accepted(tmp_path: Path, mode: str) -> None:
    pair = Pair(
        "a", write(tmp_path / "lr.png", mode=mode), write(tmp_path / "hr.png", 32, 24, mode=mode)
    )
    assert list(check_pairs([pair], 2)) == [pair]
    lr, hr = load_pair(pair)
    assert (lr.shape, hr.shape, lr.dtype) == ((16, 12, 3), (32, 24, 3), np.uint8)


def test_an_opaque_alpha_channel_is_accepted(tmp_path: Path) -> None:
    pair = Pair("a", write(tmp_path / "lr.png"), tmp_path / "hr.png")
    Image.new("RGBA", (24, 32), (1, 2, 3, 255)).save(pair.hr)
    assert list(check_pairs([pair], 2)) == [pair]


def test_every_bad_file_is_listed_with_its_reason_in_one_message(tmp_path: Path) -> None:
    names = ["good", "cut", "text", "alpha", "deep", "size", "tiny", "swap", "gone"]
    pairs = {name: write_pair(tmp_path, f"{name}.png", seed) for seed, name in enumerate(names)}
    pairs["cut"].hr.write_bytes(pairs["cut"].hr.read_bytes()[:200])
    pairs["text"].lr.write_text("not an image")
    write(pairs["alpha"].lr, mode="RGBA")
    Image.fromarray(np.zeros((32, 24), np.uint16)).save(pairs["deep"].hr)
    write(pairs["size"].hr, 64, 48)
    write(pairs["tiny"].lr, 1, 1)
    write(pairs["tiny"].hr, 2, 2)
    pairs["swap"] = Pair("swap", pairs["swap"].hr, pairs["swap"].lr)
    pairs["gone"].lr.unlink()
    with pytest.raises(InputError) as caught:
        check_pairs(pairs.values(), 2)
    head, *lines = str(caught.value).splitlines()
    assert head.startswith("8 of 9 pairs cannot be used at scale 2") and len(lines) == 8
    expected = {
        "cut": "damaged", "text": "not an image", "alpha": "transparent", "deep": "8 bits", "size": "not 2 times the 12x16 .* but 4 times",
        "tiny": "1x1 pixels", "swap": "swapped", "gone": "does not exist",
    }  # fmt: skip
    for line, (name, reason) in zip(lines, expected.items(), strict=True):
        assert f"{name}.png" in line and re.search(reason, line), line


def test_a_patch_sets_the_least_size(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "a.png")
    check_pairs([pair], 2, min_lr_px=12)
    with pytest.raises(InputError, match="shorter side needs 13"):
        check_pairs([pair], 2, min_lr_px=13)


def test_apart_sets_pass_and_shared_pictures_are_refused(tmp_path: Path) -> None:
    train, val, test = (
        write_pair(tmp_path, "a.png", seed, split=split)
        for seed, split in enumerate(("train", "val", "test"))
    )
    sets = PairSets((train,), (val,), (test,))
    check_disjoint(sets, check_pairs(sets.all(), 2))
    check_disjoint(PairSets((train, train), (val,)))  # twice in one set is no overlap

    Image.open(train.hr).save(
        test.hr.with_suffix(".webp"), lossless=True
    )  # the same pixels in another format
    with pytest.raises(InputError, match="share 1 image") as caught:
        check_disjoint(
            PairSets((train,), (val,), (Pair("a", test.lr, test.hr.with_suffix(".webp")),))
        )
    assert "test_HR/a.webp (test) is the same picture as" in str(
        caught.value
    ) and "train_HR/a.png (train)" in str(caught.value)

    val.lr.unlink()
    val.lr.symlink_to(train.lr)
    with pytest.raises(InputError, match=r"val_LR/a\.png"):
        check_disjoint(sets)


def test_fingerprint_follows_names_and_pixels_not_files(tmp_path: Path) -> None:
    pairs = [write_pair(tmp_path / "one", f"{i}.png", i) for i in range(2)]
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    moved = find_layout(tmp_path / "two").train
    Image.open(moved[0].lr).save(moved[0].lr, compress_level=0)
    first = fingerprint(pairs)
    assert len(first) == 64 and first == fingerprint(moved)
    assert (
        first
        == fingerprint(pairs, check_pairs(pairs, 2))
        == fingerprint(pairs, digest_pairs(pairs))
    )
    assert first != fingerprint(pairs[::-1]) and first != fingerprint(pairs[:1])
    write(moved[0].lr, seed=99)
    assert first != fingerprint(moved)
