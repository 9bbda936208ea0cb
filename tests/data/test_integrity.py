"""Files of pairs: what is refused, with the file's name, and digests that follow pixels."""

from __future__ import annotations

import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibsd.data import integrity
from ibsd.data.integrity import check_disjoint, check_pairs, digest_pairs, fingerprint
from ibsd.data.pairs import Pair, PairSets, find_layout, load_pair
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


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_what_becomes_rgb_without_loss_is_accepted(tmp_path: Path, mode: str) -> None:
    pair = Pair(
        "a", write(tmp_path / "lr.png", mode=mode), write(tmp_path / "hr.png", 32, 24, mode=mode)
    )
    assert list(check_pairs([pair], 2)) == [pair.lr, pair.hr]
    lr, hr = load_pair(pair)
    assert (lr.shape, hr.shape, lr.dtype) == ((16, 12, 3), (32, 24, 3), np.uint8)


def test_an_opaque_alpha_channel_is_accepted(tmp_path: Path) -> None:
    pair = Pair("a", write(tmp_path / "lr.png"), tmp_path / "hr.png")
    Image.new("RGBA", (24, 32), (1, 2, 3, 255)).save(pair.hr)
    assert list(check_pairs([pair], 2)) == [pair.lr, pair.hr]


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
        "cut": "damaged",
        "text": "not an image",
        "alpha": "transparent",
        "deep": "8 bits",
        "size": "not 2 times the 12x16 .* but 4 times",
        "tiny": "1x1 pixels",
        "swap": "swapped",
        "gone": "does not exist",
    }
    for line, (name, reason) in zip(lines, expected.items(), strict=True):
        assert f"{name}.png" in line and re.search(reason, line), line


def test_one_mistake_of_all_pairs_is_one_sentence(tmp_path: Path) -> None:
    pairs = [write_pair(tmp_path, f"{seed}.png", seed, scale=4) for seed in range(30)]
    with pytest.raises(
        InputError, match="^all 30 pairs are x4, not x2: set student.scale=4"
    ) as said:
        check_pairs(pairs, 2)
    assert "\n" not in str(said.value)
    with pytest.raises(InputError, match="30 of 30 .* for one reason: .*0.png.* needs 64") as said:
        check_pairs(pairs, 4, min_lr_px=64)
    assert "\n" not in str(said.value)
    swapped = [Pair(pair.name, pair.hr, pair.lr) for pair in pairs]
    with pytest.raises(InputError, match="30 of 30 .* for one reason: .*swapped") as said:
        check_pairs(swapped, 4)
    assert "\n" not in str(said.value)
    for pair in pairs:
        Image.fromarray(np.zeros((64, 48), np.uint16)).save(pair.hr)
    with pytest.raises(InputError, match="30 of 30 .* for one reason: .*0.png.*8 bits") as said:
        check_pairs(pairs, 4)
    assert "\n" not in str(said.value)


def test_cropped_pairs_are_counted(tmp_path: Path) -> None:
    pairs = [write_pair(tmp_path, f"{seed}.png", seed, scale=3) for seed in range(3)]
    write(pairs[1].hr, 50, 37)
    said: list[str] = []
    digests = check_pairs(pairs, 3, log=said.append)
    assert said == ["1 of 3 HR images cropped below and to the right to 3 times LR (modcrop)"]
    said.clear()
    check_pairs([pairs[0]], 3, digests=digests, log=said.append)
    assert not said
    write(pairs[1].hr, 51, 37)
    with pytest.raises(InputError, match="1 of 3 pairs cannot be used at scale 3"):
        check_pairs(pairs, 3)


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


def test_each_file_is_read_once_and_its_digest_can_be_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    read_with_pillow = integrity.read_with_pillow
    monkeypatch.setattr(
        integrity, "read_with_pillow", lambda file: (reads.append(file), read_with_pillow(file))[1]
    )
    first, second = (write_pair(tmp_path, f"{i}.png", i) for i in range(2))
    shared = Pair("shared", second.lr, second.hr)
    photograph = Pair("photograph", first.hr, first.hr)
    digests = check_pairs([first, second, shared], 2)
    digests |= digest_pairs([photograph], digests)
    assert sorted(reads) == sorted([first.lr, first.hr, second.lr, second.hr])
    handed = pickle.loads(pickle.dumps(digests))
    check_disjoint(PairSets((first,), (), (second,)), handed)
    assert fingerprint([first, photograph], handed) == fingerprint([first, photograph], digests)
    assert len(reads) == 4
    with pytest.raises(InputError, match="shorter side needs 13"):
        check_pairs([first], 2, 13, handed)  # known digests are still checked


def test_a_file_that_cannot_be_decoded_has_no_fingerprint(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "a.png")
    pair.hr.write_text("not an image")
    digests = digest_pairs([pair])
    for read in (lambda: fingerprint([pair], digests), lambda: check_disjoint(PairSets((pair,)))):
        with pytest.raises(InputError, match=r"a\.png.*not an image"):
            read()


def test_a_name_that_is_not_utf8_has_a_fingerprint(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, os.fsdecode(b"\xff.png"))
    other = write_pair(tmp_path, os.fsdecode(b"\xfe.png"))
    assert fingerprint([pair]) != fingerprint([other])
